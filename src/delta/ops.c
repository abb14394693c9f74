#include "delta/ops.h"

#include "base/alloc.h"

#include <stdlib.h>

void delta_ops_release(struct delta_ops *ops)
{
	free(ops->v);
	*ops = (struct delta_ops){0};
}

uint64_t delta_ops_end(const struct delta_ops *ops)
{
	if (ops->count == 0)
		return 0;
	const struct delta_op *last = &ops->v[ops->count - 1];
	return last->offset + last->len;
}

static void append(struct delta_ops *ops, enum delta_kind kind, uint64_t basis_offset, uint64_t len)
{
	uint64_t offset = delta_ops_end(ops);

	if (ops->count == ops->cap) {
		ops->cap = ops->cap ? ops->cap * 2 : 16;
		ops->v = xreallocarray(ops->v, ops->cap, sizeof(*ops->v));
	}
	ops->v[ops->count++] =
		(struct delta_op){.offset = offset, .len = len, .basis_offset = basis_offset, .kind = kind};
}

void delta_ops_literal(struct delta_ops *ops, uint64_t len)
{
	if (len == 0)
		return;
	if (ops->count && ops->v[ops->count - 1].kind == DELTA_LITERAL)
		ops->v[ops->count - 1].len += len;
	else
		append(ops, DELTA_LITERAL, 0, len);
}

void delta_ops_copy(struct delta_ops *ops, uint64_t basis_offset, uint64_t len)
{
	if (len == 0)
		return;
	if (ops->count) {
		struct delta_op *last = &ops->v[ops->count - 1];
		if (last->kind == DELTA_COPY && last->basis_offset + last->len == basis_offset) {
			last->len += len;
			return;
		}
	}
	append(ops, DELTA_COPY, basis_offset, len);
}
