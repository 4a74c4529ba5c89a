// SPDX-License-Identifier: MIT
/* The files of user/aws/files/ and the guard's own units, inside the program. */
#include "aws/render.h"

/* From the top of the source tree, where make runs. */
#define IN "user/aws/files/"

#define FILES(X) \
	X(proxy, "proxy", IN "proxy.yaml", "first boot of the proxy (cloud-init)") \
	X(server, "server", IN "server.yaml", "first boot of a server (cloud-init); server-N for one of several") \
	X(first_boot, "first-boot", IN "first-boot.yaml", "what both first boots begin with") \
	X(sshd, "sshd", IN "sshd.conf", "sshd of both") \
	X(nginx, "nginx-site", IN "nginx-site.conf", "the proxy's web door") \
	X(fail2ban, "fail2ban", IN "fail2ban.conf", "the proxy's fail2ban") \
	X(fail2ban_web, "fail2ban-web", IN "fail2ban-web.conf", "whom it counts at the web door") \
	X(proxy_setup, "proxy-setup", IN "proxy-setup.sh", "makes the machine the proxy") \
	X(proxy_password, "proxy-password", IN "proxy-password.sh", "makes and tells web passwords, on the proxy") \
	X(proxy_session, "proxy-session", IN "proxy-session.sh", "takes what OpenHands lets the proxy in with") \
	X(converse, "converse", IN "converse.py", "the conversation that `aws verify` has, on the proxy") \
	X(certificate, "certificate", IN "certificate.sh", "gets the certificate where there is a domain") \
	X(certificate_unit, "certificate.service", IN "certificate.service", "runs that until it succeeded") \
	X(put, "put", IN "put.sh", "how both setups put a file in place") \
	X(guard, "guard", IN "guard.sh", "how both setups install the guard and give it a list") \
	X(server_setup, "server-setup", IN "server-setup.sh", "guard, Docker and OpenHands on a server") \
	X(openhands_run, "openhands-run.sh", IN "openhands-run.sh", "starts OpenHands") \
	X(openhands_settings, "openhands-settings.py", IN "openhands-settings.py", "tells it its model and key") \
	X(docker_run, "openhands-docker.sh", IN "openhands-docker.sh", "starts the agent's rootless Docker") \
	X(openhands_unit, "openhands.service", IN "openhands.service", "OpenHands") \
	X(docker_unit, "openhands-docker.service", IN "openhands-docker.service", "the agent's rootless Docker") \
	X(guard_unit, "ohguard.service", "systemd/ohguard.service.in", "the guard at boot") \
	X(events_unit, "ohguard-events.service", "systemd/ohguard-events.service.in", "answers refused names") \
	X(gate_unit, "ohguard-gate.service", "systemd/ohguard-gate.service.in", "no network without it") \
	X(refresh_unit, "ohguard-refresh.service", "systemd/ohguard-refresh.service.in", "resolves what is due") \
	X(refresh_timer, "ohguard-refresh.timer", "systemd/ohguard-refresh.timer", "and when") \
	X(state_disk, "state-disk", IN "state-disk.sh", "mounts the volume with what the agent makes") \
	X(grow, "grow", IN "grow.sh", "makes file systems as large as their disks") \
	X(update, "update", IN "update.sh", "Ubuntu's updates on a machine") \
	X(update_unit, "update.service", IN "update.service", "runs that, and puts the strict list back") \
	X(iam_policy, "iam-policy", IN "iam-policy.json", "what the AWS user or role needs (IAM)") \
	X(set_key, "set-key.sh", IN "set-key.sh", "takes the API key on a server") \
	X(verify, "verify", IN "verify.sh", "what `aws verify` runs on a server") \
	X(verify_proxy, "verify-proxy", IN "verify-proxy.sh", "and on the proxy") \
	X(verify_checks, "verify-checks", IN "verify-checks.sh", "how both try what they do") \
	X(policy, "policy", IN "policy.conf", "the strict list of a server") \
	X(policy_install, "policy-install", IN "policy-install.conf", "its list while it installs") \
	X(policy_proxy, "policy-proxy", IN "policy-proxy.conf", "the list of the proxy")

#define EMBED(id, name, file, help) \
	__asm__(".section .rodata,\"a\"\n" \
		"template_" #id ": .incbin \"" file "\"\n" \
		"template_" #id "_end: .byte 0\n" \
		".text\n"); \
	extern const char template_##id[] __attribute__((visibility("hidden"))); \
	extern const char template_##id##_end[] __attribute__((visibility("hidden")));
FILES(EMBED)

#define ENTRY(id, name, file, help) { name, template_##id, template_##id##_end, help },
const struct template templates[] = { FILES(ENTRY) };
const unsigned int templates_count = sizeof(templates) / sizeof(*templates);
