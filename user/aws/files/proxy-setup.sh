#!/bin/bash
# Makes an Ubuntu machine the proxy, from the files beside this one. May run again at any time: certificate and
# passwords stay.
set -euo pipefail
umask 022
export DEBIAN_FRONTEND=noninteractive
here=$(dirname "$(readlink -f "$0")")
acme="@ACME@"
done_mark=/var/lib/ohguard-setup/proxy-$acme

@file:put@

@file:guard@

install -d -m 0755 /etc/ohguard /var/www/acme /var/lib/ohguard-setup
install -d -m 0700 /etc/ohguard/tls /etc/ohguard/sessions
# Before its package, which then starts with it.
put fail2ban /etc/fail2ban/jail.d/ohguard.local 0644
put fail2ban-web /etc/fail2ban/filter.d/ohguard-web.conf 0644
put grow /usr/local/sbin/ohguard-grow 0755
put update /usr/local/sbin/ohguard-update 0755
put update.service /etc/systemd/system/ohguard-update.service 0644
put proxy-password /usr/local/sbin/ohguard-proxy-password 0755
put proxy-session /usr/local/sbin/ohguard-proxy-session 0755
put certificate /usr/local/sbin/ohguard-certificate 0755
put certificate.service /etc/systemd/system/ohguard-certificate.service 0644
put_guard
systemctl daemon-reload
# What gets in here gets no further than this list lets it: to the servers, and for packages and the certificate.
guard_with policy-proxy
enable_guard
/usr/local/sbin/ohguard-grow

if [ ! -e "$done_mark" ]; then
	packages=(nginx-light apache2-utils openssl fail2ban python3-systemd ufw unattended-upgrades curl)
	if [ "$acme" = yes ]; then
		packages+=(certbot)
	fi
	# The public address comes a little later than the machine, and the system's own look at the archive may hold
	# the lists, which no option waits for.
	for try in 1 2 3 4 5 6; do
		if apt-get -o Acquire::Retries=5 update; then break; fi
		[ "$try" != 6 ]
		sleep 20
	done
	apt-get -o Acquire::Retries=5 -o DPkg::Lock::Timeout=300 -y --no-install-recommends install "${packages[@]}"
	touch "$done_mark"
fi

# A door before the house: only these three ports, from where the security group lets in. Port 22 without ufw's limit of
# six connections in 30 s: a delivery makes as many, and fail2ban counts those that fail.
ufw default deny incoming
ufw default allow outgoing
ufw allow 22/tcp
ufw allow 80/tcp
ufw allow 443/tcp
ufw --force enable

if [ ! -s /etc/ohguard/tls/certificate.pem ] || [ ! -s /etc/ohguard/tls/key.pem ]; then
	(
		umask 077
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 \
			-subj "/CN=@STACK@-proxy" -keyout /etc/ohguard/tls/key.pem \
			-out /etc/ohguard/tls/certificate.pem
	)
fi
[ -s /etc/nginx/ohguard.htpasswd ] || /usr/local/sbin/ohguard-proxy-password --new

# A site that nginx does not take leaves the one before.
old=$(cat /etc/nginx/sites-available/ohguard 2>/dev/null || true)
put nginx-site /etc/nginx/sites-available/ohguard 0644
rm -f /etc/nginx/sites-enabled/default
ln -sfn ../sites-available/ohguard /etc/nginx/sites-enabled/ohguard
if ! nginx -t; then
	printf '%s\n' "$old" >/etc/nginx/sites-available/ohguard
	exit 1
fi
systemctl enable nginx fail2ban ufw
systemctl reload-or-restart nginx
systemctl restart fail2ban
if [ "$acme" = yes ]; then
	systemctl enable --now --no-block ohguard-certificate.service
fi
install -m 0644 "$here/delivery-id" /var/lib/ohguard-setup/proxy-delivery-id
