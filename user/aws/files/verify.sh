#!/bin/bash
# What must work and what must fail on a guarded server: one line each, "ok|FAIL NAME".
@file:verify-checks@

check "guard is loaded" works bash -c loaded
service ohguard-refresh.timer
service openhands.service
check "OpenHands answers" works curl --silent --fail --max-time 15 http://127.0.0.1:3000/ready
check "https to @MODEL_HOST@" works bash -c 'reach https://@MODEL_HOST@/'
check "DNS for @MODEL_HOST@" works getent ahostsv4 @MODEL_HOST@
check "NTP" works bash -c clock
check "https to google.com" fails bash -c 'reach https://google.com/'
check "https to github.com" fails bash -c 'reach https://github.com/'
check "DNS for github.com" fails getent ahostsv4 github.com
check "ping 8.8.8.8" fails ping -c 1 -W 5 8.8.8.8
check "http to example.com" fails bash -c 'reach http://example.com/'
check "https to 1.1.1.1" fails bash -c 'reach https://1.1.1.1/'
# A token, as version 2 asks: without one it refuses by itself, guard or not.
check "metadata service as the agent" fails runuser -u openhands -- curl --silent --fail --max-time 3 --request PUT \
	--header "X-aws-ec2-metadata-token-ttl-seconds: 60" http://169.254.169.254/latest/api/token
