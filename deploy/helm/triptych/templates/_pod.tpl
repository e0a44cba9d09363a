{{/* What the pods of services and jobs have in common, and the pod of a service. */}}

{{/* The part of the specification that is not about containers. Takes {root, component}. */}}
{{- define "triptych.podBasics" -}}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
automountServiceAccountToken: false
# Otherwise Kubernetes would set TRIPTYCH_GATEWAY_PORT to tcp://…, because of the service of that name.
enableServiceLinks: false
# The pause process is process 1 then: as process 1, Python would ignore SIGTERM until it has installed its handler.
shareProcessNamespace: true
securityContext:
  {{- toYaml .root.Values.podSecurityContext | nindent 2 }}
volumes:
  - name: tmp
    emptyDir: {medium: Memory, sizeLimit: 16Mi}
  {{- with include "triptych.files" . | trim }}
  - name: secrets
    projected:
      defaultMode: 0440
      sources:
        {{- . | nindent 8 }}
  {{- end }}
  {{- with .root.Values.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* The part of a container that all have. Takes {root, component}. */}}
{{- define "triptych.containerBasics" -}}
image: {{ include "triptych.image" .root | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
env:
  {{- include "triptych.environment" . | trim | nindent 2 }}
resources:
  {{- toYaml (get .root.Values .component).resources | nindent 2 }}
securityContext:
  {{- toYaml .root.Values.securityContext | nindent 2 }}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
  {{- if include "triptych.files" . | trim }}
  # The whole folder, so that renewed certificates and tokens arrive.
  - {name: secrets, mountPath: /etc/triptych, readOnly: true}
  {{- end }}
  {{- with .root.Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* The template of a service's pods. Takes {root, component}. */}}
{{- define "triptych.pod" -}}
{{- $own := get .root.Values .component -}}
{{- $isTls := and (eq .component "gateway") (include "triptych.gatewayTls" .root) -}}
metadata:
  labels:
    {{- include "triptych.labels" . | nindent 4 }}
    {{- with $own.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $own.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "triptych.serviceAccount" .root }}
  terminationGracePeriodSeconds: {{ $own.terminationGracePeriodSeconds | int64 }}
  {{- include "triptych.podBasics" . | trim | nindent 2 }}
  containers:
    - name: {{ .component }}
      args: [{{ .component }}]
      {{- include "triptych.containerBasics" . | nindent 6 }}
      ports:
        - {name: {{ if $isTls }}https{{ else }}http{{ end }}, containerPort: {{ include "triptych.port" .component }}}
      # A process that waits for Kafka or MongoDB is alive, and not ready. A new process would have to wait too.
      livenessProbe:
        httpGet: {path: /health/live, port: {{ include "triptych.port" .component }}{{ if $isTls }}, scheme: HTTPS{{ end }}}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: {path: /health/ready, port: {{ include "triptych.port" .component }}{{ if $isTls }}, scheme: HTTPS{{ end }}}
        periodSeconds: 5
        timeoutSeconds: 5
        failureThreshold: 2
      {{- with $own.preStopSeconds }}
      lifecycle:
        preStop: {exec: {command: [sleep, {{ . | int64 | toString | quote }}]}}
      {{- end }}
  topologySpreadConstraints:
    {{- with $own.topologySpreadConstraints }}
    {{- toYaml . | nindent 4 }}
    {{- else }}
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "triptych.selector" . | nindent 10 }}
    {{- end }}
  {{- with $own.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $own.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $own.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $own.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
{{- end }}
