{{/*
podinit-lib.sysctl: kernel settings before the app starts.

  {{- include "podinit-lib.sysctl" (dict "settings" (list "vm.max_map_count>=262144")) | nindent 8 }}

Options: settings (needed), privileged (true), args, name, image, env, resources.
*/}}
{{- define "podinit-lib.sysctl" -}}
{{- $known := list "settings" "privileged" "args" "name" "image" "env" "resources" -}}
{{- include "podinit-lib.checked" (dict "template" "podinit-lib.sysctl" "options" . "known" $known "needed" (list "settings")) -}}
{{- $resources := dict "requests" (dict "cpu" "10m" "memory" "16Mi") "limits" (dict "memory" "16Mi") -}}
{{- include "podinit-lib.container" (dict
      "name" (.name | default "podinit-sysctl")
      "command" "sysctl"
      "words" (concat (.args | default list) .settings)
      "privileged" (ternary .privileged true (hasKey . "privileged"))
      "image" .image
      "env" .env
      "resources" (.resources | default $resources)) -}}
{{- end -}}
