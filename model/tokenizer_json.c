/* tokenizer_json.c: the tokenizer.json of other people's models, read and written. */
#include "base/files.h"
#include "model/tokenizer_foreign.h"

#include <stdlib.h>
#include <string.h>

json_t *tokenizer_json(const char *path, struct err *err)
{
    size_t size;
    char *text = file_read(path, TOKENIZER_JSON_MAX, &size, err);
    json_t *value = text ? json_parse(text, size, path, err) : NULL;
    if (text && !value)
        err->code = ERR_FORMAT;
    free(text);
    return value;
}

static bool number_of(size_t *number, const json_t *value)
{
    json_int_t found = json_is_integer(value) ? json_integer_value(value) : -1;
    *number = (size_t)found;
    return found >= 0 && found < VOCAB_MOST;
}

static int mark_of(const char *text)
{
    for (int m = 0; m < MARKS; m++)
        if (text && strcmp(text, MARK_TEXTS[m]) == 0)
            return m;
    return -1;
}

/* ---- reading ---- */

struct reading {
    const json_t *model, *vocab;
    bool marks; /* those of ours are no tokens of the vocabulary */
    struct foreign *foreign;
    struct err *err;
};

static bool read_kind(struct reading *r)
{
    struct vocab *v = &r->foreign->vocab;
    const char *type = json_string_value(json_object_get(r->model, "type"));
    const char *affix = "";
    const char *ending = "";
    double dropout = 0;
    if (type ? strcmp(type, "BPE") != 0 : !json_object_get(r->model, "merges"))
        return err_set(r->err, ERR_FORMAT, "model: expected BPE, found %.40s",
                       type ? type : json_kind(r->model));
    if (!json_text(&affix, r->model, "continuing_subword_prefix", r->err) ||
        !json_text(&ending, r->model, "end_of_word_suffix", r->err) ||
        !json_real64(&dropout, r->model, "dropout", 0, 0, r->err) ||
        !json_flag(&v->fuse_unknown, r->model, "fuse_unk", r->err) ||
        !json_flag(&v->byte_fallback, r->model, "byte_fallback", r->err) ||
        !json_flag(&v->ignore_merges, r->model, "ignore_merges", r->err))
        return false;
    if (*affix || *ending)
        return err_set(r->err, ERR_FORMAT, "model: '%.20s%.20s' around subwords is not read here",
                       affix, ending);
    return true;
}

static bool read_vocab(struct reading *r)
{
    struct vocab *v = &r->foreign->vocab;
    const char *text;
    json_t *value;
    size_t ids = 0;
    size_t bytes = 0;
    size_t id;
    json_object_foreach ((json_t *)(uintptr_t)r->vocab, text, value) {
        if (!number_of(&id, value))
            return err_set(r->err, ERR_FORMAT, "model: token %.40s: expected a number below %d",
                           text, VOCAB_MOST);
        if (r->marks && mark_of(text) >= 0)
            continue;
        ids = id >= ids ? id + 1 : ids;
        bytes += strlen(text);
    }
    struct vocab kind = *v;
    if (!vocab_init(v, ids, bytes, json_array_size(json_object_get(r->model, "merges")), r->err))
        return false;
    v->byte_level = r->foreign->pieces.byte_level;
    v->byte_fallback = kind.byte_fallback;
    v->fuse_unknown = kind.fuse_unknown;
    v->ignore_merges = kind.ignore_merges;
    json_object_foreach ((json_t *)(uintptr_t)r->vocab, text, value) {
        if (r->marks && mark_of(text) >= 0)
            continue;
        if (!number_of(&id, value) || !vocab_add(v, id, text, strlen(text), r->err))
            return false;
    }
    return true;
}

static bool read_unknown(struct reading *r)
{
    const char *text = NULL;
    if (!json_text(&text, r->model, "unk_token", r->err))
        return false;
    size_t id;
    if (!text)
        return true;
    if (!number_of(&id, json_object_get(r->vocab, text)))
        return err_set(r->err, ERR_FORMAT, "model: unk_token %.40s is not in the vocabulary", text);
    r->foreign->vocab.unknown = (uint32_t)id;
    return true;
}

/* Both forms: "a b" and ["a", "b"]. */
static bool read_merge(struct reading *r, const json_t *merge, uint32_t rank)
{
    const char *left = json_string_value(json_array_get(merge, 0));
    const char *right = json_string_value(json_array_get(merge, 1));
    const char *both = json_string_value(merge);
    const char *space = both ? strchr(both, ' ') : NULL;
    size_t left_size = 0;
    if (json_array_size(merge) == 2 && left && right) {
        left_size = strlen(left);
    } else if (space && !strchr(space + 1, ' ')) {
        left = both;
        left_size = (size_t)(space - both);
        right = space + 1;
    } else
        return err_set(r->err, ERR_FORMAT,
                       "merge %u: expected \"left right\" or two texts, found %s", rank,
                       json_kind(merge));
    return vocab_merge_add(&r->foreign->vocab, left, left_size, right, strlen(right), rank, r->err);
}

