/** Shells that a script is there for. */
export const shells = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof shells)[number]

/** What a shell sources: it asks the program itself, and so knows the names of pools and namespaces too. */
export const completionScripts: Readonly<Record<Shell, string>> = {
  bash: `# source <(spiderpoolctl completion bash)
_spiderpoolctl() {
  local IFS=$'\\n'
  COMPREPLY=($("\${COMP_WORDS[0]}" __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
# Where nothing is known, names of files are completed.
complete -o default -F _spiderpoolctl spiderpoolctl`,
  zsh: `#compdef spiderpoolctl
# source <(spiderpoolctl completion zsh)
_spiderpoolctl() {
  local -a candidates
  candidates=("\${(@f)$("\${words[1]}" __complete -- "\${(@)words[2,$CURRENT]}" 2>/dev/null)}")
  if [[ -n "\${candidates[1]}" ]]; then compadd -a candidates; else _files; fi
}
compdef _spiderpoolctl spiderpoolctl`,
  fish: `# spiderpoolctl completion fish | source
function __spiderpoolctl_complete
  set -l words (commandline -opc)
  set -l current (commandline -ct)
  $words[1] __complete -- $words[2..-1] "$current" 2>/dev/null
end
complete -c spiderpoolctl -a '(__spiderpoolctl_complete)'`,
}
