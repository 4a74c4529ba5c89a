# SPDX-License-Identifier: MIT
# Completion of ohguard for bash: the program says what fits (ohguard complete).
# bash parts words at = and : too, and replaces only what stands after the last of them.
_ohguard() {
	local -a words
	local word part=${COMP_WORDS[COMP_CWORD]} line=${COMP_LINE:0:COMP_POINT} begun
	read -ra words <<<"$line"
	[[ $line != *[[:space:]] ]] || words+=("")
	word=${words[-1]}
	[[ $part != [=:] ]] || part=
	begun=${word%"$part"}
	COMPREPLY=()
	while IFS=$'\t' read -r word _; do
		COMPREPLY+=("${word#"$begun"}")
	done < <("${words[0]}" complete "${words[@]:1}" 2>/dev/null)
}
complete -o default -F _ohguard ohguard
