{{/* The environment of a process: settings, secrets by reference, and the files of secrets. */}}

{{/* A setting as text. Numbers of values are floating-point numbers, which would print as 6.7108864e+07. */}}
{{- define "triptych.text" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) -}}
{{ int64 . | toString | quote }}
{{- else -}}
{{ toString . | quote }}
{{- end -}}
{{- end }}

{{/*
The settings of a process, as JSON: its own win over those of all. Takes {root, component}. Not by `merge`, which takes
`false` for a value that is missing.
*/}}
{{- define "triptych.settings" -}}
{{- $settings := dict -}}
{{- range $name, $value := .root.Values.settings -}}
{{- $_ := set $settings $name $value -}}
{{- end -}}
{{- $own := get .root.Values .component | default dict -}}
{{- range $name, $value := $own.settings | default dict -}}
{{- $_ := set $settings $name $value -}}
{{- end -}}
{{- toJson $settings -}}
{{- end }}

{{/* The file of a setting from `secrets`. */}}
{{- define "triptych.file" -}}
{{ lower . | replace "_" "-" }}
{{- end }}

{{/*
The names in `secrets` that a process needs, as JSON: {"names": […]}. Takes {root, component}.
No other service than the gateway and the relay handles secrets of listeners, and only the gateway has its own key.
*/}}
{{- define "triptych.secretNames" -}}
{{- $component := .component -}}
{{- $names := list -}}
{{- range $name := keys .root.Values.secrets | sortAlpha -}}
{{- $isGateways := hasPrefix "TRIPTYCH_GATEWAY_" $name -}}
{{- $isListeners := eq $name "TRIPTYCH_SECRETS_KEY" -}}
{{- if not (or (and $isGateways (ne $component "gateway")) (and $isListeners (not (has $component (list "gateway" "webhooks" "cli"))))) -}}
{{- $names = append $names $name -}}
{{- end -}}
{{- end -}}
{{- dict "names" $names | toJson -}}
{{- end }}

{{/* The environment variables. Takes {root, component}; the component is a service or a job. */}}
{{- define "triptych.environment" -}}
{{- $root := .root -}}
{{- $own := get $root.Values .component | default dict -}}
{{- range $service := list "command" "gateway" "projector" "webhooks" }}
- name: TRIPTYCH_{{ upper $service }}_PORT
  value: {{ include "triptych.port" $service | quote }}
{{- end }}
{{- $settings := include "triptych.settings" . | fromJson }}
{{- range $name := keys $settings | sortAlpha }}
- name: {{ $name }}
  value: {{ include "triptych.text" (get $settings $name) }}
{{- end }}
{{- range $name := (include "triptych.secretNames" . | fromJson).names }}
{{- $from := get $root.Values.secrets $name }}
{{- if $from.asVariable }}
- name: {{ $name }}
  valueFrom: {secretKeyRef: {name: {{ $from.secret | quote }}, key: {{ $from.key | quote }}}}
{{- else }}
- name: {{ $name }}{{ if not (hasSuffix "_FILE" $name) }}_FILE{{ end }}
  value: /etc/triptych/{{ include "triptych.file" $name }}
{{- end }}
{{- end }}
{{- with concat $root.Values.extraEnv ($own.extraEnv | default list) }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The sources of the volume with the files of secrets; nothing without files. Takes {root, component}. */}}
{{- define "triptych.files" -}}
{{- $root := .root -}}
{{- range $name := (include "triptych.secretNames" . | fromJson).names }}
{{- $from := get $root.Values.secrets $name }}
{{- $file := include "triptych.file" $name }}
{{- if $from.tokenAudience }}
- serviceAccountToken:
    audience: {{ $from.tokenAudience | quote }}
    expirationSeconds: {{ $from.expirationSeconds | default 3600 | int64 }}
    path: {{ $file }}
{{- else if $from.configMap }}
- configMap:
    name: {{ $from.configMap | quote }}
    items: [{key: {{ $from.key | quote }}, path: {{ $file }}}]
{{- else if not $from.asVariable }}
- secret:
    name: {{ $from.secret | quote }}
    items: [{key: {{ $from.key | quote }}, path: {{ $file }}}]
{{- end }}
{{- end }}
{{- end }}
