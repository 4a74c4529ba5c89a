// SPDX-License-Identifier: MIT
/* JSON, the names of reasons, error texts, and files that are replaced whole or not at all. */
#include "unit/unit.h"

#include "engine/engine.h"
#include "engine/hooks.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/reason.h"

static void json_is_written(void **state)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	struct json j;

	(void)state;
	json_start(&j, out);
	json_object(&j, NULL);
	json_string(&j, "name", "a \"b\"\n\x1b");
	json_string(&j, "none", NULL);
	json_number(&j, "least", INT64_MIN);
	json_number(&j, "most", INT64_MAX);
	json_bool(&j, "yes", true);
	json_bool(&j, "no", false);
	json_null(&j, "null");
	json_array(&j, "empty");
	json_array_end(&j);
	json_array(&j, "list");
	json_number(&j, NULL, 1);
	json_object(&j, NULL);
	json_object_end(&j);
	json_object(&j, NULL);
	json_string(&j, "k\"", "v");
	json_object_end(&j);
	json_array(&j, NULL);
	json_string(&j, NULL, "x");
	json_array_end(&j);
	json_array_end(&j);
	json_number(&j, "last", -1);
	json_object_end(&j);
	json_end(&j);
	fclose(out);
	assert_string_equal(text,
			    "{\"name\": \"a \\\"b\\\"\\u000a\\u001b\", \"none\": null, "
			    "\"least\": -9223372036854775808, \"most\": 9223372036854775807, "
			    "\"yes\": true, \"no\": false, \"null\": null, "
			    "\"empty\": [], \"list\": [1, {}, {\"k\\\"\": \"v\"}, [\"x\"]], \"last\": -1}\n");
	free(text);
}

/* The numbers and names that events and scripts rely on: this list only grows. */
static void reasons_are_permanent(void **state)
{
	static const char *const names[] = {
		[0] = "none", "loopback", "host-need", "inbound-reply", "dns", "ntp", "target",
		[16] = "address-not-allowed", "address-expired", "port-not-allowed", "protocol-not-allowed",
		"dns-resolver-not-allowed", "dns-name-not-allowed", "dns-malformed", "ntp-server-not-allowed",
		"ntp-malformed", "tls-name-not-allowed", "tls-no-name", "tls-encrypted-hello", "tls-not-tls",
		"tls-incomplete", "fragment", "packet-malformed", "raw-socket", "packet-socket", "forwarded",
		"inbound-not-allowed", "metadata-service", "lockdown", "source-route",
	};

	(void)state;
	for (unsigned int i = 0; i < COUNT(names); i++) {
		if (names[i])
			assert_string_equal(reason_name(i), names[i]);
		else
			assert_null(reason_name(i));
	}
}

static void reasons_are_unique_and_complete(void **state)
{
	static const struct {
		unsigned int number;
		const char *name, *text;
	} list[] = {
#define OH_REASON(number, symbol, name, text) { OH_##symbol, name, text },
		OH_REASONS
#undef OH_REASON
	};
	unsigned int named = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(list); i++) {
		assert_true(list[i].number < OH_REASON_MAX);
		assert_string_equal(reason_name(list[i].number), list[i].name);
		assert_string_equal(reason_text(list[i].number), list[i].text);
		assert_true(strspn(list[i].name, "abcdefghijklmnopqrstuvwxyz-") == strlen(list[i].name));
		for (size_t k = 0; k < i; k++) {
			assert_int_not_equal(list[i].number, list[k].number);
			assert_string_not_equal(list[i].name, list[k].name);
			assert_string_not_equal(list[i].text, list[k].text);
		}
	}
	for (unsigned int i = 0; i < OH_REASON_MAX; i++)
		named += reason_name(i) != NULL;
	assert_int_equal(named, COUNT(list));
	assert_null(reason_name(OH_REASON_MAX));
	assert_null(reason_text(OH_REASON_MAX));
	assert_null(reason_name(~0U));
}

static void hooks_have_names_of_their_own(void **state)
{
	(void)state;
	for (int i = 0; i < OH_HOOK_MAX; i++) {
		if (!engine_hook_names[i])	/* a gap */
			continue;
		for (int k = 0; k < i; k++)
			if (engine_hook_names[k])
				assert_string_not_equal(engine_hook_names[i], engine_hook_names[k]);
	}
	for (int i = 0; i < ENGINE_MAPS; i++) {
		assert_non_null(engine_map_names[i]);
		assert_true(strlen(engine_map_names[i]) < 16);	/* BPF_OBJ_NAME_LEN */
	}
}

static void errors_are_prefixed_and_cut(void **state)
{
	char longest[2048];
	struct error e;

	(void)state;
	assert_int_equal(error_set(&e, EINVAL, "bad '%s'", "x"), -EINVAL);
	assert_string_equal(e.text, "bad 'x'");
	assert_int_equal(error_prefix(&e, EPERM, "%s:%d", "file", 3), -EPERM);
	assert_string_equal(e.text, "file:3: bad 'x'");
	memset(longest, 'y', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	error_prefix(&e, EPERM, "%s", longest);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
	error_set(&e, EPERM, "%s", longest);
	error_prefix(&e, EPERM, "front");
	assert_memory_equal(e.text, "front: yyy", 10);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
}

static unsigned int files_in_folder(void)
{
	DIR *d = opendir(unit_folder);
	unsigned int n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static void files_are_replaced_whole(void **state)
{
	struct file_out out;
	struct error e;
	struct stat st;

	(void)state;
	unit_write_text("old");
	assert_int_equal(file_begin(&out, unit_path("file"), 0600, &e), 0);
	fputs("new", out.stream);
	fflush(out.stream);
	assert_string_equal(unit_read(), "old");
	file_abort(&out);
	assert_string_equal(unit_read(), "old");
	assert_int_equal(files_in_folder(), 1);
	assert_int_equal(file_begin(&out, unit_path("file"), 0600, &e), 0);
	fputs("new", out.stream);
	assert_int_equal(file_commit(&out, &e), 0);
	assert_string_equal(unit_read(), "new");
	assert_int_equal(files_in_folder(), 1);
	assert_int_equal(stat(unit_path("file"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(file_begin(&out, "/proc/nowhere/file", 0600, &e), -ENOENT);
}

static void full_disk_keeps_the_old_file(void **state)
{
	struct file_out out;
	struct error e;

	(void)state;
	unit_write_text("old");
	assert_int_equal(file_begin(&out, unit_path("file"), 0600, &e), 0);
	fclose(out.stream);
	out.stream = fopen("/dev/full", "w");
	assert_non_null(out.stream);
	fputs("new", out.stream);
	assert_int_equal(file_commit(&out, &e), -ENOSPC);
	assert_non_null(strstr(e.text, "the old file is kept"));
	assert_string_equal(unit_read(), "old");
	assert_int_equal(files_in_folder(), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_is_written),
		cmocka_unit_test(reasons_are_permanent),
		cmocka_unit_test(reasons_are_unique_and_complete),
		cmocka_unit_test(hooks_have_names_of_their_own),
		cmocka_unit_test(errors_are_prefixed_and_cut),
		UNIT_FILE_TEST(files_are_replaced_whole),
		UNIT_FILE_TEST(full_disk_keeps_the_old_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
