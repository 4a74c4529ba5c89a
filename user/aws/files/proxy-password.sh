#!/bin/bash
# The passwords of the web door, one for each user. --new makes one; without it, prints the one that was not fetched
# yet, and forgets it: after that only its bcrypt hash is left. --remove takes the user away.
# usage: ohguard-proxy-password [--new | --remove] [USER]
set -euo pipefail
umask 077
act=fetch
case ${1-} in
--new | --remove) act=${1#--} && shift ;;
esac
user=${1:-agent}
case $user in
*[!a-z0-9_-]* | -*) echo "$user: expected a user's name of a-z, 0-9, '-' and '_'" >&2 && exit 1 ;;
esac
hashes=/etc/nginx/ohguard.htpasswd
fresh=/etc/ohguard/passwords
install -d -m 0700 "$fresh"
exec 9>"$fresh/.lock"
flock 9

others() { grep -v "^$user:" "$hashes" 2>/dev/null || true; }
put() { # the new hashes, from standard input
	cat >"$hashes.new"
	chown root:www-data "$hashes.new"
	chmod 0640 "$hashes.new"
	mv "$hashes.new" "$hashes"
}

case $act in
new)
	openssl rand -base64 18 | tr -d '\n' >"$fresh/$user.new"
	# On standard input, not as an argument that others can list. The cost is low on purpose: nginx hashes at
	# every request, and 144 random bits need no slow hash.
	hash=$(htpasswd -niBC 5 "$user" <"$fresh/$user.new" | head -n 1)
	{ others && echo "$hash"; } | put
	mv "$fresh/$user.new" "$fresh/$user"
	# Who went on with the old password is banned by now: no more. The user of `aws verify` has no part in that.
	[ "$user" = ohguard-verify ] || fail2ban-client unban --all >/dev/null 2>&1 || true
	;;
remove)
	if ! grep -q "^$user:" "$hashes" 2>/dev/null; then
		echo "$user: no such user" >&2
		exit 1
	fi
	others | put
	rm -f "$fresh/$user"
	;;
fetch)
	if [ ! -s "$fresh/$user" ]; then
		echo "the password was fetched already, or there is no user $user: make another with --new" >&2
		exit 1
	fi
	cat "$fresh/$user"
	echo
	shred -u "$fresh/$user"
	;;
esac
