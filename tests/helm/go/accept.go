// Reads objects on standard input, and prints what the API server of Kubernetes says when they are created, as JSON.
//
// The server's own code decodes, completes and validates them. Its checks of the Pod Security Standards look at the pods.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/warning"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	_ "k8s.io/kubernetes/pkg/apis/apps/install"
	_ "k8s.io/kubernetes/pkg/apis/autoscaling/install"
	_ "k8s.io/kubernetes/pkg/apis/batch/install"
	"k8s.io/kubernetes/pkg/apis/core"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	_ "k8s.io/kubernetes/pkg/apis/networking/install"
	_ "k8s.io/kubernetes/pkg/apis/policy/install"
	"k8s.io/kubernetes/pkg/registry/apps/deployment"
	"k8s.io/kubernetes/pkg/registry/apps/statefulset"
	"k8s.io/kubernetes/pkg/registry/autoscaling/horizontalpodautoscaler"
	"k8s.io/kubernetes/pkg/registry/batch/job"
	"k8s.io/kubernetes/pkg/registry/core/configmap"
	"k8s.io/kubernetes/pkg/registry/core/service"
	"k8s.io/kubernetes/pkg/registry/core/serviceaccount"
	"k8s.io/kubernetes/pkg/registry/networking/ingress"
	"k8s.io/kubernetes/pkg/registry/networking/networkpolicy"
	"k8s.io/kubernetes/pkg/registry/policy/poddisruptionbudget"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

const namespace = "galleries"

var strategies = map[string]rest.RESTCreateStrategy{
	"ConfigMap":               configmap.Strategy,
	"Deployment":              deployment.Strategy,
	"HorizontalPodAutoscaler": horizontalpodautoscaler.Strategy,
	"Ingress":                 ingress.Strategy,
	"Job":                     job.Strategy,
	"NetworkPolicy":           networkpolicy.Strategy,
	"PodDisruptionBudget":     poddisruptionbudget.Strategy,
	"Service":                 service.Strategy,
	"ServiceAccount":          serviceaccount.Strategy,
	"StatefulSet":             statefulset.Strategy,
}

// verdict is what the server says of an object: why it is refused, what it warns of, and what of its pods is not restricted.
type verdict struct {
	Refused  string   `json:"refused"`
	Warnings []string `json:"warnings"`
	Security []string `json:"security"`
}

func (v *verdict) AddWarning(_, text string) { v.Warnings = append(v.Warnings, text) }

func judge(text []byte, pods policy.Evaluator) verdict {
	said := verdict{Warnings: []string{}, Security: []string{}}
	if err := create(text, &said); err != nil {
		said.Refused = err.Error()
		return said
	}
	versioned, _, err := legacyscheme.Codecs.UniversalDeserializer().Decode(text, nil, nil)
	if err != nil {
		said.Refused = err.Error()
		return said
	}
	if template := templateOf(versioned); template != nil {
		level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
		for _, result := range pods.EvaluatePod(level, &template.ObjectMeta, &template.Spec) {
			if !result.Allowed {
				said.Security = append(said.Security, result.ForbiddenReason+": "+result.ForbiddenDetail)
			}
		}
	}
	return said
}

func create(text []byte, said *verdict) error {
	// Strict, as for a client that asks for `fieldValidation=Strict`: kubectl and helm do.
	strict := serializer.NewCodecFactory(legacyscheme.Scheme, serializer.EnableStrict).UniversalDecoder()
	made, kind, err := strict.Decode(text, nil, nil)
	if err != nil {
		return err
	}
	strategy, known := strategies[kind.Kind]
	if !known {
		return runtime.NewNotRegisteredErrForKind("accept.go", *kind)
	}
	object, err := meta.Accessor(made)
	if err != nil {
		return err
	}
	rest.FillObjectMetaSystemFields(object)
	if reached, ok := made.(*core.Service); ok {
		giveAddress(&reached.Spec)
	}
	return rest.BeforeCreate(strategy, asked(*kind, said), made)
}

// giveAddress does what the server does before it validates a service: it gives it an address, unless it wants none.
func giveAddress(spec *core.ServiceSpec) {
	if spec.ClusterIP == "" {
		spec.ClusterIP = "10.96.0.10"
	}
	policy := core.IPFamilyPolicySingleStack
	spec.ClusterIPs = []string{spec.ClusterIP}
	spec.IPFamilies, spec.IPFamilyPolicy = []core.IPFamily{core.IPv4Protocol}, &policy
}

func asked(kind schema.GroupVersionKind, said *verdict) context.Context {
	resource, _ := meta.UnsafeGuessKindToResource(kind)
	info := &request.RequestInfo{
		IsResourceRequest: true, Verb: "create", Namespace: namespace,
		APIGroup: kind.Group, APIVersion: kind.Version, Resource: resource.Resource,
	}
	ctx := request.WithRequestInfo(request.WithNamespace(context.Background(), namespace), info)
	return warning.WithWarningRecorder(ctx, said)
}

func templateOf(made runtime.Object) *corev1.PodTemplateSpec {
	switch owner := made.(type) {
	case *appsv1.Deployment:
		return &owner.Spec.Template
	case *appsv1.StatefulSet:
		return &owner.Spec.Template
	case *batchv1.Job:
		return &owner.Spec.Template
	}
	return nil
}

func main() {
	var objects map[string]json.RawMessage
	if err := json.NewDecoder(os.Stdin).Decode(&objects); err != nil {
		log.Fatal(err)
	}
	pods, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		log.Fatal(err)
	}
	found := map[string]verdict{}
	for name, text := range objects {
		found[name] = judge(text, pods)
	}
	if err := json.NewEncoder(os.Stdout).Encode(found); err != nil {
		log.Fatal(err)
	}
}
