{{- /*
Values that fit their types and still could not work: all that are wrong are told at once, each with its remedy.
*/ -}}
{{- define "spiderpool.check" -}}
{{- $problems := concat
  (include "spiderpool.check.network" . | fromJsonArray)
  (include "spiderpool.check.addresses" . | fromJsonArray)
  (include "spiderpool.check.workloads" . | fromJsonArray) }}
{{- if $problems }}
{{- fail (printf "\n- %s\n" (join "\n- " $problems)) }}
{{- end }}
{{- end }}

{{- /* The network of pods that name none: without one no new pod of the cluster would start. */ -}}
{{- define "spiderpool.check.network" -}}
{{- $problems := list }}
{{- $network := .Values.multus.defaultNetwork }}
{{- if not (or $network .Values.multus.multusCNI.defaultCniCRName) }}
{{- $problems = append $problems "multus.defaultNetwork and multus.multusCNI.defaultCniCRName are both empty, and new pods that name no network could not start: write the network to create into multus.defaultNetwork, or the name of one that is there into multus.multusCNI.defaultCniCRName (docs/install.md)" }}
{{- end }}
{{- if $network }}
{{- if ne (toString $network.cniType) "macvlan" }}
{{- $problems = append $problems (printf "multus.defaultNetwork.cniType is %q, and this release makes networks of macvlan alone: write macvlan, or create a NetworkAttachmentDefinition yourself and write its name into multus.multusCNI.defaultCniCRName" (toString ($network.cniType | default ""))) }}
{{- else }}
{{- if or (not (hasKey $network "enableCoordinator")) (ne (toString $network.enableCoordinator) "false") }}
{{- $problems = append $problems "multus.defaultNetwork.enableCoordinator is not false, and pods of a network with the plugin coordinator do not start in this release: write false" }}
{{- end }}
{{- $macvlan := $network.macvlan | default dict }}
{{- if ne (len ($macvlan.master | default list)) 1 }}
{{- $problems = append $problems (printf "multus.defaultNetwork.macvlan.master is %s: write one interface of the nodes, such as {eth0}; bonds are not made in this release" (toJson ($macvlan.master | default list))) }}
{{- end }}
{{- if ne (int ($macvlan.vlanID | default 0)) 0 }}
{{- $problems = append $problems (printf "multus.defaultNetwork.macvlan.vlanID is %d, and VLAN interfaces are not made in this release: make it on the nodes and name it in macvlan.master" (int $macvlan.vlanID)) }}
{{- end }}
{{- end }}
{{- end }}
{{- $problems | toJson }}
{{- end }}

