set -u
limit=20

check() { # NAME works|fails COMMAND...
	local name=$1 expected=$2 got=fails
	shift 2
	if timeout "$limit" "$@" >/dev/null 2>&1 </dev/null; then
		got=works
	fi
	if [ "$got" = "$expected" ]; then
		printf 'ok\t%s\t%s\n' "$name" "$got"
	else
		printf 'FAIL\t%s\t%s, must not be\n' "$name" "$got"
	fi
}

reach() { curl --silent --output /dev/null --max-time 15 "$1"; }
clock() { # asks the time server that first boot configures, as a plain client; an answer is a server's (mode 4)
	python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(5)
s.sendto(b"\x23" + bytes(47), ("169.254.169.123", 123))
data = s.recv(512)
raise SystemExit(len(data) < 48 or data[0] & 7 != 4)'
}
loaded() { ohguard status --json | grep -q '"enforcing": true'; }
export -f reach clock loaded

service() { # UNIT: it must be active; else its last lines
	local state
	state=$(systemctl is-active "$1")
	if [ "$state" = active ]; then
		printf 'ok\t%s runs\tactive\n' "$1"
	else
		printf 'FAIL\t%s runs\t%s: %s\n' "$1" "$state" \
			"$(journalctl --unit "$1" --lines 5 --output cat --no-pager 2>&1 | tr '\n\t' '| ')"
	fi
}
