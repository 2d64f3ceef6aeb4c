{{- /* A pod that runs spiderpoolctl once: (dict "root" $ "account" NAME "args" LIST "volume" VOLUME-OR-NONE) */ -}}
{{- define "spiderpool.once" -}}
{{- $root := .root }}
{{- with $root.Values.spiderpoolController }}
serviceAccountName: spiderpool-{{ $.account }}
{{- with .image.imagePullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
restartPolicy: Never
# Pods of another network may not start without us.
hostNetwork: true
dnsPolicy: ClusterFirstWithHostNet
priorityClassName: {{ .priorityClassName | quote }}
enableServiceLinks: false
nodeSelector: {{ toYaml .nodeSelector | nindent 2 }}
tolerations: [{operator: Exists}]
containers:
  - name: spiderpoolctl
    image: {{ include "spiderpool.image" (list $root .image) | quote }}
    imagePullPolicy: {{ .image.pullPolicy }}
    command: [/app/node, /app/bin/spiderpoolctl.js]
    args:
      {{- toYaml $.args | nindent 6 }}
    env:
      - name: SPIDERPOOL_NAMESPACE
        valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
    resources: {{ toYaml .resources | nindent 6 }}
    securityContext:
      {{- include "spiderpool.confined" $root | nindent 6 }}
    {{- with $.volume }}
    volumeMounts:
      - name: {{ .name }}
        mountPath: /etc/spiderpool
        readOnly: true
    {{- end }}
{{- with $.volume }}
volumes:
  - {{ toYaml . | nindent 4 | trim }}
{{- end }}
{{- end }}
{{- end }}
