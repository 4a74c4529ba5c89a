# shellcheck shell=sh
# For cases that are an instance of AWS (root: cloud): the next boot is the instance's first.
. /vm/lib.sh

# seed HOST ADDRESS GATEWAY: its user data for cloud-init, its network, and what `internet` is trusted by.
seed() {
    printf '[stack]\noperator = 198.51.100.1\n' >/root/stack.conf
    mkdir -p /var/lib/cloud/seed/nocloud
    /vm/ohguard aws render "$1" -c /root/stack.conf >/var/lib/cloud/seed/nocloud/user-data || die "render $1"
    printf 'instance-id: i-%s\n' "$1" >/var/lib/cloud/seed/nocloud/meta-data
    rm /etc/cloud/cloud-init.disabled
    printf '[Match]\nName=eth0\n[Network]\nAddress=%s/24\nGateway=%s\nDNS=10.0.0.2\n' "$2" "$3" \
        >/etc/systemd/network/eth0.network
    networkctl reload
    for _ in $(seq 50); do
        openssl s_client -connect 203.0.113.10:443 </dev/null 2>/dev/null | openssl x509 >/root/internet.crt 2>/dev/null && break
        sleep 0.2
    done
    want "the internet is there" test -s /root/internet.crt
    cat /root/internet.crt >>/etc/ssl/certs/ca-certificates.crt
    cp /root/internet.crt /usr/local/share/ca-certificates/
    sync
}

# visit WHAT...: how this machine looks from outside.
visit() { curl -s --max-time 30 "https://api.openai.com/visit/$1" ${2+--data-binary "$2"}; }
looks() { test "$(visit "$1" ${3+"$3"} | tail -n 1)" = "$2"; }

first_boot_done() {
    timeout 400 cloud-init status --wait >/dev/null
    want "cloud-init ended well" sh -c 'cloud-init status | grep -qx "status: done"'
    well || cloud-init status --long
    grep -E 'WARNING|ERROR|Traceback' /var/log/cloud-init.log | head -20
}
