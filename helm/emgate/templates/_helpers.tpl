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

{{- /* What the program will find under a key, as text: `extraEnv` beats `secrets`, which beats `config`. What only
`existingSecret` holds is not known here. Arguments: root, and the key's path as a list. */ -}}
{{- define "emgate.setting" -}}
{{- $variable := printf "EMGATE_%s" (join "__" .path | upper) -}}
{{- $found := "" -}}
{{- range $tree := list .root.Values.config .root.Values.secrets -}}
{{- $node := $tree -}}
{{- range $step := $.path -}}
{{- $node = ternary (get (ternary $node dict (kindIs "map" $node)) $step) nil (kindIs "map" $node) -}}
{{- end -}}
{{- if not (kindIs "invalid" $node) }}{{ $found = toString $node }}{{ end -}}
{{- end -}}
{{- range .root.Values.extraEnv -}}
{{- if and (eq .name $variable) (hasKey . "value") }}{{ $found = toString .value }}{{ end -}}
{{- end -}}
{{- $found -}}
{{- end -}}

{{- /* Where the program listens. */ -}}
{{- define "emgate.listen" -}}
{{- default "[::]:8080" (include "emgate.setting" (dict "root" . "path" (list "server" "listen"))) -}}
{{- end -}}

{{- /* The port of it, which probes and the service must reach. */ -}}
{{- define "emgate.port" -}}
{{- $listen := include "emgate.listen" . -}}
{{- if regexMatch "^(127\\.|localhost:|\\[::1\\])" $listen -}}
{{- fail (printf "config.server.listen is %s, which cannot be reached from outside the pod; leave it out or use [::]:8080" $listen) -}}
{{- end -}}
{{- $port := regexFind "[0-9]+$" $listen -}}
{{- if or (eq $port "") (eq (int $port) 0) -}}
{{- fail (printf "config.server.listen is %s, which names no fixed port; leave it out or use [::]:8080" $listen) -}}
{{- end -}}
{{- $port -}}
{{- end -}}

{{- /* `https` when the program itself speaks TLS, else `http`. */ -}}
{{- define "emgate.scheme" -}}
{{- $cert := include "emgate.setting" (dict "root" . "path" (list "server" "tls" "cert_file")) -}}
{{- $key := include "emgate.setting" (dict "root" . "path" (list "server" "tls" "key_file")) -}}
{{- if or $cert $key -}}https{{- else -}}http{{- end -}}
{{- end -}}

{{- /* What all probes have in common. */ -}}
{{- define "emgate.probe" -}}
port: {{ include "emgate.scheme" . }}
scheme: {{ include "emgate.scheme" . | upper }}
{{- end -}}

{{- define "emgate.storeUrl" -}}
{{- default "sqlite:///var/lib/emgate/emgate.db" (include "emgate.setting" (dict "root" . "path" (list "store" "url"))) -}}
{{- end -}}

{{- /* Not empty when the store is a PostgreSQL database, which several pods may share. */ -}}
{{- define "emgate.shared" -}}
{{- if regexMatch "^postgres(ql)?://" (include "emgate.storeUrl" .) -}}yes{{- end -}}
{{- end -}}

{{- /* The folder of the SQLite store; a relative name begins at the image's working directory. */ -}}
{{- define "emgate.storeFolder" -}}
{{- $file := trimPrefix "sqlite://" (include "emgate.storeUrl" .) -}}
{{- $folder := ternary (dir $file) (dir (printf "/var/lib/emgate/%s" $file)) (hasPrefix "/" $file) -}}
{{- if eq $folder "/" -}}
{{- fail "config.store.url is a file in the root folder, which cannot be a volume; use sqlite:///var/lib/emgate/emgate.db" -}}
{{- end -}}
{{- $folder -}}
{{- end -}}

{{- /* A security context: `default` alone, or with what is given laid over it, null taking a part away. Nothing when
null or {} is given, for platforms such as OpenShift that choose users themselves. */ -}}
{{- define "emgate.securityContext" -}}
{{- if kindIs "string" .given -}}
{{- toYaml .default -}}
{{- else if .given -}}
{{- $context := deepCopy .default -}}
{{- range $key, $value := .given -}}
{{- if kindIs "invalid" $value }}{{ $_ := unset $context $key }}{{ else }}{{ $_ := set $context $key $value }}{{ end -}}
{{- end -}}
{{- if $context }}{{ toYaml $context }}{{ end -}}
{{- end -}}
{{- end -}}
