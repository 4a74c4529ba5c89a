// SPDX-License-Identifier: MIT
#include "aws/secrets.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "aws/ssh.h"
#include "aws/turn.h"

#define SESSION_KEY "/etc/credstore/openhands.session-key"
#define START_SECONDS 900	/* of an agent with its image */
#define IDLE_SECONDS 3600
#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)
#define PASSWORD "sudo -n /usr/local/sbin/ohguard-proxy-password "

static int read_key(FILE *in, char *key, int size, struct error *e)
{
	size_t len;

	if (isatty(fileno(in)))
		return error_set(e, EINVAL, "set-key reads the key from standard input, not from the terminal that "
				 "shows it: `ohguard aws set-key <FILE`");
	setvbuf(in, NULL, _IONBF, 0);	/* no copy in a buffer of stdio */
	if (!fgets(key, size, in))
		return error_set(e, EINVAL, "set-key: nothing on standard input");
	len = strcspn(key, "\r\n");
	key[len] = '\0';
	for (size_t i = 0; i < len; i++) {
		if (!isgraph((unsigned char)key[i]))
			len = 0;
	}
	if (!len || len > 2048)
		return error_set(e, EINVAL, "set-key: expected one line of 1 to 2048 visible characters");
	return 0;
}

int secrets_set_key(struct stack_view *v, FILE *in, bool when_idle, const char *const *names, int count, FILE *progress,
		    struct error *e)
{
	static const char plain[] = "sudo -n /usr/local/sbin/ohguard-set-key";
	static const char idle[] = "sudo -n /usr/local/sbin/ohguard-set-key --when-idle " TEXT(IDLE_SECONDS);
	unsigned int seconds = START_SECONDS + (when_idle ? IDLE_SECONDS : 0);
	char key[4096] = "";
	int r = view_check_names(v, names, count, false, e);

	if (!r)
		r = read_key(in, key, sizeof(key), e);
	if (!r)
		r = ssh_prepare(v, e);
	for (unsigned int i = 0; !r && i < v->count; i++) {
		if (!server_is_wanted(&v->nodes[i], names, count))
			continue;
		fprintf(progress, "%s: takes the key, and starts the agent again%s\n", v->nodes[i].key,
			when_idle ? " when it is idle" : "");
		r = turn_hold(v, seconds, e);
		if (!r)
			r = ssh_must(v, v->nodes[i].key, when_idle ? idle : plain, key, seconds, "set-key", e);
		if (!r)
			fprintf(progress, "%s: has the key\n", v->nodes[i].key);
		v->changed |= !r;
	}
	explicit_bzero(key, sizeof(key));
	return r;
}

/* ssh gives the command to a shell there: a user's name must not need quoting. */
static int check_user(const char *user, struct error *e)
{
	size_t len = strlen(user);

	if (len && len <= 32 && *user != '-' && strspn(user, "abcdefghijklmnopqrstuvwxyz0123456789_-") == len)
		return 0;
	return error_set(e, EINVAL, "user %.64s: expected 1 to 32 of a-z, 0-9, '-' and '_'", user);
}

int secrets_password(struct stack_view *v, enum password_act act, const char *user, char ret[64], struct error *e)
{
	char change[128], fetch[128];
	struct proc_result result;
	int r = check_user(user, e);

	if (!r)
		r = ssh_prepare(v, e);
	snprintf(change, sizeof(change), PASSWORD "%s %s", act == PASSWORD_NEW ? "--new" : "--remove", user);
	snprintf(fetch, sizeof(fetch), PASSWORD "%s", user);
	if (!r && act != PASSWORD_FETCH)
		r = ssh_must(v, "proxy", change, NULL, 60, "password", e);
	*ret = '\0';
	v->changed |= !r;
	if (r || act == PASSWORD_REMOVE)
		return r;
	r = ssh_run(v, "proxy", fetch, NULL, 60, &result, e);
	if (!r && result.status)
		r = error_set(e, EIO, "proxy: %.*s", (int)strcspn(result.err, "\n"), result.err);
	if (!r) {
		snprintf(ret, 64, "%.*s", (int)strcspn(result.out, "\r\n"), result.out);
	}
	proc_free(&result);
	return r;
}

int session_share(struct stack_view *v, const struct node *server, struct error *e)
{
	char address[20], command[128];
	struct proc_result result;
	int r;

	cidr_host(&v->stack->private, SERVER_HOST(server->server), address);
	snprintf(command, sizeof(command), "sudo -n /usr/local/sbin/ohguard-proxy-session %s:3000", address);
	r = ssh_run(v, server->key, "sudo -n cat " SESSION_KEY, NULL, 60, &result, e);
	if (!r && result.status)
		r = error_set(e, EIO, "%s: no " SESSION_KEY, server->key);
	if (!r)
		r = ssh_must(v, "proxy", command, result.out, 60, "taking the session key", e);
	explicit_bzero(result.out, result.out ? strlen(result.out) : 0);
	proc_free(&result);
	return r;
}
