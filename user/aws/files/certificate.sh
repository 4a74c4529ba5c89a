#!/bin/bash
# A certificate of Let's Encrypt for the domain, in place of the self-signed one. certbot's own timer renews it.
set -euo pipefail
domain="@DOMAIN@"
email="@EMAIL@"

if [ -n "$email" ]; then
	contact=(--email "$email")
else
	contact=(--register-unsafely-without-email)
fi
certbot certonly --non-interactive --agree-tos "${contact[@]}" --webroot --webroot-path /var/www/acme \
	--domain "$domain" --keep-until-expiring --deploy-hook "systemctl reload nginx"
ln -sfn "/etc/letsencrypt/live/$domain/fullchain.pem" /etc/ohguard/tls/certificate.pem
ln -sfn "/etc/letsencrypt/live/$domain/privkey.pem" /etc/ohguard/tls/key.pem
nginx -t
systemctl reload nginx
