// SPDX-License-Identifier: MIT
#include "history/print.h"

#include <netinet/in.h>
#include <string.h>

#include "base/reason.h"
#include "base/text.h"
#include "policy/address.h"

static bool is_socket(const struct history_record *r)
{
	return r->hook == OH_HOOK_SOCK_CREATE || r->hook == OH_HOOK_LSM;
}

static bool has_ports(const struct history_record *r)
{
	return r->protocol == IPPROTO_TCP || r->protocol == IPPROTO_UDP || r->destination_port;
}

static void print_process(FILE *out, const struct history_record *r)
{
	char address[ADDRESS_TEXT_MAX];

	if (r->others) {
		fputs("by several", out);
	} else if (r->pid) {
		fputs("by ", out);
		text_print(out, r->command ? r->command : "?");
		fprintf(out, "[%u] uid %u", r->pid, r->uid);
	} else if (r->interface) {
		fputs("forwarded from ", out);
		text_print(out, r->interface);
		if (history_address_is_set(&r->original_source))
			fprintf(out, " (%s)", address_format(&r->original_source, address));
	} else {
		fputs("by an unknown process", out);
	}
}

static void print_place(FILE *out, const struct history_record *r)
{
	if (r->container) {
		/* found by its address: the process may be another one, which asks for the container */
		fputs(r->pid && r->container_by && strcmp(r->container_by, "cgroup") ? " for container " :
		      " in container ", out);
		text_print(out, r->container_name ? r->container_name : r->container);
		if (r->container_name) {
			fputs(" (", out);
			text_print(out, r->container);
			fputc(')', out);
		}
	} else if (r->cgroup) {
		fputs(" in ", out);
		text_print(out, r->cgroup);
	}
}

void history_print_why(FILE *out, const struct history_record *r)
{
	fputs(reason_name(r->reason) ? reason_name(r->reason) : "?", out);
}

void history_print_line(FILE *out, const struct history_record *r)
{
	char address[ADDRESS_TEXT_MAX], protocol[HISTORY_PROTOCOL_MAX], time[TEXT_TIME_MAX];

	fprintf(out, "%s %s ", text_time(r->first, time), r->observed ? "would refuse" : "refused");
	history_print_why(out, r);
	if (r->others) {
		fputs(" others ", out);
	} else {
		fprintf(out, " %s ", history_protocol(r->protocol, protocol));
		if (r->name) {
			fputs("for ", out);
			text_print(out, r->name);
			fputc(' ', out);
		}
		if (r->reply)
			fprintf(out, "reply from port %u ", r->source_port);
		if (is_socket(r))
			fputs("socket ", out);
		else
			fprintf(out, "to %s ", address_format(&r->destination, address));
		if (!is_socket(r) && has_ports(r))
			fprintf(out, "port %u ", r->destination_port);
	}
	if (r->target) {
		fputs("of ", out);
		text_print(out, r->target);
		fputc(' ', out);
	}
	print_process(out, r);
	print_place(out, r);
	if (r->count > 1)
		fprintf(out, ", %llu times until %s", (unsigned long long)r->count, text_time(r->last, time));
	if (r->reply)
		fprintf(out, ": write accept = %u %s under [inbound] to answer it", r->source_port,
			address_format(&r->destination, address));
}

void history_print_what(FILE *out, const struct history_record *r)
{
	char address[ADDRESS_TEXT_MAX], protocol[HISTORY_PROTOCOL_MAX];
	bool colon;

	address_format(&r->destination, address);
	if (r->others) {
		fputs("many others", out);
	} else if (r->name) {
		text_print(out, r->name);
	} else if (is_socket(r)) {
		fputs("a socket", out);
	} else if (r->reply) {
		fprintf(out, "reply from port %u to %s", r->source_port, address);
	} else {
		colon = strchr(address, ':') != NULL;
		fprintf(out, "%s%s%s", colon ? "[" : "", address, colon ? "]" : "");
		if (r->destination_port)
			fprintf(out, ":%u", r->destination_port);
		fprintf(out, "/%s", history_protocol(r->protocol, protocol));
	}
	if (r->target) {
		fputs(" (", out);
		text_print(out, r->target);
		fputc(')', out);
	}
}

void history_print_who(FILE *out, const struct history_record *r)
{
	if (r->others)
		fputs("several", out);
	else if (r->command)
		text_print(out, r->command);
	else
		fputs(r->interface ? "forwarded" : "unknown", out);
	if (r->container) {
		fputs(" in ", out);
		text_print(out, r->container_name ? r->container_name : r->container);
	} else if (r->interface && !r->command) {
		fputs(" from ", out);
		text_print(out, r->interface);
	}
}

char *history_text(void (*print)(FILE *out, const struct history_record *record), const struct history_record *record)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	print(f, record);
	fclose(f);
	return text;
}
