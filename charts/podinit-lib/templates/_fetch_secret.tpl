{{/*
podinit-lib.fetchSecret: secrets of Vault or OpenBao as files in memory before the app starts.

  {{- include "podinit-lib.fetchSecret" (dict
        "volume" "secrets" "secrets" (list "secret/app") "addr" "https://vault.vault:8200"
        "role" "app" "tokenVolume" "vault-token") | nindent 8 }}

Options: volume and secrets (needed), dir (/secrets), addr, auth, role, tokenVolume, caVolume, args, name, image, env,
resources. The Pod brings the volumes: an emptyDir with medium Memory, a projected token, an authority's ca.crt.
*/}}
{{- define "podinit-lib.fetchSecret" -}}
{{- $known := list "volume" "secrets" "dir" "addr" "auth" "role" "tokenVolume" "caVolume" "args" "name" "image" "env" "resources" -}}
{{- include "podinit-lib.checked" (dict "template" "podinit-lib.fetchSecret" "options" . "known" $known "needed" (list "volume" "secrets")) -}}
{{- $dir := .dir | default "/secrets" -}}
{{- $words := list (printf "--dir=%s" $dir) "--require-tmpfs" -}}
{{- $mounts := list (dict "name" .volume "mountPath" $dir) -}}
{{- with .addr }}{{ $words = append $words (printf "--addr=%s" .) }}{{ end -}}
{{- with .auth }}{{ $words = append $words (printf "--auth=%s" .) }}{{ end -}}
{{- with .role }}{{ $words = append $words (printf "--role=%s" .) }}{{ end -}}
{{- with .tokenVolume -}}
{{- $words = append $words "--jwt-file=/token/token" -}}
{{- $mounts = append $mounts (dict "name" . "mountPath" "/token" "readOnly" true) -}}
{{- end -}}
{{- with .caVolume -}}
{{- $words = append $words "--ca-file=/ca/ca.crt" -}}
{{- $mounts = append $mounts (dict "name" . "mountPath" "/ca" "readOnly" true) -}}
{{- end -}}
{{- $resources := dict "requests" (dict "cpu" "10m" "memory" "32Mi") "limits" (dict "memory" "64Mi") -}}
{{- include "podinit-lib.container" (dict
      "name" (.name | default "podinit-fetch-secret")
      "command" "fetch-secret"
      "words" (concat $words (.args | default list) .secrets)
      "privileged" false
      "image" .image
      "env" .env
      "resources" (.resources | default $resources)
      "volumeMounts" $mounts) -}}
{{- end -}}
