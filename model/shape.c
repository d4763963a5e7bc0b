#include "model/shape.h"

bool shape_check(const struct shape *s, const char *where, struct err *err)
{
    if (s->dim < 16 || s->dim > 8192 || s->dim % 16)
        return err_set(err, ERR_FORMAT, "%s: dim: expected a multiple of 16 up to 8192, found %zu",
                       where, s->dim);
    if (s->layers < 1 || s->layers > 256)
        return err_set(err, ERR_FORMAT, "%s: layers: expected 1 to 256, found %zu", where,
                       s->layers);
    if (s->heads < 1 || s->dim % (2 * s->heads))
        return err_set(err, ERR_FORMAT, "%s: heads: %zu must divide dim %zu into even sizes", where,
                       s->heads, s->dim);
    if (s->kv_heads < 1 || s->heads % s->kv_heads)
        return err_set(err, ERR_FORMAT, "%s: kv_heads: %zu must divide heads %zu", where,
                       s->kv_heads, s->heads);
    if (s->ffn < 1 || s->ffn > 65536)
        return err_set(err, ERR_FORMAT, "%s: ffn: expected 1 to 65536, found %zu", where, s->ffn);
    if (s->content < 1 || s->content > 1024)
        return err_set(err, ERR_FORMAT, "%s: content: expected 1 to 1024 dims, found %zu", where,
                       s->content);
    if (s->levels < 1 || s->levels > 7 || s->tiles < 1 || s->tiles > 65535)
        return err_set(err, ERR_FORMAT,
                       "%s: names of %zu levels of %zu tiles are outside 1..7 and 1..65535", where,
                       s->levels, s->tiles);
    if (s->items < 1 || s->items >= UINT32_MAX)
        return err_set(err, ERR_FORMAT, "%s: items: expected 1 or more, found %zu", where,
                       s->items);
    if (s->vocab < 1 || s->vocab > 1 << 20)
        return err_set(err, ERR_FORMAT, "%s: vocab: expected 1 to %d, found %zu", where, 1 << 20,
                       s->vocab);
    return true;
}