{{- define "spiderpool.check.addresses" -}}
{{- $problems := list }}
{{- $octet := "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])" }}
{{- $v4 := printf "%s([.]%s){3}" $octet $octet }}
{{- $v6 := "[0-9a-fA-F]{0,4}(:[0-9a-fA-F]{0,4}){2,7}" }}
{{- $address := dict "4" $v4 "6" $v6 }}
{{- $cidr := dict "4" (printf "%s/(3[0-2]|[12]?[0-9])" $v4) "6" (printf "%s/(12[0-8]|1[01][0-9]|[1-9]?[0-9])" $v6) }}
{{- $anyCidr := printf "^(%s|%s)$" (get $cidr "4") (get $cidr "6") }}
{{- $anyAddress := printf "^(%s|%s)$" $v4 $v6 }}
{{- $example := dict "4" "10.6.0.0/16" "6" "fd00:6::/64" }}
{{- if not (or .Values.ipam.enableIPv4 .Values.ipam.enableIPv6) }}
{{- $problems = append $problems "ipam.enableIPv4 and ipam.enableIPv6 are both false, and no pod could have an address: turn one on" }}
{{- end }}
{{- range $version := list "4" "6" }}
{{- $key := printf "clusterDefaultPool.ipv%s" $version }}
{{- $at := dict "subnet" (index $.Values.clusterDefaultPool (printf "ipv%sSubnet" $version)) "gateway" (index $.Values.clusterDefaultPool (printf "ipv%sGateway" $version)) }}
{{- if and $at.subnet (not (regexMatch (printf "^%s$" (get $cidr $version)) $at.subnet)) }}
{{- $problems = append $problems (printf "%sSubnet %q is no IPv%s CIDR: write address/length, such as %s" $key $at.subnet $version (get $example $version)) }}
{{- end }}
{{- if and $at.gateway (not (regexMatch (printf "^%s$" (get $address $version)) $at.gateway)) }}
{{- $problems = append $problems (printf "%sGateway %q is no IPv%s address: write one of the subnet, or leave it empty" $key $at.gateway $version) }}
{{- end }}
{{- range $i, $range := index $.Values.clusterDefaultPool (printf "ipv%sIPRanges" $version) }}
{{- if not (regexMatch (printf "^%s(-%s)?$" (get $address $version) (get $address $version)) $range) }}
{{- $problems = append $problems (printf "%sIPRanges[%d] %q is no range of IPv%s addresses: write ADDRESS or FIRST-LAST" $key $i $range $version) }}
{{- end }}
{{- end }}
{{- end }}
{{- range $i, $item := .Values.coordinator.hijackCIDR }}
{{- if not (or (regexMatch $anyCidr $item) (regexMatch $anyAddress $item)) }}
{{- $problems = append $problems (printf "coordinator.hijackCIDR[%d] %q is neither an address nor a CIDR: write one, such as 169.254.0.0/16" $i $item) }}
{{- end }}
{{- end }}
{{- with .Values.coordinator.vethLinkAddress }}
{{- if not (regexMatch $anyAddress .) }}
{{- $problems = append $problems (printf "coordinator.vethLinkAddress %q is no address: write one, such as 169.254.100.1, or leave it empty" .) }}
{{- end }}
{{- end }}
{{- range $i, $route := .Values.coordinator.policyRoutes }}
{{- if not (or (regexMatch $anyCidr $route.dst) (regexMatch $anyAddress $route.dst)) }}
{{- $problems = append $problems (printf "coordinator.policyRoutes[%d].dst %q is neither an address nor a CIDR: write one, such as 10.9.0.0/16" $i $route.dst) }}
{{- end }}
{{- if not (regexMatch $anyAddress $route.gw) }}
{{- $problems = append $problems (printf "coordinator.policyRoutes[%d].gw %q is no address: write that of a gateway" $i $route.gw) }}
{{- end }}
{{- end }}
{{- $problems | toJson }}
{{- end }}

{{- define "spiderpool.check.workloads" -}}
{{- $problems := list }}
{{- $controller := .Values.spiderpoolController }}
{{- $registry := "^([a-zA-Z0-9][-a-zA-Z0-9.]*|[[][0-9a-fA-F:]+[]])(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$" }}
{{- range $key, $value := dict "global.imageRegistryOverride" .Values.global.imageRegistryOverride "spiderpoolController.image.registry" $controller.image.registry "spiderpoolAgent.image.registry" .Values.spiderpoolAgent.image.registry }}
{{- if and $value (not (regexMatch $registry $value)) }}
{{- $problems = append $problems (printf "%s %q is no registry: write HOST[:PORT][/PATH] without https:// and without a slash at the end, such as registry.example.com" $key $value) }}
{{- end }}
{{- end }}
{{- $budget := $controller.podDisruptionBudget }}
{{- $replicas := int $controller.replicas }}
{{- if and $budget.enabled (gt $replicas 1) }}
{{- $kept := int (trimSuffix "%" (toString $budget.minAvailable)) }}
{{- if hasSuffix "%" (toString $budget.minAvailable) }}{{ $kept = div (add (mul $kept $replicas) 99) 100 | int }}{{ end }}
{{- if ge $kept $replicas }}
{{- $problems = append $problems (printf "spiderpoolController.podDisruptionBudget.minAvailable %s leaves none of %d replicas to evict, and no node of theirs could be drained: write less, or raise spiderpoolController.replicas" (toString $budget.minAvailable) $replicas) }}
{{- end }}
{{- end }}
{{- $ports := list (dict "key" "spiderpoolController.webhookPort" "port" $controller.webhookPort) }}
{{- if $controller.prometheus.enabled }}
{{- $ports = append $ports (dict "key" "spiderpoolController.prometheus.port" "port" $controller.prometheus.port) }}
{{- end }}
{{- if $controller.hostnetwork }}
{{- $ports = append $ports (dict "key" "spiderpoolAgent.httpPort" "port" .Values.spiderpoolAgent.httpPort) }}
{{- end }}
{{- $seen := dict }}
{{- range $one := $ports }}
{{- $port := int $one.port | toString }}
{{- with get $seen $port }}
{{- $problems = append $problems (printf "%s and %s are both %s: write two ports" . $one.key $port) }}
{{- end }}
{{- $_ := set $seen $port $one.key }}
{{- end }}
{{- $problems | toJson }}
{{- end }}
