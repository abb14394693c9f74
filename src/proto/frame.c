/*
 * The frame header: u8 type, u8 codec, u32 length on the wire, u32 raw length, little-endian.
 *
 * Invariants
 *  1. raw_len <= FRAME_MAX, so a reader may reserve it at once.
 *  2. Uncompressed: wire_len == raw_len. Compressed: 0 < wire_len < raw_len; what does not shrink goes raw.
 */
#include "proto/msg.h"

#include "proto/wire.h"

static const struct {
	enum msg_type type;
	const char *name;
} type_names[] = {
	{MSG_START, "START"},
	{MSG_HELLO, "HELLO"},
	{MSG_PING, "PING"},
	{MSG_FATAL, "FATAL"},
	{MSG_EVENT, "EVENT"},
	{MSG_IDMAP, "IDMAP"},
	{MSG_ROOT_FP, "ROOT_FP"},
	{MSG_TABLE, "TABLE"},
	{MSG_DIR, "DIR"},
	{MSG_LIST_END, "LIST_END"},
	{MSG_WANT, "WANT"},
	{MSG_PACK, "PACK"},
	{MSG_CHUNK, "CHUNK"},
	{MSG_REFINE_REQ, "REFINE_REQ"},
	{MSG_REFINE, "REFINE"},
	{MSG_LIST_PATH, "LIST_PATH"},
	{MSG_DONE, "DONE"},
	{MSG_SUMMARY, "SUMMARY"},
	{MSG_BYE, "BYE"},
};

const char *msg_type_name(enum msg_type type)
{
	for (size_t i = 0; i < sizeof(type_names) / sizeof(type_names[0]); i++)
		if (type_names[i].type == type)
			return type_names[i].name;
	return "?";
}

static bool type_ok(unsigned type)
{
	if (type >= MSG_OPTIONAL_FIRST && type <= MSG_OPTIONAL_LAST)
		return true;
	return (type >= MSG_START && type <= MSG_EVENT) || (type >= MSG_IDMAP && type <= MSG_BYE);
}

static void put_u32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

void frame_header_encode(const struct frame *f, uint8_t out[FRAME_HEADER_BYTES])
{
	out[0] = (uint8_t)f->type;
	out[1] = (uint8_t)f->codec;
	put_u32(out + 2, f->wire_len);
	put_u32(out + 6, f->raw_len);
}

int frame_header_decode(struct frame *f, const uint8_t in[FRAME_HEADER_BYTES], struct err *e)
{
	struct cursor c = cur_make(in, FRAME_HEADER_BYTES);
	unsigned type = cur_u8(&c);
	unsigned codec = cur_u8(&c);

	f->wire_len = cur_u32(&c);
	f->raw_len = cur_u32(&c);
	if (!type_ok(type))
		return err_set(e, ERR_PROTOCOL, "the peer sent a frame of unknown type %u", type);
	if (codec > CODEC_LZ4)
		return err_set(e, ERR_PROTOCOL, "the peer sent a frame with unknown codec %u", codec);
	if (f->raw_len > FRAME_MAX)
		return err_set(e, ERR_PROTOCOL, "the peer sent a frame of %u bytes, %d are allowed",
			f->raw_len, FRAME_MAX);
	f->type = (enum msg_type)type;
	f->codec = (enum codec_id)codec;
	bool ok =
		codec == CODEC_NONE ? f->wire_len == f->raw_len : f->wire_len > 0 && f->wire_len < f->raw_len;
	return ok ? 0 : wire_bad("frame header", "lengths do not fit together", e);
}
