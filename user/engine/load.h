/* SPDX-License-Identifier: MIT */
/* Loads the object inside this binary, up to programs that can be attached. */
#ifndef OHGUARD_LOAD_H
#define OHGUARD_LOAD_H

#include "engine/engine.h"
#include "policy/config.h"

struct engine_program_set;	/* loaded programs that are not attached yet */

/* Checks what loading needs: capabilities, and a bpffs, which is mounted if it is missing. 0 or a negative errno. */
int engine_check_system(const char *pins, struct error *e);

/* Loads the programs and opens their maps: those of `previous` (NULL: none) if the layout agrees, else new ones. */
int engine_prepare(const struct config *c, bool observe, const struct engine *previous, struct engine_program_set **ret,
		   struct engine *ret_engine, struct error *e);
/* The programs in force, if loading would make the same ones: of this build, under the same settings, all of one load,
 * with the maps of in_force. They need not be verified again. -ENOENT: they are others, or some are missing. */
int engine_take_programs(const struct config *c, bool observe, const char *pins, const struct engine *in_force,
			 struct engine_program_set **ret);
/* A program's descriptor, -1 if it is not needed. It still belongs to the set. */
int engine_program(const struct engine_program_set *set, enum oh_hook hook);
void engine_free_set(struct engine_program_set *set);

#endif
