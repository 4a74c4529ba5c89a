/* The eBPF objects inside this binary. */
#ifndef OHGUARD_OBJECT_H
#define OHGUARD_OBJECT_H

#include "error.h"

struct bpf_object;

enum object {
	OBJECT_ENGINE,	/* bpf/ohguard.bpf.c */
	OBJECT_LOCK,	/* bpf/lock.bpf.c */
};

/* Unpacks and opens one, not loaded yet. From then on libbpf is silent; OHGUARD_DEBUG shows what it says. */
int object_open(enum object which, struct bpf_object **ret, struct error *e);
/* libbpf's last warning, which is the reason for its last failure; "" where there was none. */
const char *object_warning(void);

#endif
