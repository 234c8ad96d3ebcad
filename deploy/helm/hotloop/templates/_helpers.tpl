{{- define "hotloop.name" -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "hotloop.labels" -}}
app.kubernetes.io/name: hotloop
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .service }}
{{- end -}}

{{- define "hotloop.image" -}}
{{- $digest := get .root.Values.image.digests .service -}}
{{- if $digest -}}
{{ .root.Values.image.repository }}/{{ .service }}@{{ $digest }}
{{- else -}}
{{ .root.Values.image.repository }}/{{ .service }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "hotloop.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "hotloop.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "hotloop.environment" -}}
- {name: HOTLOOP_STORE, value: {{ .root.Values.store | quote }}}
{{- if .root.Values.kafkaBrokers }}
- {name: KAFKA_BROKERS, value: {{ .root.Values.kafkaBrokers | quote }}}
{{- end }}
{{- if .root.Values.tls.secretName }}
- {name: HOTLOOP_TLS_CERT, value: /tls/tls.crt}
- {name: HOTLOOP_TLS_KEY, value: /tls/tls.key}
{{- if .root.Values.tls.mutual }}
- {name: HOTLOOP_TLS_CA, value: /tls/ca.crt}
{{- end }}
{{- end }}
{{- range $name, $value := .root.Values.environment }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end -}}

{{- define "hotloop.gpuSelector" -}}
{{- with .Values.compute.gpu }}
{{- if eq .provider "gke" }}
cloud.google.com/gke-accelerator: {{ .type | quote }}
{{- else if eq .provider "eks" }}
eks.amazonaws.com/instance-gpu-name: {{ .type | quote }}
{{- else if eq .provider "aks" }}
kubernetes.azure.com/accelerator: {{ .type | default "nvidia" | quote }}
{{- end }}
{{- end }}
{{- end -}}
