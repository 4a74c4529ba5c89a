#!/bin/sh
# mode: systemd
# boots: 3
# alone: yes
# full: yes
# root: cloud
# place: proxy
# timeout: 900
# files: build/ohguard:/vm/ohguard
# The proxy's user data from its first boot on: packages over https, and what the machine is then, seen from outside.
. /vm/cloud.sh

password=/root/password
state() { find /etc /usr/local -type f -newer /root/mark ! -path '/etc/ufw/*.rules' | sort; ufw status; }
serves() {
    for unit in nginx fail2ban ssh; do want "$unit is active" systemctl -q is-active "$unit"; done
    want "ufw lets in these three ports and no other" test \
        "$(ufw status | awk '$2 ~ /ALLOW|LIMIT/ && $1 !~ /v6/ { print $1, $2 }' | tr '\n' ' ')" = "22/tcp LIMIT 80/tcp ALLOW 443/tcp ALLOW "
    for port in 22 80 443; do want "port $port is open" looks "port/10.0.0.1/$port" open; done
    python3 -m http.server 8080 >/dev/null 2>&1 &
    for _ in $(seq 100); do curl -s -o /dev/null http://10.0.0.10:8080/ && break; sleep 0.1; done
    want "another port is shut, though a program listens" looks port/10.0.0.1/8080 silent
    kill $!
    want "http redirects" looks get/10.0.0.1/http/80/x 301
    want "no password: refused" looks get/10.0.0.1/https/443/ 401
    want "the password: the server answers" looks get/10.0.0.1/https/443/ 200 "agent:$(cat $password)"
}

case $OHGUARD_VM_BOOT in
    1) seed proxy 10.0.0.10 10.0.0.1 ;;
    2)
        first_boot_done
        for _ in $(seq 240); do systemctl -q is-active ohguard-proxy-setup && break; sleep 1; done
        want "setup ended well" systemctl -q is-active ohguard-proxy-setup
        well || journalctl --no-pager -b -u ohguard-proxy-setup | tail -40
        want "at the first try" test "$(systemctl show -P NRestarts ohguard-proxy-setup)" = 0
        deny "the package sources have http" grep -rhE '^deb[^#]* http:' /etc/apt/sources.list /etc/apt/sources.list.d
        want "the password is told" sh -c "ohguard-proxy-password >$password"
        deny "once" ohguard-proxy-password
        want "as its bcrypt hash it stays" grep -q '^agent:.2y.05' /etc/nginx/ohguard.htpasswd
        deny "in no other file" grep -rqsF "$(cat $password)" /etc /var /usr/local /run /tmp
        deny "nor in the journal" sh -c "journalctl --no-pager | grep -qF \"\$(cat $password)\""
        want "only nginx and root read the hash" test "$(stat -c '%U %G %a' /etc/nginx/ohguard.htpasswd)" = "root www-data 640"
        want "only root reads the key" test "$(stat -c '%U %a' /etc/ohguard/tls/key.pem /etc/ohguard/tls | tr '\n' ' ')" = "root 600 root 700 "
        serves
        want "sshd takes no password and no root" sh -c \
            'sshd -T | grep -qx "passwordauthentication no" && sshd -T | grep -qx "permitrootlogin no"'
        want "the units are well formed" systemd-analyze verify --man=no /etc/systemd/system/ohguard-proxy-setup.service \
            /etc/systemd/system/ohguard-certificate.service
        touch /root/mark
        before=$(state)
        want "the setup runs again" sh -c 'ohguard-proxy-setup >/root/again 2>&1 || { cat /root/again; exit 1; }'
        want "and changes nothing" test "$(state)" = "$before"
        for _ in $(seq 12); do visit get/192.0.2.99/https/443/ agent:guess >/dev/null; done
        for _ in $(seq 60); do fail2ban-client status nginx-http-auth | grep -q 192.0.2.99 && break; sleep 1; done
        want "fail2ban shuts out who guesses" looks get/192.0.2.99/https/443/ 000
        want "and nobody else" looks get/10.0.0.1/https/443/ 401
        sync
        ;;
    3)
        for _ in $(seq 100); do systemctl -q is-active fail2ban nginx && break; sleep 0.5; done
        serves
        deny "the setup ran again at boot" systemctl -q is-active ohguard-proxy-setup
        ;;
esac
finish
