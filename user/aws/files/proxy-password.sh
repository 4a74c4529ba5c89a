#!/bin/bash
# The password of the web door. --new makes one; without it, prints the one that was not fetched yet, and forgets
# it: after that only its bcrypt hash is left.
set -euo pipefail
umask 077
fresh=/etc/ohguard/password

if [ "${1-}" = --new ]; then
	install -d -m 0755 /etc/ohguard
	openssl rand -base64 18 | tr -d '\n' >"$fresh.new"
	# On standard input, not as an argument that others can list. The cost is low on purpose: nginx hashes at
	# every request, and 144 random bits need no slow hash.
	htpasswd -niBC 5 agent <"$fresh.new" | head -n 1 >/etc/nginx/ohguard.htpasswd.new
	chown root:www-data /etc/nginx/ohguard.htpasswd.new
	chmod 0640 /etc/nginx/ohguard.htpasswd.new
	mv "$fresh.new" "$fresh"
	mv /etc/nginx/ohguard.htpasswd.new /etc/nginx/ohguard.htpasswd
	exit 0
fi
if [ ! -s "$fresh" ]; then
	echo "the password was fetched already: make another with --new" >&2
	exit 1
fi
cat "$fresh"
echo
shred -u "$fresh"
