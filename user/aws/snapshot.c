// SPDX-License-Identifier: MIT
#include "aws/snapshot.h"

#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"

static int make_one(struct stack_view *v, const char *server, const char *volume, char id[32], struct error *e)
{
	struct args args = { 0 };
	char tags[TAG_WORDS_MAX];
	doc *d = NULL;
	int r;

	stack_tag_words(v->stack, server, tags);
	args_words(&args, "ec2 create-snapshot --volume-id");
	args_add(&args, "%s", volume);
	args_add(&args, "--description");
	args_add(&args, "state of %s of ohguard stack %s", server, v->stack->name);
	args_add(&args, "--tag-specifications");
	args_add(&args, "ResourceType=snapshot,Tags=[%s]", tags);
	r = aws_call(&v->aws, &args, NULL, &d, e);
	args_free(&args);
	if (!r)
		snprintf(id, 32, "%s", doc_text(d, "SnapshotId"));
	doc_free(d);
	return r;
}

static void made_json(const char (*ids)[32], FILE *out)
{
	char server[24];
	struct json j;

	json_start(&j, out);
	json_object(&j, NULL);
	json_array(&j, "snapshots");
	for (unsigned int i = 1; i <= STACK_SERVERS_MAX; i++) {
		if (!*ids[i])
			continue;
		snprintf(server, sizeof(server), "server-%u", i);
		json_object(&j, NULL);
		json_string(&j, "server", server);
		json_string(&j, "id", ids[i]);
		json_object_end(&j);
	}
	json_array_end(&j);
	json_bool(&j, "changed", true);
	json_object_end(&j);
	json_end(&j);
}

int snapshot_make(struct stack_view *v, const char *const *names, int count, bool json, FILE *out, struct error *e)
{
	char ids[STACK_SERVERS_MAX + 1][32] = { "" };
	int r = view_check_names(v, names, count, false, e);

	for (unsigned int i = 0; !r && i < v->count; i++) {
		const struct node *n = &v->nodes[i];

		if (!server_is_wanted(n, names, count))
			continue;
		if (*node_id(view_state(v, n)))
			r = make_one(v, n->key, node_id(view_state(v, n)), ids[n->server], e);
		else
			r = error_set(e, ENOENT, "%s: has no volume yet: run `ohguard aws apply`", n->key);
		if (!r && !json) {
			fprintf(out, "%s: ", n->key);
			text_print(out, ids[n->server]);
			fputc('\n', out);
		}
	}
	if (!r && json)
		made_json(ids, out);
	return r;
}

int snapshot_list(struct stack_view *v, bool json, FILE *out, struct error *e)
{
	char filter[64];
	struct json j;
	doc *list = NULL;
	int r;

	snprintf(filter, sizeof(filter), "Name=tag:" TAG_STACK ",Values=%s", v->stack->name);
	r = aws_read(&v->aws, &list, e, "ec2 describe-snapshots --owner-ids self --query Snapshots --filters", filter);
	if (r)
		return r;
	doc_keep_tagged(list, TAG_STACK, v->stack->name);
	json_start(&j, out);
	if (json) {
		json_object(&j, NULL);
		json_array(&j, "snapshots");
	} else if (!doc_length(list, "")) {
		fputs("no snapshots\n", out);
	}
	for (size_t i = 0; i < doc_length(list, ""); i++) {
		const doc *item = doc_at(list, "", i);

		if (json) {
			json_object(&j, NULL);
			json_string(&j, "server", doc_tag(item, TAG_RESOURCE));
			json_string(&j, "id", doc_text(item, "SnapshotId"));
			json_string(&j, "state", doc_text(item, "State"));
			json_string(&j, "started", doc_text(item, "StartTime"));
			json_number(&j, "size", doc_number(item, "VolumeSize", 0));
			json_object_end(&j);
			continue;
		}
		text_print(out, doc_tag(item, TAG_RESOURCE));
		fprintf(out, "  ");
		text_print(out, doc_text(item, "SnapshotId"));
		fprintf(out, "  %lld GB  ", doc_number(item, "VolumeSize", 0));
		text_print(out, doc_text(item, "State"));
		fprintf(out, "  ");
		text_print(out, doc_text(item, "StartTime"));
		fputc('\n', out);
	}
	if (json) {
		json_array_end(&j);
		json_object_end(&j);
		json_end(&j);
	}
	doc_free(list);
	return 0;
}
