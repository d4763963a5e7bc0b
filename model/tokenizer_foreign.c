#include "model/tokenizer_foreign.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

struct foreign *foreign_new(struct err *err)
{
    struct foreign *f = calloc(1, sizeof *f);
    if (!f)
        err_set(err, ERR_SYSTEM, "no memory for a tokenizer");
    return f;
}

void foreign_free(struct foreign *f)
{
    if (!f)
        return;
    vocab_release(&f->vocab);
    pieces_release(&f->pieces);
    for (size_t i = 0; i < f->added_count; i++) {
        free((char *)(uintptr_t)f->added[i].text);
        free((char *)(uintptr_t)f->added[i].normal);
    }
    free(f->added);
    free(f->raw.index);
    free(f->normal.index);
    free(f->added_at);
    json_decref(f->normalizer);
    json_decref(f->pre_tokenizer);
    json_decref(f->post_processor);
    json_decref(f->decoder);
    free(f);
}

bool foreign_add(struct foreign *f, const struct added *added, struct err *err)
{
    if (f->added_count >= ADDED_MOST)
        return err_set(err, ERR_LIMIT, "more than %d added tokens", ADDED_MOST);
    if ((f->added_count & (f->added_count - 1)) == 0) { /* room doubles at each power of two */
        size_t room = f->added_count ? 2 * f->added_count : 1;
        struct added *list = realloc(f->added, room * sizeof *list);
        if (!list)
            return err_set(err, ERR_SYSTEM, "no memory for %zu added tokens", room);
        f->added = list;
    }
    struct added *own = &f->added[f->added_count];
    *own = *added;
    own->text = strndup(added->text, added->size);
    own->normal = NULL;
    if (!own->text)
        return err_set(err, ERR_SYSTEM, "no memory for an added token");
    f->added_count++;
    return true;
}

/* ---- making ready ---- */

static bool nothing(void *self, const char *bytes, size_t size)
{
    (void)self;
    (void)bytes;
    return size == 0;
}

static bool normal_texts(struct foreign *f, struct err *err)
{
    struct piecing piecing;
    bool fine = piecing_init(&piecing, &f->pieces, nothing, NULL, err);
    for (size_t i = 0; fine && i < f->added_count; i++) {
        struct added *a = &f->added[i];
        const char *normal = a->text;
        a->normal_size = a->size;
        if (a->normalized)
            normal = pieces_normal(&a->normal_size, &piecing, a->text, a->size);
        a->normal = normal ? strndup(normal, a->normal_size) : NULL;
        fine = a->normal || err_set(err, ERR_SYSTEM, "no memory for an added token");
    }
    piecing_release(&piecing);
    return fine;
}

static int first_then_longest(const void *a, const void *b, void *self)
{
    const struct foreign *f = self;
    const struct added *x = &f->added[*(const uint32_t *)a];
    const struct added *y = &f->added[*(const uint32_t *)b];
    int order = (unsigned char)x->normal[0] - (unsigned char)y->normal[0];
    if (order)
        return order;
    if (x->normal_size != y->normal_size)
        return x->normal_size < y->normal_size ? 1 : -1;
    return (x > y) - (x < y);
}

static bool table_make(struct added_table *table, struct foreign *f, bool normalized,
                       struct err *err)
{
    uint32_t count = 0;
    table->index = malloc((f->added_count + 1) * sizeof *table->index);
    if (!table->index)
        return err_set(err, ERR_SYSTEM, "no memory for added tokens");
    for (uint32_t i = 0; i < f->added_count; i++)
        if (f->added[i].normalized == normalized && f->added[i].normal_size)
            table->index[count++] = i;
    qsort_r(table->index, count, sizeof *table->index, first_then_longest, f);
    for (uint32_t i = 0, byte = 0; byte <= 256; byte++) {
        while (i < count && (unsigned char)f->added[table->index[i]].normal[0] < byte)
            i++;
        table->first[byte] = i;
    }
    return true;
}

static bool added_known(struct foreign *f, struct err *err)
{
    f->own = f->vocab.ids;
    for (size_t i = 0; i < f->added_count; i++)
        if (f->added[i].token >= f->own)
            f->own = (size_t)f->added[i].token + 1;
    f->added_at = calloc(f->own, sizeof *f->added_at);
    if (!f->added_at)
        return err_set(err, ERR_SYSTEM, "no memory for added tokens");
    for (size_t i = 0; i < f->added_count; i++) {
        const struct added *a = &f->added[i];
        uint32_t before = f->added_at[a->token];
        if (before)
            return err_set(err, ERR_FORMAT, "added tokens %.40s and %.40s have one number, %u",
                           f->added[before - 1].text, a->text, a->token);
        f->added_at[a->token] = (uint32_t)i + 1;
    }
    return true;
}

