/* SPDX-License-Identifier: MIT */
/* One line of the history: what was refused, to whom, how often. The same record makes a line of the file, a line of
 * `events --json` and a line of text. */
#ifndef OHGUARD_HISTORY_RECORD_H
#define OHGUARD_HISTORY_RECORD_H

#include <ohguard/abi.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* The command of what `verify` tries, so that nobody takes it for the workload's. */
#define HISTORY_OF_VERIFY "ohguard verify"

/* Its texts belong to whoever made it: those of a record that a reader hands out end with the call. NULL: not known.
 * They are from outside, and not escaped. */
struct history_record {
	int64_t first, last;	/* seconds of CLOCK_REALTIME: of the first and of the last that count stands for */
	uint64_t count;		/* attempts, at least 1 */
	uint64_t line;		/* its number in the history, from 1 on; 0: it is in no file */
	uint64_t of;		/* a repeat: the line that it repeats; 0: a first one */
	uint8_t reason;		/* enum oh_reason */
	uint8_t hook;		/* enum oh_hook, or OH_HOOK_LSM */
	uint8_t protocol;	/* IP protocol number */
	bool observed;		/* passed anyway */
	bool reply;		/* an answer to a connection from outside: source_port says to which port */
	bool others;		/* stands for many, of any name, address and process: too many to tell each */
	struct oh_address source, destination;	/* all zero: none */
	uint16_t source_port, destination_port;
	uint32_t pid;		/* 0: not known */
	uint32_t uid;
	const char *name;	/* that was asked for, in a query or a TLS hello; the root is "." */
	const char *target;	/* allowed, that the destination's address belongs to: "github.com:443" */
	const char *command;
	const char *cgroup;
	const char *container;	/* the first 12 digits of its id */
	const char *container_name;
	const char *container_by;	/* what told it: "cgroup" or "address" */
	const char *interface;	/* that it was forwarded from */
	struct oh_address original_source;	/* before NAT; all zero: as source */
};

bool history_address_is_set(const struct oh_address *address);
/* "tcp", "udp", or the number. */
#define HISTORY_PROTOCOL_MAX 8
const char *history_protocol(uint8_t protocol, char buffer[HISTORY_PROTOCOL_MAX]);
/* NULL: no hook has this number. */
const char *history_hook(uint8_t hook);
/* The reason of that name, or OH_REASON_MAX. `likely` is tried first. */
uint8_t history_reason(const char *name, uint8_t likely);

/* Prints it as one JSON object in one line, with every key of the contract. */
void history_print_json(FILE *out, const struct history_record *record);
/* The same for the file: without what is not known, and without what numbers and chains lines (see log.h). Not the
 * whole object: no brackets, no newline. */
void history_print_fields(FILE *out, const struct history_record *record);

/* Reads a line of the file without its newline, which it changes: the record's texts point into it. *ret_before points
 * to the hash of the line before, NULL: none. 0, or -EBADMSG: it is not such a line. */
int history_parse(char *line, struct history_record *ret, const char **ret_before);

/* A copy of its own, to be freed by free(). NULL: out of memory. */
struct history_record *history_copy(const struct history_record *record);

#endif
