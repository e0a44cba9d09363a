{{/* Names, labels, and the image. */}}

{{- define "triptych.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* At most 40 characters: the label that Kubernetes makes of a StatefulSet's name and a hash may have 63. */}}
{{- define "triptych.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "triptych.name" .) .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "triptych.name" .) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* The labels by which pods are found. They must never change. Takes {root, component}. */}}
{{- define "triptych.selector" -}}
app.kubernetes.io/name: {{ include "triptych.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* The labels of everything. Takes {root, component}. */}}
{{- define "triptych.labels" -}}
{{ include "triptych.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: triptych
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "triptych.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- define "triptych.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "triptych.fullname" .) }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end -}}
{{- end }}

{{/* The port of each service, for health and metrics, and the API of the gateway. */}}
{{- define "triptych.port" -}}
{{ get (dict "gateway" "8080" "command" "8081" "projector" "8082" "webhooks" "8083") . }}
{{- end }}

{{/* Whether a gateway serves HTTPS: "true" or nothing. */}}
{{- define "triptych.gatewayTls" -}}
{{- $certificate := "TRIPTYCH_GATEWAY_TLS_CERTIFICATE_FILE" -}}
{{- $settings := include "triptych.settings" (dict "root" . "component" "gateway") | fromJson -}}
{{- if or (hasKey .Values.secrets $certificate) (get $settings $certificate) -}}
true
{{- end -}}
{{- end }}