/* A file holds one token of a name. */
static bool marks_free(const struct foreign *f, struct err *err)
{
    for (size_t m = 0; m < MARKS; m++) {
        const char *mark = MARK_TEXTS[m];
        bool taken = vocab_find(&f->vocab, mark, strlen(mark)) != NO_TOKEN;
        for (size_t i = 0; i < f->added_count; i++)
            taken = taken || strcmp(f->added[i].text, mark) == 0;
        if (taken)
            return err_set(err, ERR_FORMAT, "a token is called %s, as a mark of ours", mark);
    }
    return true;
}

/* What decoding does to tokens that are text: the last word of the file's decoder. */
static bool read_step(struct foreign *f, const json_t *step, struct err *err)
{
    const char *type = json_string_value(json_object_get(step, "type"));
    const char *text = NULL;
    type = type ? type : "";
    if (strcmp(type, "ByteLevel") == 0 || strcmp(type, "ByteFallback") == 0 ||
        strcmp(type, "Fuse") == 0)
        return true;
    if (strcmp(type, "Metaspace") == 0) {
        bool never = false;
        const char *scheme = NULL;
        bool prefix = true;
        text = "\xe2\x96\x81";
        if (!json_text(&text, step, "replacement", err) ||
            !json_text(&scheme, step, "prepend_scheme", err) ||
            !json_flag(&prefix, step, "add_prefix_space", err))
            return false;
        never = scheme ? strcmp(scheme, "never") == 0 : !prefix;
        f->strip = !never;
    } else if (strcmp(type, "Strip") == 0) {
        const char *content = json_string_value(json_object_get(step, "content"));
        if (!content || strcmp(content, " ") != 0)
            return err_set(err, ERR_FORMAT, "decoder: Strip of other than spaces is not read here");
        return json_size(&f->strip, step, "start", 0, 64, err);
    } else if (strcmp(type, "Replace") == 0) {
        text = json_string_value(json_object_get(json_object_get(step, "pattern"), "String"));
        const char *content = json_string_value(json_object_get(step, "content"));
        if (!text || !content || strcmp(content, " ") != 0)
            return err_set(err, ERR_FORMAT, "decoder: expected Replace of a text by a space");
    } else
        return err_set(err, ERR_FORMAT,
                       "decoder: expected ByteLevel, ByteFallback, Fuse, Strip, Replace, Metaspace "
                       "or Sequence, found '%.40s'",
                       type);
    if (strlen(text) >= sizeof f->space || !*text)
        return err_set(err, ERR_FORMAT, "decoder: '%.40s' stands for a space", text);
    memcpy(f->space, text, strlen(text) + 1);
    return true;
}

static bool read_decoder(struct foreign *f, struct err *err)
{
    const json_t *decoder = f->decoder;
    const json_t *steps = json_object_get(decoder, "decoders");
    if (!decoder || json_is_null(decoder))
        return true;
    if (!steps)
        return read_step(f, decoder, err);
    for (size_t i = 0; i < json_array_size(steps); i++)
        if (!read_step(f, json_array_get(steps, i), err))
            return false;
    return true;
}

bool foreign_finish(struct foreign *f, size_t marks_at, struct err *err)
{
    if (!added_known(f, err) || !marks_free(f, err) || !read_decoder(f, err) ||
        !vocab_finish(&f->vocab, err) || !normal_texts(f, err) ||
        !table_make(&f->raw, f, false, err) || !table_make(&f->normal, f, true, err))
        return false;
    if (marks_at == 0)
        marks_at = f->own;
    if (marks_at < f->own || marks_at > VOCAB_MOST)
        return err_set(err, ERR_FORMAT,
                       "the tokenizer has tokens up to %zu, the model %zu rows: they do not fit",
                       f->own - 1, marks_at);
    f->marks = (uint32_t)marks_at;
    return true;
}

/* ---- text to tokens ---- */

struct encoding {
    const struct foreign *foreign;
    struct piecing piecing;
    struct merging merging;
    struct err *err;
    uint32_t *tokens;
    size_t count, most;
};

