/* START and HELLO, and the keys both ends draw from their two HELLOs. */
#include "proto/msg.h"

#include "base/alloc.h"
#include "proto/wire.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

/* Both messages begin with it, so that a stray program on the line is noticed at once. */
static const uint8_t magic[4] = {'W', 'H', 'R', 'Y'};

enum { START_FLAGS_KNOWN = START_WANT_ITEMS | START_CONTENTS };
enum { HELLO_FLAGS_KNOWN = HELLO_ROOT | HELLO_EMPTY | HELLO_NO_FP | HELLO_SINGLE | HELLO_FILE };

static int get_magic(struct cursor *c, const char *what, struct err *e)
{
	const uint8_t *p = cur_bytes(c, sizeof(magic));

	if (!p || memcmp(p, magic, sizeof(magic)) != 0)
		return wire_bad(what, "wrong magic, the peer is no wherry", e);
	return 0;
}

void msg_start_encode(const struct msg_start *m, struct buf *out)
{
	buf_put(out, magic, sizeof(magic));
	buf_put_varint(out, m->version);
	buf_put_u8(out, (uint8_t)m->role);
	buf_put_varint(out, m->flags);
	buf_put_str(out, m->path);
	buf_put_blob(out, m->options, m->options_len);
}

int msg_start_decode(struct msg_start *m, struct cursor *c, struct err *e)
{
	size_t len;

	*m = (struct msg_start){0};
	if (get_magic(c, "START", e) < 0)
		return -1;
	m->version = (uint32_t)cur_varint(c, UINT32_MAX);
	unsigned role = cur_u8(c);
	m->flags = (uint32_t)cur_varint(c, UINT32_MAX);
	const char *path = wire_get_text(c, PATH_BYTES_MAX, &len);
	m->options = cur_blob(c, OPTIONS_BYTES_MAX, &m->options_len);
	if (wire_check(c, "START", e) < 0)
		return -1;
	if (m->version == 0)
		return err_set(e, ERR_VERSION, "the client speaks no protocol version known here");
	if (role < START_SEND || role > START_PUSH)
		return wire_bad("START", "unknown role", e);
	if (m->flags & ~(uint32_t)START_FLAGS_KNOWN)
		return err_set(e, ERR_UNSUPPORTED,
			"the client asks for something this wherry does not know; it is newer: update this "
			"side");
	m->role = (enum start_role)role;
	m->path = xmemdupz(path, len);
	return 0;
}

void msg_start_release(struct msg_start *m)
{
	free((char *)m->path);
	*m = (struct msg_start){0};
}

void msg_hello_encode(const struct msg_hello *m, struct buf *out)
{
	buf_put(out, magic, sizeof(magic));
	buf_put_varint(out, m->version);
	buf_put_varint(out, m->flags);
	buf_put(out, m->nonce, sizeof(m->nonce));
	buf_put(out, m->verify, sizeof(m->verify));
	buf_put_u8(out, m->codecs);
	buf_put_blob(out, m->software, strnlen(m->software, sizeof(m->software) - 1));
	if (m->flags & HELLO_SINGLE)
		buf_put_str(out, m->single);
}

static void get_software(struct msg_hello *m, struct cursor *c)
{
	size_t len;
	const uint8_t *s = cur_blob(c, sizeof(m->software) - 1, &len);

	for (size_t i = 0; s && i < len; i++)
		m->software[i] = s[i] >= ' ' && s[i] <= '~' ? (char)s[i] : '?';
}

static int get_single(struct msg_hello *m, struct cursor *c, struct err *e)
{
	size_t len;
	const uint8_t *s = m->flags & HELLO_SINGLE ? cur_blob(c, ENTRY_NAME_MAX, &len) : NULL;

	if (s && entry_name_ok((const char *)s, len))
		memcpy(m->single, s, len);
	else if (s)
		return wire_bad("HELLO", "a name that no entry may have", e);
	return 0;
}

int msg_hello_decode(struct msg_hello *m, struct cursor *c, struct err *e)
{
	*m = (struct msg_hello){0};
	if (get_magic(c, "HELLO", e) < 0)
		return -1;
	m->version = (uint32_t)cur_varint(c, UINT32_MAX);
	m->flags = (uint32_t)cur_varint(c, UINT32_MAX) & HELLO_FLAGS_KNOWN;
	const uint8_t *nonce = cur_bytes(c, sizeof(m->nonce));
	const uint8_t *verify = cur_bytes(c, sizeof(m->verify));
	m->codecs = cur_u8(c) | 1 << CODEC_NONE;
	get_software(m, c);
	if (get_single(m, c, e) < 0)
		return -1;
	if (wire_check(c, "HELLO", e) < 0)
		return -1;
	if (m->version == 0)
		return err_set(e, ERR_VERSION, "the peer speaks no protocol version known here");
	memcpy(m->nonce, nonce, sizeof(m->nonce));
	memcpy(m->verify, verify, sizeof(m->verify));
	return 0;
}

/* SHA-256 over label, sender's nonce, receiver's nonce. */
static void derive(
	const char *label, const struct msg_hello *sender, const struct msg_hello *receiver, uint8_t out[32])
{
	uint8_t text[64];
	size_t n = strlen(label);

	memcpy(text, label, n);
	memcpy(text + n, sender->nonce, sizeof(sender->nonce));
	memcpy(text + n + sizeof(sender->nonce), receiver->nonce, sizeof(receiver->nonce));
	n += sizeof(sender->nonce) + sizeof(receiver->nonce);
	if (EVP_Digest(text, n, out, NULL, EVP_sha256(), NULL) != 1)
		BUG("SHA-256 is not available");
}

static int choose_verify(const struct msg_hello *sender, const struct msg_hello *receiver)
{
	for (size_t i = 0; i < sizeof(sender->verify); i++) {
		uint8_t kind = sender->verify[i];
		if (kind >= VERIFY_GMAC && kind <= VERIFY_BLAKE2B &&
			memchr(receiver->verify, kind, sizeof(receiver->verify)))
			return kind;
	}
	return 0;
}

int proto_session_keys(struct session_keys *k, const struct msg_hello *sender,
	const struct msg_hello *receiver, struct err *e)
{
	uint8_t seeds[32];
	int kind = choose_verify(sender, receiver);

	if (kind == 0)
		return err_set(e, ERR_VERSION, "the two sides know no verification code in common");
	k->verify = (enum verify_kind)kind;
	_Static_assert(VERIFY_KEY_BYTES == 32, "one SHA-256 makes the key");
	derive("wherry verify key", sender, receiver, k->verify_key);
	derive("wherry hash seeds", sender, receiver, seeds);
	struct cursor c = cur_make(seeds, sizeof(seeds));
	k->fp_seed = cur_u64(&c);
	k->sig_seed = cur_u64(&c);
	return 0;
}
