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
{{- $tag := .root.Values.image.tag | default .root.Chart.AppVersion -}}
{{- with .root.Values.compute.gpu -}}
{{- if and (eq $.service "compute") (gt (int .count) 0) -}}
{{- $tag = .tag | default (printf "%s-cuda" $tag) -}}
{{- end -}}
{{- end -}}
{{ .root.Values.image.repository }}/{{ .service }}:{{ $tag }}
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

{{- define "hotloop.trainingJob" -}}
backoffLimit: 2
activeDeadlineSeconds: {{ .Values.trainingPool.deadlineSeconds }}
ttlSecondsAfterFinished: 3600
template:
  metadata:
    labels: {{- include "hotloop.labels" (dict "root" . "service" "training") | nindent 6 }}
  spec:
    restartPolicy: Never
    automountServiceAccountToken: false
    terminationGracePeriodSeconds: {{ .Values.terminationGraceSeconds }}
    securityContext: {{- include "hotloop.podSecurity" . | nindent 6 }}
    {{- with .Values.image.pullSecrets }}
    imagePullSecrets: {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with .Values.trainingPool.nodeSelector }}
    nodeSelector: {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with .Values.trainingPool.tolerations }}
    tolerations: {{- toYaml . | nindent 6 }}
    {{- end }}
    containers:
      - name: training
        image: {{ include "hotloop.image" (dict "root" . "service" "training") }}
        imagePullPolicy: {{ .Values.image.pullPolicy }}
        securityContext: {{- include "hotloop.containerSecurity" . | nindent 10 }}
        envFrom: [{secretRef: {name: {{ .Values.secretName }}}}]
        env:
          - name: HOTLOOP_NODE
            valueFrom: {fieldRef: {fieldPath: metadata.name}}
          - {name: HOTLOOP_DATA, value: /data}
          - {name: HOTLOOP_WORKER_EXIT_WHEN_IDLE, value: "true"}
          {{- include "hotloop.environment" (dict "root" . "service" "training") | nindent 10 }}
        resources: {{- toYaml .Values.trainingPool.resources | nindent 10 }}
        volumeMounts:
          - {name: data, mountPath: /data}
          - {name: tmp, mountPath: /tmp}
          {{- if .Values.tls.secretName }}
          - {name: tls, mountPath: /tls, readOnly: true}
          {{- end }}
    volumes:
      - {name: data, emptyDir: {}}
      - {name: tmp, emptyDir: {}}
      {{- if .Values.tls.secretName }}
      - {name: tls, secret: {secretName: {{ .Values.tls.secretName }}}}
      {{- end }}
{{- end -}}