static bool read_merges(struct reading *r)
{
    const json_t *merges = json_object_get(r->model, "merges");
    if (!json_is_array(merges))
        return err_set(r->err, ERR_FORMAT, "model: merges: expected an array, found %s",
                       json_kind(merges));
    for (size_t i = 0; i < json_array_size(merges); i++)
        if (!read_merge(r, json_array_get(merges, i), (uint32_t)i))
            return false;
    return true;
}

static bool read_added_one(struct added *a, struct reading *r, const json_t *object)
{
    size_t id;
    *a = (struct added){0};
    if (!json_is_object(object))
        return err_set(r->err, ERR_FORMAT, "added_tokens: expected an object, found %s",
                       json_kind(object));
    if (!json_text(&a->text, object, "content", r->err) ||
        !json_flag(&a->special, object, "special", r->err) ||
        !json_flag(&a->single_word, object, "single_word", r->err) ||
        !json_flag(&a->lstrip, object, "lstrip", r->err) ||
        !json_flag(&a->rstrip, object, "rstrip", r->err) ||
        !json_flag(&a->normalized, object, "normalized", r->err))
        return false;
    if (!a->text || !*a->text || !number_of(&id, json_object_get(object, "id")))
        return err_set(r->err, ERR_FORMAT, "added_tokens: expected content and an id below %d",
                       VOCAB_MOST);
    a->size = strlen(a->text);
    a->token = (uint32_t)id;
    return true;
}

/* An added token is in the vocabulary under its number, or has a number that nobody has. */
static bool fits(const struct reading *r, const struct added *a)
{
    const struct vocab *v = &r->foreign->vocab;
    size_t id;
    const json_t *known = json_object_get(r->vocab, a->text);
    if (known ? number_of(&id, known) && id == a->token
              : a->token >= v->ids || !(v->flags[a->token] & TOKEN_THERE))
        return true;
    return err_set(r->err, ERR_FORMAT, "added token %.40s: number %u is another one's", a->text,
                   a->token);
}

/* Marks go to at[MARKS], all else becomes an added token. */
static bool read_added(struct reading *r, const json_t *list, size_t at[MARKS])
{
    struct added a;
    if (list && !json_is_null(list) && !json_is_array(list))
        return err_set(r->err, ERR_FORMAT, "added_tokens: expected an array, found %s",
                       json_kind(list));
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (!read_added_one(&a, r, json_array_get(list, i)))
            return false;
        int mark = r->marks ? mark_of(a.text) : -1;
        if (mark >= 0)
            at[mark] = a.token;
        else if (!fits(r, &a) || !foreign_add(r->foreign, &a, r->err))
            return false;
    }
    return true;
}

static json_t *kept(const json_t *file, const char *name)
{
    return json_incref(json_object_get(file, name));
}

static bool read_all(struct reading *r, const json_t *file, size_t marks_at)
{
    struct foreign *f = r->foreign;
    size_t at[MARKS];
    f->normalizer = kept(file, "normalizer");
    f->pre_tokenizer = kept(file, "pre_tokenizer");
    f->post_processor = kept(file, "post_processor");
    f->decoder = kept(file, "decoder");
    for (size_t m = 0; m < MARKS; m++)
        at[m] = SIZE_MAX;
    if (!json_is_object(file) || !json_is_object(r->vocab))
        return err_set(r->err, ERR_FORMAT, "expected a tokenizer with model.vocab, found %s",
                       json_is_object(file) ? json_kind(r->vocab) : json_kind(file));
    if (!pieces_init(&f->pieces, f->normalizer, f->pre_tokenizer, r->err) || !read_kind(r) ||
        !read_vocab(r) || !read_unknown(r) || !read_merges(r) ||
        !read_added(r, json_object_get(file, "added_tokens"), at))
        return false;
    for (size_t m = 0; m < MARKS && r->marks; m++)
        if (at[m] == SIZE_MAX || at[m] != at[0] + m)
            return err_set(r->err, ERR_FORMAT,
                           "expected the mark %s as token %zu: made by another version?",
                           MARK_TEXTS[m], at[0] + m);
    return foreign_finish(f, r->marks ? at[0] : marks_at, r->err);
}

struct foreign *foreign_from_json(const json_t *file, bool marks, size_t marks_at, struct err *err)
{
    const json_t *model = json_object_get(file, "model");
    struct reading r = {model, json_object_get(model, "vocab"), marks, foreign_new(err), err};
    if (r.foreign && read_all(&r, file, marks_at))
        return r.foreign;
    foreign_free(r.foreign);
    if (err->code == ERR_INPUT)
        err->code = ERR_FORMAT;
    return NULL;
}

