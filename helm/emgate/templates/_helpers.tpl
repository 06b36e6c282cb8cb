{{- define "emgate.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "emgate.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains (include "emgate.name" .) .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "emgate.name" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "emgate.selector" -}}
app.kubernetes.io/name: {{ include "emgate.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "emgate.labels" -}}
{{ include "emgate.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "emgate.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "emgate.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- /* A tree of keys as lines NAME: "value": maps and lists add `__` and the key or the number. Whole numbers are
written as such, where a template would write 1e+06. */ -}}
{{- define "emgate.variables" -}}
{{- $prefix := .prefix -}}
{{- if kindIs "map" .value -}}
{{- range $key, $value := .value }}
{{- include "emgate.variables" (dict "prefix" (printf "%s%s%s" $prefix (ternary "_" "__" (eq $prefix "EMGATE")) (upper $key)) "value" $value) }}
{{- end }}
{{- else if kindIs "slice" .value -}}
{{- range $index, $value := .value }}
{{- include "emgate.variables" (dict "prefix" (printf "%s__%d" $prefix $index) "value" $value) }}
{{- end }}
{{- else if kindIs "float64" .value }}
{{ $prefix }}: {{ (ternary (printf "%d" (int64 .value)) (toString .value) (eq (floor .value) .value)) | quote }}
{{- else if not (kindIs "invalid" .value) }}
{{ $prefix }}: {{ toString .value | quote }}
{{- end -}}
{{- end -}}

{{- /* Not empty when the store is a PostgreSQL database, which several pods may share. */ -}}
{{- define "emgate.shared" -}}
{{- $url := default "" (dig "store" "url" "" .Values.config) -}}
{{- if regexMatch "^postgres(ql)?://" $url -}}yes{{- end -}}
{{- end -}}