static bool take_word(void *self, const char *word, size_t size)
{
    struct encoding *e = self;
    size_t count = vocab_word(e->tokens + e->count, e->most - e->count, &e->foreign->vocab,
                              &e->merging, word, size);
    if (count == SIZE_MAX)
        return err_set(e->err, ERR_SYSTEM, "no memory for a word of %zu bytes", size);
    e->count += count;
    return e->count < e->most;
}

static utf8proc_int32_t character_at(const char *text, size_t size, size_t *step)
{
    utf8proc_int32_t code;
    utf8proc_ssize_t length =
        utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)size, &code);
    *step = length > 0 ? (size_t)length : 1;
    return code;
}

static utf8proc_int32_t character_before(const char *text, size_t at, size_t *step)
{
    size_t start = at - 1;
    while (start && ((unsigned char)text[start] & 0xc0) == 0x80)
        start--;
    *step = at - start;
    size_t length;
    return character_at(text + start, at - start, &length);
}

static bool is_white(utf8proc_int32_t code)
{
    utf8proc_category_t c = utf8proc_category(code);
    return (c >= UTF8PROC_CATEGORY_ZS && c <= UTF8PROC_CATEGORY_ZP) || (code >= 9 && code <= 13) ||
           code == 0x85;
}

static bool is_word(utf8proc_int32_t code)
{
    utf8proc_category_t c = utf8proc_category(code);
    return (c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_NL) || c == UTF8PROC_CATEGORY_PC ||
           code == 0x200c || code == 0x200d;
}

/* Which added token stands at text[at], the longest; or NULL. */
static const struct added *added_here(const struct foreign *f, const struct added_table *table,
                                      const char *text, size_t size, size_t at)
{
    unsigned byte = (unsigned char)text[at];
    for (uint32_t i = table->first[byte]; i < table->first[byte + 1]; i++) {
        const struct added *a = &f->added[table->index[i]];
        if (a->normal_size <= size - at && memcmp(a->normal, text + at, a->normal_size) == 0)
            return a;
    }
    return NULL;
}

static bool alone(const char *text, size_t size, size_t start, size_t end)
{
    size_t step;
    return (start == 0 || !is_word(character_before(text, start, &step))) &&
           (end == size || !is_word(character_at(text + end, size - end, &step)));
}

static bool plain_text(struct encoding *e, const char *text, size_t size, bool first, bool normal);

/* Between added tokens the text goes on: to normalisation, or, if it is normal, to be cut. */
static bool around_added(struct encoding *e, const struct added_table *table, const char *text,
                         size_t size, bool first, bool normal)
{
    size_t done = 0;
    for (size_t at = 0; at < size;) {
        const struct added *a = added_here(e->foreign, table, text, size, at);
        if (!a) {
            at++;
            continue;
        }
        size_t start = at;
        size_t end = at += a->normal_size;
        size_t step;
        if (start < done || (a->single_word && !alone(text, size, start, end)))
            continue;
        while (a->lstrip && start > done && is_white(character_before(text, start, &step)))
            start -= step;
        while (a->rstrip && end < size && is_white(character_at(text + end, size - end, &step)))
            end += step;
        if (!plain_text(e, text + done, start - done, first && done == 0, normal))
            return false;
        e->tokens[e->count++] = a->token;
        if (e->count == e->most)
            return false;
        done = end;
    }
    return plain_text(e, text + done, size - done, first && done == 0, normal);
}

static bool plain_text(struct encoding *e, const char *text, size_t size, bool first, bool normal)
{
    if (size == 0)
        return true;
    if (normal)
        return pieces_each(&e->piecing, text, size, first);
    text = pieces_normal(&size, &e->piecing, text, size);
    return text && around_added(e, &e->foreign->normal, text, size, first, true);
}

/* What is not UTF-8 becomes U+FFFD, one for each part that begins well (Unicode 15, 3.9). */
static void mend(struct text *out, const char *bytes, size_t size)
{
    for (size_t at = 0; at < size;) {
        unsigned char c = (unsigned char)bytes[at];
        size_t length = c < 0x80                 ? 1
                        : c >= 0xc2 && c <= 0xdf ? 2
                        : (c & 0xf0) == 0xe0     ? 3
                        : c >= 0xf0 && c <= 0xf4 ? 4
                                                 : 0;
        unsigned char low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
        unsigned char high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
        size_t got = length > 0;
        for (; got < length && at + got < size; got++, low = 0x80, high = 0xbf) {
            unsigned char next = (unsigned char)bytes[at + got];
            if (next < low || next > high)
                break;
        }
        if (length && got == length)
            text_add(out, bytes + at, length);
        else
            text_add(out, "\xef\xbf\xbd", 3);
        at += got ? got : 1;
    }
}

