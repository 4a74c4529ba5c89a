# 4 is "in force, but not all of it as configured": a name that does not resolve yet, or nothing let out at all.
guard() { /usr/local/sbin/ohguard "$@" || [ $? = 4 ]; }

put_guard() {
	local unit
	put ohguard /usr/local/sbin/ohguard 0755
	for unit in ohguard.service ohguard-gate.service ohguard-refresh.service ohguard-refresh.timer \
		ohguard-events.service; do
		put "$unit" "/etc/systemd/system/$unit" 0644
	done
	# At each boot it asks the metadata service, which the guard refuses: without an answer it would take this for a
	# new machine, and give it new host keys.
	touch /etc/cloud/cloud-init.disabled
}

enable_guard() {
	systemctl enable ohguard.service ohguard-refresh.timer
	systemctl start ohguard-refresh.timer
}

# Checked before it is put in place, so that a bad file leaves the old policy in force.
guard_with() { # POLICY
	if ! cmp -s "$here/$1" /etc/ohguard/ohguard.conf; then
		# A copy of root's: the guard takes no rules from a file that somebody else owns, as the delivery is.
		install -D -m 0644 "$here/$1" /etc/ohguard/ohguard.conf.new
		/usr/local/sbin/ohguard load --dry-run -c /etc/ohguard/ohguard.conf.new
		mv -f /etc/ohguard/ohguard.conf.new /etc/ohguard/ohguard.conf
	fi
	guard load
	guard refresh
}
