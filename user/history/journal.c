// SPDX-License-Identifier: MIT
/* systemd's "Native Journal Protocol": FIELD=value lines, or FIELD, a newline, the value's length in 8 bytes, least
 * first, and the value, which may then hold anything. */
#include "history/journal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/reason.h"
#include "history/print.h"
#include "policy/address.h"

int history_journal_open(void)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX, .sun_path = HISTORY_JOURNAL };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof(to))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static void put(FILE *f, const char *field, const char *value, size_t length)
{
	unsigned char size[8];

	for (int i = 0; i < 8; i++)
		size[i] = (unsigned char)((uint64_t)length >> 8 * i);
	fprintf(f, "%s\n", field);
	fwrite(size, 1, sizeof(size), f);
	fwrite(value, 1, length, f);
	fputc('\n', f);
}

static void put_text(FILE *f, const char *field, const char *value)
{
	if (value)
		put(f, field, value, strlen(value));
}

static void put_number(FILE *f, const char *field, uint64_t value)
{
	fprintf(f, "%s=%llu\n", field, (unsigned long long)value);
}

static void put_address(FILE *f, const char *field, const struct oh_address *address)
{
	char text[ADDRESS_TEXT_MAX];

	if (history_address_is_set(address))
		put_text(f, field, address_format(address, text));
}

static void put_message(FILE *f, const struct history_record *r)
{
	char *text = NULL;
	size_t size = 0;
	FILE *m = open_memstream(&text, &size);

	if (!m)
		return;
	history_print_line(m, r);
	fclose(m);
	put(f, "MESSAGE", text, size);
	free(text);
}

void history_journal_send(int journal, const char *instance, const struct history_record *r, const char *line_hash)
{
	char *text = NULL, protocol[HISTORY_PROTOCOL_MAX];
	size_t size = 0;
	FILE *f = journal < 0 ? NULL : open_memstream(&text, &size);

	if (!f)
		return;
	put_message(f, r);
	fputs("PRIORITY=5\nSYSLOG_IDENTIFIER=ohguard\n", f);
	put_text(f, "OHGUARD_INSTANCE", instance);
	put_text(f, "OHGUARD_VERDICT", r->observed ? "observed" : "refused");
	put_text(f, "OHGUARD_REASON", reason_name(r->reason));
	put_text(f, "OHGUARD_HOOK", history_hook(r->hook));
	put_text(f, "OHGUARD_PROTOCOL", history_protocol(r->protocol, protocol));
	put_text(f, "OHGUARD_NAME", r->name);
	put_text(f, "OHGUARD_TARGET", r->target);
	put_address(f, "OHGUARD_SOURCE", &r->source);
	put_address(f, "OHGUARD_DESTINATION", &r->destination);
	put_number(f, "OHGUARD_SOURCE_PORT", r->source_port);
	put_number(f, "OHGUARD_DESTINATION_PORT", r->destination_port);
	put_number(f, "OHGUARD_COUNT", r->count);
	put_number(f, "OHGUARD_PID", r->pid);
	put_number(f, "OHGUARD_UID", r->uid);
	put_text(f, "OHGUARD_COMMAND", r->command);
	put_text(f, "OHGUARD_CGROUP", r->cgroup);
	put_text(f, "OHGUARD_CONTAINER", r->container);
	put_text(f, "OHGUARD_CONTAINER_NAME", r->container_name);
	put_text(f, "OHGUARD_INTERFACE", r->interface);
	put_number(f, "OHGUARD_LINE", r->line);
	put_text(f, "OHGUARD_HASH", line_hash);
	fclose(f);
	if (send(journal, text, size, MSG_NOSIGNAL) < 0)
		size = 0;
	free(text);
}
