{{- define "gateway.name" -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "gateway.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "gateway.labels" -}}
{{ include "gateway.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "gateway.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "gateway.name" .) }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end -}}
{{- end -}}

{{- define "gateway.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{- /* Settings of every container: what is secret comes as a file. */ -}}
{{- define "gateway.env" -}}
- {name: GATEWAY_HOST, value: 0.0.0.0}
- {name: GATEWAY_PORT, value: "8080"}
- {name: GATEWAY_DATA_DIR, value: /data}
- {name: GATEWAY_STORE_FILE, value: /etc/gateway/store/{{ .Values.secrets.store.key }}}
- {name: GATEWAY_BLOBS, value: {{ required "blobs: give s3://bucket/prefix, gs://… or az://…" .Values.blobs | quote }}}
- {name: GEMINI_API_KEY_FILE, value: /etc/gateway/gemini/{{ .Values.secrets.gemini.key }}}
- {name: GATEWAY_API_KEYS_FILE, value: /etc/gateway/clients/{{ .Values.secrets.clients.key }}}
{{- range $name, $value := .Values.settings }}
- {name: {{ $name }}, value: {{ $value | toString | quote }}}
{{- end }}
{{- range $name, $value := .Values.cloud }}
- {name: {{ $name }}, value: {{ $value | toString | quote }}}
{{- end }}
{{- end -}}

{{- define "gateway.mounts" -}}
- {name: data, mountPath: /data}
- {name: store, mountPath: /etc/gateway/store, readOnly: true}
- {name: gemini, mountPath: /etc/gateway/gemini, readOnly: true}
- {name: clients, mountPath: /etc/gateway/clients, readOnly: true}
{{- end -}}

{{- define "gateway.volumes" -}}
- name: data
  emptyDir:
    sizeLimit: {{ .Values.scratch.size }}
    {{- with .Values.scratch.medium }}
    medium: {{ . }}
    {{- end }}
- name: store
  secret: {secretName: {{ .Values.secrets.store.name }}, defaultMode: 0440}
- name: gemini
  secret: {secretName: {{ .Values.secrets.gemini.name }}, defaultMode: 0440}
- name: clients
  secret: {secretName: {{ .Values.secrets.clients.name }}, defaultMode: 0440}
{{- end -}}

{{- define "gateway.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "gateway.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}