/* ---- writing: piece by piece, a tree of 150,000 tokens would be large ---- */

static void add_json(struct text *out, const char *bytes)
{
    text_add_json(out, bytes ? bytes : "");
}

static void add_part(struct text *out, const char *name, const json_t *value)
{
    char *text = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    text_addf(out, ",\"%s\":%s", name, text ? text : "null");
    free(text);
}

static void add_added(struct text *out, const struct added *a, const char *before)
{
    text_addf(out, "%s{\"id\":%u,\"content\":", before, a->token);
    add_json(out, a->text);
    text_addf(out,
              ",\"single_word\":%s,\"lstrip\":%s,\"rstrip\":%s,\"normalized\":%s,\"special\":%s}",
              a->single_word ? "true" : "false", a->lstrip ? "true" : "false",
              a->rstrip ? "true" : "false", a->normalized ? "true" : "false",
              a->special ? "true" : "false");
}

static void add_spelled(struct text *out, struct text *scratch, const struct vocab *v,
                        uint32_t token)
{
    text_reset(scratch);
    vocab_spell(scratch, v, token);
    add_json(out, scratch->bytes);
}

/* The marks stand in the vocabulary, too: so every reader gives them their numbers. */
static void add_vocab(struct text *out, struct text *scratch, const struct foreign *f)
{
    const struct vocab *v = &f->vocab;
    text_addf(out, ",\"vocab\":{");
    for (uint32_t token = 0; token < v->ids; token++) {
        if (!(v->flags[token] & TOKEN_THERE))
            continue;
        add_spelled(out, scratch, v, token);
        text_addf(out, ":%u,", token);
    }
    for (uint32_t m = 0; m < MARKS; m++)
        text_addf(out, "\"%s\":%u%s", MARK_TEXTS[m], f->marks + m, m + 1 < MARKS ? "," : "}");
}

static bool add_merges(struct text *out, struct text *scratch, const struct vocab *v,
                       struct err *err)
{
    struct vocab_merge *merges = vocab_merges(v, err);
    if (!merges)
        return false;
    text_addf(out, ",\"merges\":[");
    for (size_t i = 0; i < v->merge_count; i++) {
        text_addf(out, i ? ",[" : "[");
        add_spelled(out, scratch, v, merges[i].left);
        text_addf(out, ",");
        add_spelled(out, scratch, v, merges[i].right);
        text_addf(out, "]");
    }
    text_addf(out, "]");
    free(merges);
    return true;
}

static bool add_file(struct text *out, struct text *scratch, const struct foreign *f,
                     struct err *err)
{
    const struct vocab *v = &f->vocab;
    text_addf(out, "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[");
    for (size_t i = 0; i < f->added_count; i++)
        add_added(out, &f->added[i], i ? "," : "");
    for (uint32_t m = 0; m < MARKS; m++)
        add_added(out,
                  &(struct added){.text = MARK_TEXTS[m], .token = f->marks + m, .special = true},
                  m || f->added_count ? "," : "");
    text_addf(out, "]");
    add_part(out, "normalizer", f->normalizer);
    add_part(out, "pre_tokenizer", f->pre_tokenizer);
    add_part(out, "post_processor", f->post_processor);
    add_part(out, "decoder", f->decoder);
    text_addf(out, ",\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":");
    if (v->unknown == NO_TOKEN)
        text_addf(out, "null");
    else
        add_spelled(out, scratch, v, v->unknown);
    text_addf(out,
              ",\"continuing_subword_prefix\":null,\"end_of_word_suffix\":null,\"fuse_unk\":%s,"
              "\"byte_fallback\":%s,\"ignore_merges\":%s",
              v->fuse_unknown ? "true" : "false", v->byte_fallback ? "true" : "false",
              v->ignore_merges ? "true" : "false");
    add_vocab(out, scratch, f);
    bool fine = add_merges(out, scratch, v, err);
    text_addf(out, "}}");
    return fine;
}

bool foreign_write(const struct foreign *f, const char *path, struct err *err)
{
    struct text out;
    struct text scratch;
    text_init(&out, TOKENIZER_JSON_MAX);
    text_init(&scratch, TOKENIZER_JSON_MAX);
    bool fine = add_file(&out, &scratch, f, err);
    if (fine && (out.full || scratch.full))
        fine = err_set(err, ERR_LIMIT, "%s: more than %d bytes", path, TOKENIZER_JSON_MAX);
    fine = fine && file_write_atomic(path, out.bytes, out.size, err);
    text_release(&out);
    text_release(&scratch);
    return fine;
}
