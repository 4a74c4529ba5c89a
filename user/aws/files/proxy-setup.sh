#!/bin/bash
# Makes an Ubuntu machine the proxy. Runs until it has succeeded once, and may run again at any time.
set -euo pipefail
umask 022
export DEBIAN_FRONTEND=noninteractive
acme="@ACME@"

apt-get -o Acquire::Retries=5 update
apt-get -o Acquire::Retries=5 -o DPkg::Lock::Timeout=300 -y --no-install-recommends install \
	nginx-light apache2-utils openssl fail2ban python3-systemd ufw unattended-upgrades
if [ "$acme" = yes ]; then
	apt-get -o DPkg::Lock::Timeout=300 -y --no-install-recommends install certbot
fi

# A door before the house: only these three ports, from where the security group lets in. Port 22 without ufw's limit of
# six connections in 30 s: a delivery makes as many, and fail2ban counts those that fail.
ufw default deny incoming
ufw default allow outgoing
ufw allow 22/tcp
ufw allow 80/tcp
ufw allow 443/tcp
ufw --force enable

install -d -m 0755 /etc/ohguard /var/www/acme
install -d -m 0700 /etc/ohguard/tls
if [ ! -s /etc/ohguard/tls/certificate.pem ] || [ ! -s /etc/ohguard/tls/key.pem ]; then
	(
		umask 077
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 \
			-subj "/CN=@STACK@-proxy" -keyout /etc/ohguard/tls/key.pem \
			-out /etc/ohguard/tls/certificate.pem
	)
fi
[ -s /etc/nginx/ohguard.htpasswd ] || /usr/local/sbin/ohguard-proxy-password --new

rm -f /etc/nginx/sites-enabled/default
ln -sfn ../sites-available/ohguard /etc/nginx/sites-enabled/ohguard
nginx -t
systemctl enable nginx fail2ban ufw
systemctl reload-or-restart nginx
systemctl restart fail2ban
if [ "$acme" = yes ]; then
	systemctl enable --now --no-block ohguard-certificate.service
fi
