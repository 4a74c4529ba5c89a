# SPDX-License-Identifier: MIT
# Completion of ohguard for fish: the program says what fits (ohguard complete).
function __ohguard_words
	set -l words (commandline -opc)
	$words[1] complete $words[2..] (commandline -ct) 2>/dev/null
end
complete -c ohguard -f -n 'count (__ohguard_words) >/dev/null' -a '(__ohguard_words)'