size_t foreign_encode(uint32_t *tokens, size_t most, const struct foreign *f, const char *text,
                      struct err *err)
{
    struct encoding e = {.foreign = f, .err = err, .tokens = tokens, .most = most};
    struct text mended;
    size_t size = strlen(text);
    if (size == 0 || most == 0)
        return 0;
    text_init(&mended, PIECES_TEXT_MAX);
    if (!utf8_valid(text, size)) {
        mend(&mended, text, size);
        if (mended.full || !mended.bytes) {
            text_release(&mended);
            err_set(err, ERR_LIMIT, "a text of %zu bytes is too long", size);
            return 0;
        }
        text = mended.bytes;
        size = mended.size;
    }
    if (piecing_init(&e.piecing, &f->pieces, take_word, &e, err))
        around_added(&e, &f->raw, text, size, true, false);
    piecing_release(&e.piecing);
    merging_release(&e.merging);
    text_release(&mended);
    return err->code == ERR_NONE ? e.count : 0;
}

/* ---- tokens to text ---- */

/* The byte that a token <0xAB> stands for, or -1. */
static int fallback_byte(const struct vocab *v, uint32_t token)
{
    if (!v->byte_fallback || v->length[token] != 6 ||
        memcmp(v->bytes + v->at[token], "<0x", 3) != 0)
        return -1;
    for (int b = 0; b < 256; b++)
        if (v->byte[b] == token)
            return b;
    return -1;
}

static void add_spaced(struct text *out, const struct foreign *f, const char *bytes, size_t size)
{
    size_t length = strlen(f->space);
    while (length && size) {
        const char *space = memmem(bytes, size, f->space, length);
        if (!space)
            break;
        text_add(out, bytes, (size_t)(space - bytes));
        text_add(out, " ", 1);
        size -= (size_t)(space - bytes) + length;
        bytes = space + length;
    }
    text_add(out, bytes, size);
}

/* A run of byte tokens is a text, or each of them is U+FFFD, as in the reference. */
static size_t add_fallback(struct text *out, const struct foreign *f, const uint32_t *tokens,
                           size_t count)
{
    size_t from = out->size;
    size_t used = 0;
    for (int value; used < count; used++) {
        value = tokens[used] < f->vocab.ids ? fallback_byte(&f->vocab, tokens[used]) : -1;
        if (value < 0)
            break;
        char byte = (char)value;
        text_add(out, &byte, 1);
    }
    if (used == 0 || utf8_valid(out->bytes + from, out->size - from))
        return used;
    out->size = from;
    for (size_t i = 0; i < used; i++)
        text_add(out, "\xef\xbf\xbd", 3);
    return used;
}

bool foreign_prepends(const struct foreign *f)
{
    for (size_t i = 0; i < f->pieces.normal_count; i++)
        if (f->pieces.normals[i].kind == NORMAL_PREPEND)
            return true;
    return false;
}

void foreign_decode(struct text *text, const struct foreign *f, const uint32_t *tokens,
                    size_t count, bool begins)
{
    const struct vocab *v = &f->vocab;
    struct text raw;
    text_init(&raw, PIECES_TEXT_MAX);
    for (size_t i = 0; i < count; i++) {
        uint32_t token = tokens[i];
        size_t bytes = 0;
        if (token >= f->own) /* a mark, or a row that no token has */
            continue;
        const struct added *a = f->added_at[token] ? &f->added[f->added_at[token] - 1] : NULL;
        if (a && a->special)
            continue;
        if (a)
            text_add(&raw, a->text, a->size);
        else if (token < v->ids && (bytes = add_fallback(&raw, f, tokens + i, count - i)) > 0)
            i += bytes - 1;
        else if (token < v->ids && v->flags[token] & TOKEN_THERE)
            add_spaced(&raw, f, v->bytes + v->at[token], v->length[token]);
    }
    size_t from = 0;
    while (begins && from < f->strip && from < raw.size && raw.bytes[from] == ' ')
        from++;
    if (raw.size > from)
        mend(text, raw.bytes + from, raw.size - from);
    text_release(&raw);
}
