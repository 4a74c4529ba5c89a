// SPDX-License-Identifier: MIT
#include "aws/snapshot.h"

#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"

static int make_one(struct stack_view *v, const char *server, const char *volume, FILE *out, struct error *e)
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
	if (!r) {
		fprintf(out, "%s: ", server);
		text_print(out, doc_text(d, "SnapshotId"));
		fputc('\n', out);
	}
	doc_free(d);
	return r;
}

int snapshot_make(struct stack_view *v, const char *const *names, int count, FILE *out, struct error *e)
{
	int r = view_check_names(v, names, count, false, e);

	for (unsigned int i = 0; !r && i < v->count; i++) {
		const struct node *n = &v->nodes[i];
		char key[20];

		if (!server_is_wanted(n, names, count))
			continue;
		snprintf(key, sizeof(key), "state-%u", n->server);
		if (*node_id(view_node(v, key)))
			r = make_one(v, n->key, node_id(view_node(v, key)), out, e);
		else
			r = error_set(e, ENOENT, "%s: has no volume yet: run `ohguard aws apply`", n->key);
	}
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
