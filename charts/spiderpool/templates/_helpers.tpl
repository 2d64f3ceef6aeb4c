{{- define "spiderpool.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{ include "spiderpool.selector" . }}
{{- with .Values.global.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* Selectors of the reference's workloads, so that a release of it can be upgraded to this. */ -}}
{{- define "spiderpool.selector" -}}
app.kubernetes.io/name: {{ .Values.global.nameOverride | default "spiderpool" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "spiderpool.metadata" -}}
labels:
  {{- include "spiderpool.labels" . | nindent 2 }}
{{- with .Values.global.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* Image of a program: (list $ image) */ -}}
{{- define "spiderpool.image" -}}
{{- $root := index . 0 }}{{ $image := index . 1 }}
{{- $registry := $root.Values.global.imageRegistryOverride | default $image.registry }}
{{- with $registry }}{{ . }}/{{ end }}{{ $image.repository }}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default $root.Chart.AppVersion }}{{ end }}
{{- end }}

{{- /* Network of the first interface of pods that name none. */ -}}
{{- define "spiderpool.clusterNetwork" -}}
{{- $name := .Values.multus.multusCNI.defaultCniCRName | default "default" }}
{{- if contains "/" $name }}{{ $name }}{{ else }}{{ .Release.Namespace }}/{{ $name }}{{ end }}
{{- end }}

{{- /* ServiceAccount, roles and bindings of a program: (dict "root" $ "account" NAME "rights" FILE "annotations" MAP) */ -}}
{{- define "spiderpool.account" -}}
{{- $root := .root }}{{ $name := printf "spiderpool-%s" .account }}{{ $rights := .rights | default .account }}
{{- $annotations := merge (dict) (.annotations | default dict) $root.Values.global.commonAnnotations }}
{{- $metadata := dict "labels" (include "spiderpool.labels" $root | fromYaml) }}
{{- with $annotations }}{{ $_ := set $metadata "annotations" . }}{{ end }}
{{- $metadata = toYaml $metadata }}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ $name }}
  namespace: {{ $root.Release.Namespace }}
  {{- $metadata | nindent 2 }}
{{- range $kind, $file := dict "ClusterRole" "cluster" "Role" "namespace" }}
{{- $rules := $root.Files.Get (printf "files/rights/%s-%s.yaml" $rights $file) | fromYamlArray }}
{{- if $rules }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}
metadata:
  name: {{ $name }}
  {{- if eq $kind "Role" }}
  namespace: {{ $root.Release.Namespace }}
  {{- end }}
  {{- $metadata | nindent 2 }}
rules:
  {{- toYaml $rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}Binding
metadata:
  name: {{ $name }}
  {{- if eq $kind "Role" }}
  namespace: {{ $root.Release.Namespace }}
  {{- end }}
  {{- $metadata | nindent 2 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ $kind }}
  name: {{ $name }}
subjects:
  - kind: ServiceAccount
    name: {{ $name }}
    namespace: {{ $root.Release.Namespace }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Security of a container that needs nothing. */ -}}
{{- define "spiderpool.confined" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- /* Objects that an installation creates once. */ -}}
{{- define "spiderpool.defaults" -}}
{{- $objects := list }}
{{- $api := "spiderpool.spidernet.io/v2beta1" }}
{{- with .Values.coordinator }}{{ if .enabled }}
{{- $spec := dict "mode" .mode "podCIDRType" .podCIDRType "tunePodRoutes" .tunePodRoutes "hijackCIDR" .hijackCIDR }}
{{- with .vethLinkAddress }}{{ $_ := set $spec "vethLinkAddress" . }}{{ end }}
{{- with .policyRoutes }}{{ $_ := set $spec "policyRoutes" . }}{{ end }}
{{- with .vethMTU }}{{ $_ := set $spec "vethMTU" (int .) }}{{ end }}
{{- $objects = append $objects (dict "apiVersion" $api "kind" "SpiderCoordinator" "metadata" (dict "name" .name) "spec" $spec) }}
{{- end }}{{ end }}
{{- $pool := .Values.clusterDefaultPool }}
{{- range $version := list 4 6 }}
{{- if index $pool (printf "installIPv%dIPPool" $version) }}
{{- $subnet := index $pool (printf "ipv%dSubnet" $version) | required (printf "clusterDefaultPool.ipv%dSubnet is empty: write the CIDR of the pool, or set clusterDefaultPool.installIPv%dIPPool=false" $version $version) }}
{{- if not (index $.Values.ipam (printf "enableIPv%d" $version)) }}
{{- fail (printf "clusterDefaultPool.installIPv%dIPPool is true, but ipam.enableIPv%d is false: turn both on or both off" $version $version) }}
{{- end }}
{{- $spec := dict "ipVersion" $version "subnet" $subnet "ips" (index $pool (printf "ipv%dIPRanges" $version)) "default" true }}
{{- with index $pool (printf "ipv%dGateway" $version) }}{{ $_ := set $spec "gateway" . }}{{ end }}
{{- $name := index $pool (printf "ipv%dIPPoolName" $version) }}
{{- $objects = append $objects (dict "apiVersion" $api "kind" "SpiderIPPool" "metadata" (dict "name" $name) "spec" $spec) }}
{{- end }}
{{- end }}
{{- with .Values.multus.defaultNetwork }}
{{- $parts := include "spiderpool.clusterNetwork" $ | splitList "/" }}
{{- $metadata := dict "namespace" (index $parts 0) "name" (index $parts 1) }}
{{- $objects = append $objects (dict "apiVersion" $api "kind" "SpiderMultusConfig" "metadata" $metadata "spec" .) }}
{{- end }}
{{- $objects | toPrettyJson }}
{{- end }}
