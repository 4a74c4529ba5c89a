// SPDX-License-Identifier: MIT
/* What the sanitizers do in build/asan/ohguard. Compiled in, since tests and the lock clear the environment. */

const char *__asan_default_options(void);
const char *__ubsan_default_options(void);
const char *__lsan_default_suppressions(void);

#define ALIKE "exitcode=99:print_suppressions=0:log_path=" REPORTS

const char *__asan_default_options(void)
{
	return ALIKE "/asan:detect_stack_use_after_return=1";
}

const char *__ubsan_default_options(void)
{
	return ALIKE "/ubsan:print_stacktrace=1";
}

/* cmd_parse() never frees popt's context, which owns the arguments. */
const char *__lsan_default_suppressions(void)
{
	return "leak:libpopt\n";
}
