{{/* A job that runs one command of the command line. Takes {root, component, hooks, arguments}. */}}
{{- define "triptych.job" -}}
{{- $own := get .root.Values .component -}}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ include "triptych.fullname" .root }}-{{ .component }}
  labels:
    {{- include "triptych.labels" . | nindent 4 }}
  annotations:
    helm.sh/hook: {{ .hooks }}
    # A job that failed stays, so that its log can be read.
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
spec:
  activeDeadlineSeconds: {{ $own.activeDeadlineSeconds | int64 }}
  backoffLimit: 3
  podFailurePolicy:
    rules:
      # 78: settings, a server or the data refuse it, and another attempt would not help.
      - action: FailJob
        onExitCodes: {containerName: {{ .component }}, operator: In, values: [78]}
  template:
    metadata:
      labels:
        {{- include "triptych.labels" . | nindent 8 }}
    spec:
      restartPolicy: Never
      {{- if not .root.Values.serviceAccount.create }}
      serviceAccountName: {{ include "triptych.serviceAccount" .root }}
      {{- end }}
      {{- include "triptych.podBasics" . | trim | nindent 6 }}
      containers:
        - name: {{ .component }}
          args: {{ .arguments | toJson }}
          {{- include "triptych.containerBasics" . | nindent 10 }}
{{- end }}
