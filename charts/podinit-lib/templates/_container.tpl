{{/*
What all init containers of podinit have in common. A dict: name, command, words (its arguments), privileged, and
of the caller's options image, env, resources, volumeMounts.
*/}}
{{- define "podinit-lib.container" -}}
- name: {{ .name | quote }}
  image: {{ .image | default "ghcr.io/podinit/podinit:0.1.0" | quote }}
  args:
    - {{ .command | quote }}
    {{- range .words }}
    - {{ . | quote }}
    {{- end }}
  {{- with .env }}
  env:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  terminationMessagePolicy: FallbackToLogsOnError
  securityContext:
    {{- if .privileged }}
    # A node-wide key belongs to root, and /proc/sys is read-only to any container that is not privileged.
    privileged: true
    runAsUser: 0
    runAsNonRoot: false
    {{- else }}
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    allowPrivilegeEscalation: false
    seccompProfile: {type: RuntimeDefault}
    {{- end }}
    readOnlyRootFilesystem: true
    capabilities: {drop: [ALL]}
  resources:
    {{- toYaml .resources | nindent 4 }}
  {{- with .volumeMounts }}
  volumeMounts:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/*
Fails for an option that is not known and for one that is needed and not there. A dict: template, options, known, needed.
*/}}
{{- define "podinit-lib.checked" -}}
{{- range $name, $_ := .options }}
{{- if not (has $name $.known) }}
{{- fail (printf "%s knows no option %q; it knows %s" $.template $name (join ", " $.known)) }}
{{- end }}
{{- end }}
{{- range .needed }}
{{- if empty (get $.options .) }}
{{- fail (printf "%s needs the option %q" $.template .) }}
{{- end }}
{{- end }}
{{- end -}}
