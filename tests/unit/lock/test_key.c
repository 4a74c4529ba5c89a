// SPDX-License-Identifier: MIT
/* The key of the lock: made once, never half, never weaker than it was, and compared whole. */
#include "unit/unit.h"

#include <fcntl.h>

#include "lock/key.h"
#include "base/sha256.h"

static const char *hex(const uint8_t *bytes)
{
	static char text[65];

	for (int i = 0; i < 32; i++)
		sprintf(text + 2 * i, "%02x", bytes[i]);
	return text;
}

/* Known answers: of FIPS 180-2, appendix B, and at the bounds of a block. */
static void sha256_known_answers(void **state)
{
	static char many[1000000];
	static const struct {
		size_t size;
		const char *text, *hash;
	} rows[] = {
		{ 0, "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ 3, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ 56, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
		{ sizeof(many), many, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0" },
		{ 55, many, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318" },
		{ 64, many, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb" },
	};
	uint8_t hash[32];

	(void)state;
	memset(many, 'a', sizeof(many));
	for (size_t i = 0; i < COUNT(rows); i++) {
		sha256(rows[i].text, rows[i].size, hash);
		assert_string_equal(hex(hash), rows[i].hash);
	}
}

static void key_made_is_private_and_random(void **state)
{
	__u8 first[OH_LOCK_KEY_MAX], again[OH_LOCK_KEY_MAX], other[OH_LOCK_KEY_MAX];
	const char *path = unit_path("file");
	struct error e;
	struct stat st;

	(void)state;
	assert_int_equal(lock_key_make(path, &e), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, 65);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(lock_key_read(path, first, &e), 0);
	assert_int_equal(lock_key_make(path, &e), 0);	/* what is there is kept */
	assert_int_equal(lock_key_read(path, again, &e), 0);
	assert_true(lock_key_equal(first, again));
	unlink(path);
	assert_int_equal(lock_key_make(path, &e), 0);
	assert_int_equal(lock_key_read(path, other, &e), 0);
	assert_false(lock_key_equal(first, other));
}

static void copy_opens_what_the_key_opens(void **state)
{
	__u8 first[OH_LOCK_KEY_MAX], copied[OH_LOCK_KEY_MAX];
	char copy[400];
	struct error e;
	struct stat st;

	(void)state;
	snprintf(copy, sizeof(copy), "%s", unit_path("copy"));
	assert_int_equal(lock_key_copy(unit_path("file"), copy, &e), -ENOENT);
	assert_int_equal(access(copy, F_OK), -1);
	assert_int_equal(lock_key_make(unit_path("file"), &e), 0);
	assert_int_equal(lock_key_copy(unit_path("file"), copy, &e), 0);
	assert_int_equal(stat(copy, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(lock_key_read(unit_path("file"), first, &e), 0);
	assert_int_equal(lock_key_read(copy, copied, &e), 0);
	assert_true(lock_key_equal(first, copied));
	assert_int_equal(lock_key_copy(unit_path("file"), copy, &e), -EEXIST);	/* what is there is kept */
	unlink(copy);
}

static void key_is_hashed_by_its_digits(void **state)
{
	const char *digits = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
	__u8 hash[OH_LOCK_KEY_MAX], expected[OH_LOCK_KEY_MAX];
	struct error e;

	(void)state;
	sha256(digits, 64, expected);
	chmod(unit_write(digits, 64), 0600);	/* with and without a newline */
	assert_int_equal(lock_key_read(unit_path("file"), hash, &e), 0);
	assert_true(lock_key_equal(hash, expected));
	for (int i = 0; i < OH_LOCK_KEY_MAX; i++) {
		hash[i] ^= 1;
		assert_false(lock_key_equal(hash, expected));
		hash[i] ^= 1;
	}
}

static void key_that_is_none_is_refused(void **state)
{
	static const char *const rows[] = {
		"", "\n", "0001", "zz0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
		"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f0",
		"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1",
		"000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F",
		"\n000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1",
	};
	__u8 hash[OH_LOCK_KEY_MAX];
	struct error e;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		chmod(unit_write(rows[i], strlen(rows[i])), 0600);
		assert_int_equal(lock_key_read(unit_path("file"), hash, &e), -EINVAL);
	}
	assert_int_equal(lock_key_read(unit_path("none"), hash, &e), -ENOENT);
	assert_int_equal(lock_key_read(unit_folder, hash, &e), -EISDIR);
}

static void key_of_others_is_refused(void **state)
{
	static const mode_t modes[] = { 0644, 0640, 0604, 0620, 0602, 0601 };
	const char *digits = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
	__u8 hash[OH_LOCK_KEY_MAX];
	struct error e;

	(void)state;
	for (size_t i = 0; i < COUNT(modes); i++) {
		chmod(unit_write(digits, 64), modes[i]);
		assert_int_equal(lock_key_read(unit_path("file"), hash, &e), -EPERM);
	}
}

static void key_is_not_made_where_it_cannot_be(void **state)
{
	char path[512];
	struct error e;

	(void)state;
	snprintf(path, sizeof(path), "%s/file/key", unit_folder);
	unit_write("x", 1);
	assert_true(lock_key_make(path, &e) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha256_known_answers),
		cmocka_unit_test_setup_teardown(key_made_is_private_and_random, unit_make_folder, unit_remove_folder),
		cmocka_unit_test_setup_teardown(copy_opens_what_the_key_opens, unit_make_folder, unit_remove_folder),
		cmocka_unit_test_setup_teardown(key_is_hashed_by_its_digits, unit_make_folder, unit_remove_folder),
		cmocka_unit_test_setup_teardown(key_that_is_none_is_refused, unit_make_folder, unit_remove_folder),
		cmocka_unit_test_setup_teardown(key_of_others_is_refused, unit_make_folder, unit_remove_folder),
		cmocka_unit_test_setup_teardown(key_is_not_made_where_it_cannot_be, unit_make_folder,
			unit_remove_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
