#!/bin/sh
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
	printf 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n' "$accept"
	text=$(head -c 10 | tail -c 4)	# of a frame of four bytes behind a mask of zeros
	printf '\201\004%s' "$text"
	exit
fi
body=$(
	echo "path $path"
	echo "key $(printf %s "$LLM_API_KEY" | sha256sum | cut -c 1-16)"
	echo "runtime $SANDBOX_RUNTIME_CONTAINER_IMAGE"
	echo "password ${password:-not told}"
	wget -q -O /dev/null -T 15 https://api.openai.com/ 2>/dev/null && echo "model reached" || echo "model not reached"
	test -S /var/run/docker.sock && echo "docker there"
	# example.com: its port 80 answers whoever gets there
	wget -q -O /dev/null -T 5 http://203.0.113.17/ 2>/dev/null && echo "container escaped" || echo "container contained"
)
printf 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %s\r\nConnection: close\r\n\r\n%s' "${#body}" "$body"
