/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * An NTP client request: 48 bytes, mode 3, version 3 or 4.
 *
 * What default clients send (chrony 4.3, systemd-timesyncd 252, ntpsec 1.2.2,
 * captured): leap 0, stratum 0, some poll and precision, a random transmit
 * time, all else zero. So all else must be zero: it would carry data to
 * whoever runs a pool's server. Poll and precision are bounded to what they
 * can mean. OH_NTP_FIELDS lets the rest be set, for chrony's xleave (origin
 * and receive time) and the old ntpd and ntpdate (all of it).
 *
 * The transmit time is 64 bits that nobody can check (chrony's is random): the
 * rate limit of the caller bounds what goes out in it.
 */
#ifndef OH_NTP_H
#define OH_NTP_H

#include "parse/bytes.h"

#define OH_NTP_SIZE 48
#define OH_NTP_TRANSMIT 40 /* where the transmit time begins */

/* What else may be sent. */
#define OH_NTP_FIELDS 1 /* any value in the fields a default client leaves zero */
#define OH_NTP_NTS 2 /* network time security: extension fields, of its types alone */

#define OH_NTS_UNIQUE 0x0104
#define OH_NTS_COOKIE 0x0204
#define OH_NTS_PLACEHOLDER 0x0304
#define OH_NTS_AUTHENTICATOR 0x0404
#define OH_NTS_MAX 1280 /* a cookie of 100 bytes and seven placeholders of that are about 950 */
#define OH_NTS_EXTENSIONS 12

/* All but OK are ntp-malformed. Numbers are permanent. */
enum oh_ntp_result {
	OH_NTP_OK = 0,
	OH_NTP_LENGTH = 1, /* not exactly a request's */
	OH_NTP_MODE = 2, /* not a client's */
	OH_NTP_VERSION = 3,
	OH_NTP_FIELD = 4, /* a field is set that a client leaves alone */
	OH_NTP_EXTENSION = 5, /* one that is not of NTS, or does not fit */
	OH_NTP_READ = 6,
	OH_NTP_RESULT_MAX,
};

/* The extension fields from off to end: a unique identifier first, an authenticator last. */
OH_INLINE enum oh_ntp_result oh_nts_extensions(oh_bytes b, __u32 off, __u32 end)
{
	__u32 type = 0, i;

	for (i = 0; i < OH_NTS_EXTENSIONS; i++) {
		__u8 head[4];
		__u32 size;

		if (off == end)
			return type == OH_NTS_AUTHENTICATOR ? OH_NTP_OK : OH_NTP_EXTENSION;
		if (type == OH_NTS_AUTHENTICATOR || off + 16 > end)
			return OH_NTP_EXTENSION;
		if (oh_load(b, off, head, sizeof(head)))
			return OH_NTP_READ;
		type = (__u32)head[0] << 8 | head[1];
		size = (__u32)head[2] << 8 | head[3];
		if (size < 16 || size % 4 || size > end - off)
			return OH_NTP_EXTENSION;
		if (i == 0 ? type != OH_NTS_UNIQUE
			   : type != OH_NTS_COOKIE && type != OH_NTS_PLACEHOLDER && type != OH_NTS_AUTHENTICATOR)
			return OH_NTP_EXTENSION;
		off += size;
	}
	return off == end && type == OH_NTS_AUTHENTICATOR ? OH_NTP_OK : OH_NTP_EXTENSION;
}

/* The UDP payload of len bytes at off. */
OH_INLINE enum oh_ntp_result oh_ntp_request(oh_bytes b, __u32 off, __u32 len, __u32 flags)
{
	__u64 words[OH_NTP_SIZE / 8], set = 0;
	const __u8 *p = (const __u8 *)words;
	__u32 version, i;

	if (len != OH_NTP_SIZE && !(flags & OH_NTP_NTS && len > OH_NTP_SIZE && len <= OH_NTS_MAX))
		return OH_NTP_LENGTH;
	if (oh_load(b, off, words, sizeof(words)))
		return OH_NTP_READ;
	if ((p[0] & 7) != 3)
		return OH_NTP_MODE;
	version = p[0] >> 3 & 7;
	if (version != 3 && version != 4)
		return OH_NTP_VERSION;
	if (!(flags & OH_NTP_FIELDS)) {
		/* Poll is a power of two seconds from 1/64 to 36 hours, precision one below a second; chrony says 32
		 * for it. */
		int poll = (signed char)p[2], precision = (signed char)p[3];

		if (p[0] >> 6 == 1 || p[0] >> 6 == 2 || p[1] || poll < -6 || poll > 17 || precision < -32 ||
		    precision > 32)
			return OH_NTP_FIELD;
		for (i = 4; i < 8; i++)
			set |= p[i];
		for (i = 1; i < OH_NTP_TRANSMIT / 8; i++)
			set |= words[i];
		if (set)
			return OH_NTP_FIELD;
	}
	return len == OH_NTP_SIZE ? OH_NTP_OK : oh_nts_extensions(b, off + OH_NTP_SIZE, off + len);
}

#endif
