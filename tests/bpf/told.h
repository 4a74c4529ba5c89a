/* SPDX-License-Identifier: MIT */
/* What was refused a moment ago is only counted: a test of events begins without that. */
#ifndef OHGUARD_TEST_TOLD_H
#define OHGUARD_TEST_TOLD_H

#include <stdlib.h>

#include "engine/engine.h"

static inline bool told_all(const void *key, const void *context)
{
	(void)key;
	(void)context;
	return true;
}

/* What was told before is told again. */
static inline void told_forget(const struct engine *engine)
{
	struct error e;

	if (engine_remove_keys(engine, ENGINE_FOLDS, told_all, NULL, &e))
		abort();
}

#endif
