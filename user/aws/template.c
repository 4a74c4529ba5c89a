// SPDX-License-Identifier: MIT
/* The files of user/aws/files/ and the guard's own units, inside the program. Paths are from the top of the source tree, where make runs. */
#include "aws/render.h"

#define FILES(X) \
	X(proxy, "proxy", "user/aws/files/proxy.yaml", "first boot of the proxy (cloud-init)") \
	X(server, "server", "user/aws/files/server.yaml", "first boot of a server (cloud-init); server-N for one of several") \
	X(first_boot, "first-boot", "user/aws/files/first-boot.yaml", "what both first boots begin with") \
	X(sshd, "sshd", "user/aws/files/sshd.conf", "sshd of both") \
	X(nginx, "nginx-site", "user/aws/files/nginx-site.conf", "the proxy's web door") \
	X(fail2ban, "fail2ban", "user/aws/files/fail2ban.conf", "the proxy's fail2ban") \
	X(proxy_setup, "proxy-setup", "user/aws/files/proxy-setup.sh", "makes the machine the proxy") \
	X(proxy_setup_unit, "proxy-setup.service", "user/aws/files/proxy-setup.service", "runs that until it succeeded") \
	X(proxy_password, "proxy-password", "user/aws/files/proxy-password.sh", "makes and tells the web password, on the proxy") \
	X(certificate, "certificate", "user/aws/files/certificate.sh", "gets the certificate where there is a domain") \
	X(certificate_unit, "certificate.service", "user/aws/files/certificate.service", "runs that until it succeeded") \
	X(server_setup, "server-setup", "user/aws/files/server-setup.sh", "guard, Docker and OpenHands on a server") \
	X(openhands_run, "openhands-run.sh", "user/aws/files/openhands-run.sh", "starts OpenHands") \
	X(docker_run, "openhands-docker.sh", "user/aws/files/openhands-docker.sh", "starts the agent's rootless Docker") \
	X(openhands_unit, "openhands.service", "user/aws/files/openhands.service", "OpenHands") \
	X(docker_unit, "openhands-docker.service", "user/aws/files/openhands-docker.service", "the agent's rootless Docker") \
	X(guard_unit, "ohguard.service", "systemd/ohguard.service.in", "the guard at boot") \
	X(refresh_unit, "ohguard-refresh.service", "systemd/ohguard-refresh.service.in", "resolves what is due") \
	X(refresh_timer, "ohguard-refresh.timer", "systemd/ohguard-refresh.timer", "and when") \
	X(set_key, "set-key.sh", "user/aws/files/set-key.sh", "takes the API key on a server") \
	X(verify, "verify", "user/aws/files/verify.sh", "what `aws verify` runs on a server") \
	X(policy, "policy", "user/aws/files/policy.conf", "the strict list of a server") \
	X(policy_install, "policy-install", "user/aws/files/policy-install.conf", "its list while it installs")

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
