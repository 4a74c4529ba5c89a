#!/bin/sh
# SPDX-License-Identifier: MIT
# In the place of OpenHands' image: answers one request on standard input, as a WebSocket or with what it was given.
read -r _ path _
while read -r name value; do
	value=${value%?}	# CR
	case $name in
	"" | "$(printf '\r')") break ;;
	[Uu]pgrade:) upgrade=$value ;;
	[Ss]ec-[Ww]eb[Ss]ocket-[Kk]ey:) key=$value ;;
	[Aa]uthorization:) password=told ;;
	esac
done
if [ "$upgrade" = websocket ]; then
	accept=$(printf %s258EAFA5-E914-47DA-95CA-C5AB0DC85B11 "$key" | sha1sum | cut -d ' ' -f 1 | xxd -r -p | base64)
	printf 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
	printf 'Sec-WebSocket-Accept: %s\r\n\r\n' "$accept"
	text=$(head -c 10 | tail -c 4)	# of a frame of four bytes behind a mask of zeros
	printf '\201\004%s' "$text"
	exit
fi
body=$(
	echo "path $path"
	echo "key $(printf %s "$LLM_API_KEY" | sha256sum | cut -c 1-16)"
	echo "runtime $SANDBOX_RUNTIME_CONTAINER_IMAGE"
	echo "password ${password:-not told}"
	# Not wget -T: Debian's busybox crashes on it.
	timeout 30 wget -q -O /dev/null https://api.openai.com/ 2>/dev/null &&
		echo "model reached" || echo "model not reached: $?"
	test -S /var/run/docker.sock && echo "docker there"
	# example.com: its port 80 answers whoever gets there
	timeout 5 wget -q -O /dev/null http://203.0.113.17/ 2>/dev/null
	case $? in
	0) echo "container escaped" ;;
	1 | 143) echo "container contained" ;;	# refused, or no answer
	*) echo "wget ended with $?" ;;
	esac
)
printf 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %s\r\nConnection: close\r\n\r\n%s' "${#body}" \
	"$body"
