/* SPDX-License-Identifier: MIT */
/* Connections that others have made to this machine, as sock_diag tells of them in this network namespace. */
#ifndef OHGUARD_SESSIONS_H
#define OHGUARD_SESSIONS_H

#include <stdint.h>
#include <sys/types.h>

#include "engine/engine.h"

struct session {
	struct oh_address local, remote;
	uint16_t local_port, remote_port;	/* host byte order */
	uint64_t cgroup;		/* of its socket, 0: not known */
	uint64_t inode;			/* of its socket */
};

/* Visits the established connections to ports on which a socket listens. Loopback's are left out. */
int sessions_walk(void (*visit)(const struct session *s, void *context), void *context, struct error *e);

/* True if a process of that session's socket is an ssh server. Looks through all processes. */
bool session_is_ssh(const struct session *s);

#endif
