#!/bin/sh
# SPDX-License-Identifier: MIT
# One answer of the agent server's API, on standard input and output: what the delivered scripts ask for. The real one,
# which test_agent.py has, takes an emulated machine an hour to pull and start.
settings=/tmp/settings
read -r method path _
while read -r name value; do
	value=${value%?}	# CR
	case $name in
	"" | "$(printf '\r')") break ;;
	[Uu]pgrade:) upgrade=$value ;;
	[Ss]ec-[Ww]eb[Ss]ocket-[Kk]ey:) key=$value ;;
	[Aa]uthorization:) password=told ;;
	[Cc]ontent-[Ll]ength:) length=$value ;;
	[Xx]-[Ss]ession-[Aa][Pp][Ii]-[Kk]ey:) session=$value ;;
	esac
done

reply() { # STATUS TYPE, and the body
	printf 'HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %s\r\n' "$1" "$2" "${#3}"
	printf 'Connection: close\r\n\r\n%s' "$3"
	exit
}
json() { reply "200 OK" application/json "$1"; }

stored_key() { sed -n 's/.*"api_key": "\([^"]*\)".*/\1/p' "$settings" 2>/dev/null; }
# Not wget -T: Debian's busybox crashes on it.
model() { timeout 30 wget -q -O /dev/null https://api.openai.com/ 2>/dev/null && echo 42; }

look() {
	echo "path $path"
	echo "key $(stored_key | tr -d '\n' | sha256sum | cut -c 1-16)"
	echo "password ${password:-not told}"
	echo "model reached: $(model)"
	test -S /var/run/docker.sock && echo "docker there"
	for folder in /projects /home/openhands/.openhands; do
		touch $folder/mine && echo "$folder is its own"
	done
	# example.com: its port 80 answers whoever gets there
	timeout 5 wget -q -O /dev/null http://203.0.113.17/ 2>/dev/null
	case $? in
	0) echo "container escaped" ;;
	1 | 143) echo "container contained" ;;	# refused, or no answer
	*) echo "wget ended with $?" ;;
	esac
}

[ "$path" != /ready ] || json '{"status": "ready"}'
[ "$session" = "$OH_SESSION_API_KEYS_0" ] || reply "401 Unauthorized" text/plain "no session key"
if [ "$upgrade" = websocket ]; then
	accept=$(printf %s258EAFA5-E914-47DA-95CA-C5AB0DC85B11 "$key" | sha1sum | cut -d ' ' -f 1 | xxd -r -p | base64)
	printf 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
	printf 'Sec-WebSocket-Accept: %s\r\n\r\n' "$accept"
	text=$(head -c 10 | tail -c 4)	# of a frame of four bytes behind a mask of zeros
	printf '\201\004%s' "$text"
	exit
fi
case "$method ${path%%\?*}" in
"PATCH /api/settings")
	head -c "$length" >$settings
	json '{"llm_api_key_is_set": true}'
	;;
"GET /api/settings") json "{\"agent_settings\": {\"llm\": {\"api_key\": \"$(stored_key)\"}}}" ;;
"GET /api/conversations/search") json '{"items": [], "next_page_id": null}' ;;
"POST /api/conversations") json '{"id": "1"}' ;;
"GET /api/conversations/1") json '{"execution_status": "finished"}' ;;
"GET /api/conversations/1/agent_final_response") json "{\"response\": \"$(model)\"}" ;;
"DELETE /api/conversations/1") json '{}' ;;
*) reply "200 OK" text/plain "$(look)" ;;
esac
