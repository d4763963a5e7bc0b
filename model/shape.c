#include "model/shape.h"

#include <math.h>

size_t shape_head(const struct shape *s)
{
    return s->head_size ? s->head_size : s->dim / s->heads;
}

/* An item's own embedding is compared as it is and read times sqrt(d) (Vaswani et al. 2017, 3.4).
 */
double shape_own_scale(const struct shape *s)
{
    return s->own_scale > 0 ? s->own_scale : sqrt((double)s->dim);
}

/* Scaling as in Llama 3.1 (transformers, modeling_rope_utils.py: _compute_llama3_parameters). */
double shape_turn(const struct shape *s, size_t pair)
{
    const struct rope_scaling *scaling = &s->rope_scaling;
    size_t pairs = shape_head(s) / 2;
    double turn = pow(s->rope_base, -(double)pair / (double)pairs);
    if (scaling->factor <= 0)
        return turn;
    double rounds = scaling->original * turn / (2 * acos(-1)); /* in the original context */
    if (rounds > scaling->high)
        return turn;
    if (rounds < scaling->low)
        return turn / scaling->factor;
    double smooth = (rounds - scaling->low) / (scaling->high - scaling->low);
    return (1 - smooth) * turn / scaling->factor + smooth * turn;
}

bool shape_check(const struct shape *s, const char *where, struct err *err)
{
    if (s->dim < 16 || s->dim > 8192 || s->dim % 16)
        return err_set(err, ERR_FORMAT, "%s: dim: expected a multiple of 16 up to 8192, found %zu",
                       where, s->dim);
    if (s->layers < 1 || s->layers > 256)
        return err_set(err, ERR_FORMAT, "%s: layers: expected 1 to 256, found %zu", where,
                       s->layers);
    if (s->head_size % 2 || s->heads < 1 || s->heads > 1024)
        return err_set(err, ERR_FORMAT,
                       "%s: expected 1 to 1024 heads of an even size, found %zu of %zu", where,
                       s->heads, s->head_size);
    if (!s->head_size && s->dim % (2 * s->heads))
        return err_set(err, ERR_FORMAT, "%s: heads: %zu must divide dim %zu into even sizes", where,
                       s->heads, s->dim);
    if (shape_head(s) > HEAD_MAX)
        return err_set(err, ERR_FORMAT, "%s: heads: expected heads of at most %d, found %zu", where,
                       HEAD_MAX, shape_head(s));
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
    if (s->lora_rank > 1024)
        return err_set(err, ERR_FORMAT, "%s: lora_rank: expected 0 to 1024, found %zu", where,
                       s->lora_rank);
    const struct rope_scaling *r = &s->rope_scaling;
    if (r->factor != 0 && !(r->factor >= 1 && r->low > 0 && r->high > r->low && r->original >= 1))
        return err_set(err, ERR_FORMAT,
                       "%s: rope_scaling: factor %g, low %g, high %g, original length %g do not go "
                       "together",
                       where, r->factor, r->low, r->high, r->original);
    if (s->vocab < 1 || s->vocab > 1 << 20)
        return err_set(err, ERR_FORMAT, "%s: vocab: expected 1 to %d, found %zu", where, 1 << 20,
                       s->vocab);
    return true;
}
