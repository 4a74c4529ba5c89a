# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# On the proxy that was delivered to, behind tests/vm/guest/lib.sh: what must hold. $password: the web password.
active() { systemctl -q is-active "$1"; }
state() {
	find /etc /usr/local -type f ! -path '/etc/ufw/*.rules' -exec sha256sum {} + | sort
	ufw status
	systemctl list-unit-files --no-legend
}

want "cloud-init ended well" grep -q '"errors": \[\]' /run/cloud-init/result.json
want "with the data of AWS" grep -q DataSourceEc2 /run/cloud-init/result.json
want "setup ended well" test -s /var/lib/ohguard-setup/proxy-delivery-id
deny "the package sources have http" grep -rhE '^deb[^#]* http:' /etc/apt/sources.list /etc/apt/sources.list.d
for unit in nginx fail2ban ssh ohguard-refresh.timer; do want "$unit is active" active $unit; done
want "the guard is in force" sh -c 'ohguard status --json | grep -q "\"enforcing\": true"'
want "with its own list" sh -c 'ohguard list | grep -q 10.0.1.0/24:3000 && ohguard list | grep -q archive.ubuntu.com'
deny "it reaches what is not on it" curl -sk --max-time 15 https://google.com/
deny "nor by address" curl -sk --max-time 15 https://1.1.1.1/
want "the refusal is told" sh -c 'ohguard events --json | grep -q 1.1.1.1'
want "ufw lets in these three ports and no other" test \
	"$(ufw status | awk '$2 ~ /ALLOW|LIMIT/ && $1 !~ /v6/ { print $1, $2 }' | tr '\n' ' ')" = \
	"22/tcp ALLOW 80/tcp ALLOW 443/tcp ALLOW "
want "fail2ban watches both doors" sh -c 'fail2ban-client status | grep -q "nginx-http-auth, sshd"'
want "one of them by nginx's own log" sh -c \
	'fail2ban-client get nginx-http-auth logpath | grep -q /var/log/nginx/error.log'
want "its clock is Amazon's" test "$(timedatectl show-timesync --property=ServerAddress --value)" = 169.254.169.123
want "the password's bcrypt hash stays" grep -q '^agent:.2y.05' /etc/nginx/ohguard.htpasswd
deny "the password is in a file" grep -rqsF "$password" /etc /var /usr/local /run /tmp
deny "the password is in the journal" sh -c "journalctl --no-pager | grep -qF '$password'"
want "only nginx and root read the hash" test "$(stat -c '%U %G %a' /etc/nginx/ohguard.htpasswd)" = "root www-data 640"
want "only root reads the key" test "$(stat -c '%U %a' /etc/ohguard/tls/key.pem /etc/ohguard/tls | tr '\n' ' ')" = \
	"root 600 root 700 "
want "sshd takes no password and no root" sh -c \
	'sshd -T | grep -qx "passwordauthentication no" && sshd -T | grep -qx "permitrootlogin no"'
want "its unit is well formed" systemd-analyze verify --man=no /etc/systemd/system/ohguard-certificate.service
state >/root/before
again() { bash /home/ubuntu/.ohguard-delivery/proxy-setup >/root/again 2>&1 || { cat /root/again && return 1; }; }
want "the setup runs again" again
state >/root/after
want "and changes nothing" diff /root/before /root/after
