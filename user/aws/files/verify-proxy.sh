#!/bin/bash
# What must work and what must fail on the proxy: one line each, "ok|FAIL NAME".
@file:verify-checks@

check "guard is loaded" works bash -c loaded
for unit in ohguard-refresh.timer nginx.service fail2ban.service; do service "$unit"; done
check "https to @MIRROR_HOST@" works bash -c 'reach https://@MIRROR_HOST@/'
check "NTP" works bash -c clock
check "https to google.com" fails bash -c 'reach https://google.com/'
check "DNS for github.com" fails getent ahostsv4 github.com
check "https to 1.1.1.1" fails bash -c 'reach https://1.1.1.1/'
check "metadata service" fails curl --silent --fail --max-time 3 --request PUT \
	--header "X-aws-ec2-metadata-token-ttl-seconds: 60" http://169.254.169.254/latest/api/token
