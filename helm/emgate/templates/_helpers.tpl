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

{{- /* The pod of `helm test`, which no service must select. */ -}}
{{- define "emgate.testSelector" -}}
app.kubernetes.io/name: {{ include "emgate.name" . }}-test
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

{{- /* `config`, over what the pod needs. */ -}}
{{- define "emgate.config" -}}
{{- $config := dict "server" (dict "listen" "[::]:8080") "store" (dict "url" "sqlite:///var/lib/emgate/emgate.db") -}}
{{- if .Values.certificate.enabled -}}
{{- $_ := set $config.server "tls" (dict "cert_file" "/etc/emgate/certificate/tls.crt" "key_file" "/etc/emgate/certificate/tls.key") -}}
{{- end -}}
{{- toYaml (mergeOverwrite $config (deepCopy .Values.config)) -}}
{{- end -}}

{{- /* What the program will find under a key, as text: `extraEnv` beats `secrets`, which beats `config`. What only
`existingSecret` and its like hold is not known here. Arguments: root, and the key's path as a list. */ -}}
{{- define "emgate.setting" -}}
{{- $variable := printf "EMGATE_%s" (join "__" .path | upper) -}}
{{- $found := "" -}}
{{- range $tree := list (include "emgate.config" .root | fromYaml) .root.Values.secrets -}}
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
{{- include "emgate.portOf" (dict "key" "config.server.listen" "listen" (include "emgate.listen" .) "advice" "leave it out or use [::]:8080") -}}
{{- end -}}

{{- /* The port of metrics where they have their own; else nothing. */ -}}
{{- define "emgate.metricsPort" -}}
{{- with include "emgate.setting" (dict "root" . "path" (list "metrics" "listen")) -}}
{{- $port := include "emgate.portOf" (dict "key" "config.metrics.listen" "listen" . "advice" "use [::]:9090") -}}
{{- if eq $port (include "emgate.port" $) -}}
{{- fail (printf "config.metrics.listen has the port of config.server.listen, %s; use [::]:9090" $port) -}}
{{- end -}}
{{- $port -}}
{{- end -}}
{{- end -}}

{{- /* The port of an address that must be reached from outside the pod. Arguments: key, listen, advice. */ -}}
{{- define "emgate.portOf" -}}
{{- if regexMatch "^(127\\.|localhost:|\\[::1\\])" .listen -}}
{{- fail (printf "%s is %s, which cannot be reached from outside the pod; %s" .key .listen .advice) -}}
{{- end -}}
{{- $port := regexFind "[0-9]+$" .listen -}}
{{- if or (eq $port "") (eq (int $port) 0) -}}
{{- fail (printf "%s is %s, which names no fixed port; %s" .key .listen .advice) -}}
{{- end -}}
{{- $port -}}
{{- end -}}

{{- /* The name of the port that metrics are read at. */ -}}
{{- define "emgate.metricsPortName" -}}
{{- if include "emgate.metricsPort" . -}}metrics{{- else -}}{{ include "emgate.scheme" . }}{{- end -}}
{{- end -}}

{{- /* `https` when the program itself speaks TLS, else `http`. */ -}}
{{- define "emgate.scheme" -}}
{{- $cert := include "emgate.setting" (dict "root" . "path" (list "server" "tls" "cert_file")) -}}
{{- $key := include "emgate.setting" (dict "root" . "path" (list "server" "tls" "key_file")) -}}
{{- if or $cert $key -}}https{{- else -}}http{{- end -}}
{{- end -}}

{{- /* Not empty when callers need a certificate, which the platform's probes and the pod of `helm test` do not have. */ -}}
{{- define "emgate.clientCertificates" -}}
{{- include "emgate.setting" (dict "root" . "path" (list "server" "tls" "client_ca_file")) -}}
{{- end -}}

{{- /* A probe of `path`, with what the values say; of the program's life alone where callers need a certificate. */ -}}
{{- define "emgate.probe" -}}
{{- if include "emgate.clientCertificates" .root -}}
exec:
  command: [emgate, health]
{{- else -}}
httpGet:
  path: {{ .path }}
  port: {{ include "emgate.scheme" .root }}
  scheme: {{ include "emgate.scheme" .root | upper }}
{{- end }}
{{- range $key, $value := .given }}
{{ $key }}: {{ $value }}
{{- end }}
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

{{- define "emgate.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{- define "emgate.podSecurityContext" -}}
{{- include "emgate.securityContext" (dict "given" .Values.podSecurityContext "default" (dict
  "runAsNonRoot" true
  "runAsUser" 65532
  "runAsGroup" 65532
  "fsGroup" 65532
  "fsGroupChangePolicy" "OnRootMismatch"
  "seccompProfile" (dict "type" "RuntimeDefault"))) -}}
{{- end -}}

{{- define "emgate.containerSecurityContext" -}}
{{- include "emgate.securityContext" (dict "given" .Values.securityContext "default" (dict
  "allowPrivilegeEscalation" false
  "readOnlyRootFilesystem" true
  "capabilities" (dict "drop" (list "ALL")))) -}}
{{- end -}}

{{- /* Not empty when there are several pods. */ -}}
{{- define "emgate.several" -}}
{{- $pods := ternary .Values.autoscaling.minReplicas .Values.replicaCount .Values.autoscaling.enabled -}}
{{- if gt (int $pods) 1 }}yes{{ end -}}
{{- end -}}

{{- /* The container's sources of variables, later ones beat earlier ones. */ -}}
{{- define "emgate.envFrom" -}}
- configMapRef:
    name: {{ include "emgate.fullname" . }}
{{- with .Values.existingConfigMap }}
- configMapRef:
    name: {{ . }}
{{- end }}
{{- if .Values.secrets }}
- secretRef:
    name: {{ include "emgate.fullname" . }}
{{- end }}
{{- with .Values.existingSecret }}
- secretRef:
    name: {{ . }}
{{- end }}
{{- if .Values.externalSecret.enabled }}
- secretRef:
    name: {{ include "emgate.fullname" . }}-external
{{- end }}
{{- with .Values.extraEnvFrom }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* Volumes and mounts of what the configuration names, the store left out. */ -}}
{{- define "emgate.files" -}}
{{- if .Values.certificate.enabled }}
- name: certificate
  secret:
    secretName: {{ include "emgate.fullname" . }}-tls
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "emgate.fileMounts" -}}
{{- if .Values.certificate.enabled }}
- name: certificate
  mountPath: /etc/emgate/certificate
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* Peers of a network policy: a CIDR as text, or the object itself. */ -}}
{{- define "emgate.peers" -}}
{{- range . }}
{{- if kindIs "string" . }}
- ipBlock:
    cidr: {{ . | quote }}
{{- else }}
- {{ toYaml . | nindent 2 | trim }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* The port that a URL names, else the one given. */ -}}
{{- define "emgate.urlPort" -}}
{{- $authority := regexReplaceAll "^[a-z]+://([^/?#]*).*$" .url "${1}" | regexFind ":[0-9]+$" | trimPrefix ":" -}}
{{- default .default $authority -}}
{{- end -}}
