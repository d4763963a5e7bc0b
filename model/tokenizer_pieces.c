#include "model/tokenizer_pieces.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* GPT-2's pattern (Radford et al. 2019, encoder.py): ByteLevel with use_regex. */
static const char GPT2[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|"
                           "\\s+(?!\\S)|\\s+";

/* ---- what a file says ---- */

static const char *type_of(const json_t *object)
{
    const char *type = json_string_value(json_object_get(object, "type"));
    return type ? type : "";
}

static bool unknown(const json_t *object, const char *what, const char *expected, struct err *err)
{
    return err_set(err, ERR_FORMAT, "%s: expected %s, found '%.40s'", what, expected,
                   *type_of(object) ? type_of(object) : json_kind(object));
}

static bool read_match(struct pattern **pattern, const char **literal, const json_t *object,
                       struct err *err)
{
    const json_t *match = json_object_get(object, "pattern");
    const char *regex = json_string_value(json_object_get(match, "Regex"));
    *literal = json_string_value(json_object_get(match, "String"));
    if (regex)
        return (*pattern = pattern_new(regex, err)) != NULL;
    if (*literal && **literal)
        return true;
    return err_set(err, ERR_FORMAT, "%s: expected a pattern {Regex} or {String}", type_of(object));
}

static bool add_normal(struct pieces *p, const json_t *object, struct err *err)
{
    static const struct {
        const char *name;
        int options;
    } FORMS[] = {
        {"NFC", UTF8PROC_STABLE | UTF8PROC_COMPOSE},
        {"NFD", UTF8PROC_STABLE | UTF8PROC_DECOMPOSE},
        {"NFKC", UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT},
        {"NFKD", UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT},
    };
    const char *type = type_of(object);
    if (p->normal_count == PIECES_STEPS)
        return err_set(err, ERR_LIMIT, "normalizer: more than %d steps", PIECES_STEPS);
    struct normal *n = &p->normals[p->normal_count++];
    for (size_t i = 0; i < COUNT(FORMS); i++)
        if (strcmp(type, FORMS[i].name) == 0) {
            *n = (struct normal){.kind = NORMAL_COMPOSED, .options = FORMS[i].options};
            return true;
        }
    if (strcmp(type, "Lowercase") == 0) {
        n->kind = NORMAL_LOWER;
        return true;
    }
    if (strcmp(type, "Prepend") == 0) {
        n->kind = NORMAL_PREPEND;
        return json_text(&n->content, object, "prepend", err) &&
               (n->content || err_set(err, ERR_FORMAT, "Prepend: expected a text"));
    }
    if (strcmp(type, "Replace") == 0) {
        n->kind = NORMAL_REPLACE;
        return json_text(&n->content, object, "content", err) &&
               (n->content || err_set(err, ERR_FORMAT, "Replace: expected content")) &&
               read_match(&n->pattern, &n->literal, object, err);
    }
    return unknown(object, "normalizer",
                   "NFC, NFD, NFKC, NFKD, Lowercase, Replace, Prepend or Sequence", err);
}

static struct stage *add_stage(struct pieces *p, enum stage_kind kind, struct err *err)
{
    if (p->stage_count == PIECES_STEPS) {
        err_set(err, ERR_LIMIT, "pre_tokenizer: more than %d steps", PIECES_STEPS);
        return NULL;
    }
    p->stages[p->stage_count] = (struct stage){.kind = kind};
    return &p->stages[p->stage_count++];
}

static bool add_cut(struct pieces *p, enum cut_by by, enum cut_how how, bool invert,
                    const char *text, struct err *err)
{
    struct stage *s = add_stage(p, STAGE_CUT, err);
    if (!s)
        return false;
    s->by = by;
    s->how = how;
    s->invert = invert;
    s->text = text;
    return by != BY_PATTERN || (s->pattern = pattern_new(text, err)) != NULL;
}

static bool add_prefix(struct pieces *p, const char *text, bool first_only, struct err *err)
{
    struct stage *s = add_stage(p, STAGE_PREFIX, err);
    if (!s)
        return false;
    s->text = text;
    s->first_only = first_only;
    return true;
}

static bool read_how(enum cut_how *how, const json_t *object, struct err *err)
{
    static const char *const NAMES[] = {"Isolated", "Removed", "MergedWithPrevious",
                                        "MergedWithNext", "Contiguous"};
    const char *name = json_string_value(json_object_get(object, "behavior"));
    for (size_t i = 0; name && i < COUNT(NAMES); i++)
        if (strcmp(name, NAMES[i]) == 0) {
            *how = (enum cut_how)i;
            return true;
        }
    return err_set(err, ERR_FORMAT, "%s: behavior %.40s is not known", type_of(object),
                   name ? name : "of no text");
}

static bool add_byte_level(struct pieces *p, const json_t *object, struct err *err)
{
    bool prefix = true;
    bool regex = true;
    p->byte_level = true;
    return json_flag(&prefix, object, "add_prefix_space", err) &&
           json_flag(&regex, object, "use_regex", err) &&
           (!prefix || add_prefix(p, " ", false, err)) &&
           (!regex || add_cut(p, BY_PATTERN, HOW_ISOLATED, false, GPT2, err));
}

/* Files before version 0.15 of the reference say add_prefix_space instead of prepend_scheme. */
static bool add_metaspace(struct pieces *p, const json_t *object, struct err *err)
{
    const char *replacement = "\xe2\x96\x81";
    const char *scheme = NULL;
    bool prefix = true;
    bool cut = true;
    if (!json_text(&replacement, object, "replacement", err) ||
        !json_text(&scheme, object, "prepend_scheme", err) ||
        !json_flag(&prefix, object, "add_prefix_space", err) ||
        !json_flag(&cut, object, "split", err))
        return false;
    scheme = scheme ? scheme : prefix ? "always" : "never";
    bool never = strcmp(scheme, "never") == 0;
    bool first = strcmp(scheme, "first") == 0;
    if (!*replacement || (!never && !first && strcmp(scheme, "always") != 0))
        return err_set(err, ERR_FORMAT, "Metaspace: prepend_scheme %.40s with '%.8s'", scheme,
                       replacement);
    struct stage *s = add_stage(p, STAGE_SPACES, err);
    if (!s)
        return false;
    s->text = replacement;
    return (never || add_prefix(p, replacement, first, err)) &&
           (!cut || add_cut(p, BY_LITERAL, HOW_NEXT, false, replacement, err));
}

static bool add_split(struct pieces *p, const json_t *object, struct err *err)
{
    struct stage *s = add_stage(p, STAGE_CUT, err);
    if (!s || !read_match(&s->pattern, &s->text, object, err))
        return false;
    s->by = s->pattern ? BY_PATTERN : BY_LITERAL;
    return json_flag(&s->invert, object, "invert", err) && read_how(&s->how, object, err);
}

static bool add_pre_tokenizer(struct pieces *p, const json_t *object, struct err *err)
{
    const char *type = type_of(object);
    bool single = false;
    enum cut_how how = HOW_ISOLATED;
    if (p->byte_level)
        return err_set(err, ERR_FORMAT, "pre_tokenizer: %.40s after ByteLevel is not read here",
                       type);
    if (strcmp(type, "ByteLevel") == 0)
        return add_byte_level(p, object, err);
    if (strcmp(type, "Split") == 0)
        return add_split(p, object, err);
    if (strcmp(type, "Digits") == 0)
        return json_flag(&single, object, "individual_digits", err) &&
               add_cut(p, BY_NUMBER, single ? HOW_ISOLATED : HOW_CONTIGUOUS, false, NULL, err);
    if (strcmp(type, "Punctuation") == 0)
        return (!json_object_get(object, "behavior") || read_how(&how, object, err)) &&
               add_cut(p, BY_PUNCTUATION, how, false, NULL, err);
    if (strcmp(type, "Whitespace") == 0)
        return add_cut(p, BY_PATTERN, HOW_REMOVED, true, "\\w+|[^\\w\\s]+", err);
    if (strcmp(type, "WhitespaceSplit") == 0)
        return add_cut(p, BY_WHITE, HOW_REMOVED, false, NULL, err);
    if (strcmp(type, "Metaspace") == 0)
        return add_metaspace(p, object, err);
    return unknown(object, "pre_tokenizer",
                   "ByteLevel, Split, Digits, Punctuation, Metaspace, Whitespace, WhitespaceSplit "
                   "or Sequence",
                   err);
}

typedef bool add_fn(struct pieces *pieces, const json_t *object, struct err *err);

/* One, or a Sequence of them, or nothing; a Sequence within one is not written by anybody. */
static bool add_all(struct pieces *p, const json_t *object, const char *list_name, add_fn *add,
                    struct err *err)
{
    if (!object || json_is_null(object))
        return true;
    if (strcmp(type_of(object), "Sequence") != 0)
        return add(p, object, err);
    const json_t *list = json_object_get(object, list_name);
    if (!json_is_array(list))
        return err_set(err, ERR_FORMAT, "Sequence: %s: expected an array, found %s", list_name,
                       json_kind(list));
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!add(p, json_array_get(list, i), err))
            return false;
    return true;
}

bool pieces_init(struct pieces *p, const json_t *normalizer, const json_t *pre_tokenizer,
                 struct err *err)
{
    *p = (struct pieces){0};
    return add_all(p, normalizer, "normalizers", add_normal, err) &&
           add_all(p, pre_tokenizer, "pretokenizers", add_pre_tokenizer, err);
}

void pieces_release(struct pieces *p)
{
    for (size_t i = 0; i < p->normal_count; i++)
        pattern_free(p->normals[i].pattern);
    for (size_t i = 0; i < p->stage_count; i++)
        pattern_free(p->stages[i].pattern);
    *p = (struct pieces){0};
}

bool piecing_init(struct piecing *g, const struct pieces *pieces, piece_fn *fn, void *self,
                  struct err *err)
{
    *g = (struct piecing){.pieces = pieces, .fn = fn, .self = self, .err = err};
    text_init(&g->normal[0], PIECES_TEXT_MAX);
    text_init(&g->normal[1], PIECES_TEXT_MAX);
    for (size_t i = 0; i < PIECES_STEPS; i++)
        text_init(&g->stage[i], PIECES_TEXT_MAX);
    return (g->matching = matching_new(err)) != NULL;
}

void piecing_release(struct piecing *g)
{
    matching_free(g->matching);
    text_release(&g->normal[0]);
    text_release(&g->normal[1]);
    for (size_t i = 0; i < PIECES_STEPS; i++)
        text_release(&g->stage[i]);
}

/* ---- matches ---- */

static bool is_of(enum cut_by by, utf8proc_int32_t code)
{
    utf8proc_category_t c = utf8proc_category(code);
    switch (by) {
    case BY_NUMBER:
        return c >= UTF8PROC_CATEGORY_ND && c <= UTF8PROC_CATEGORY_NO;
    case BY_PUNCTUATION:
        return (c >= UTF8PROC_CATEGORY_PC && c <= UTF8PROC_CATEGORY_PO) ||
               (code < 0x80 && c >= UTF8PROC_CATEGORY_SM && c <= UTF8PROC_CATEGORY_SO);
    default:
        return (c >= UTF8PROC_CATEGORY_ZS && c <= UTF8PROC_CATEGORY_ZP) ||
               (code >= 9 && code <= 13) || code == 0x85;
    }
}

static enum found find_of(size_t *start, size_t *end, enum cut_by by, const char *text, size_t size,
                          size_t from)
{
    for (size_t at = from; at < size;) {
        utf8proc_int32_t code = (unsigned char)text[at];
        size_t step = 1;
        if (code >= 0x80) {
            utf8proc_ssize_t length = utf8proc_iterate((const utf8proc_uint8_t *)text + at,
                                                       (utf8proc_ssize_t)(size - at), &code);
            step = length > 0 ? (size_t)length : 1;
        }
        if ((code >= 0x80 || by != BY_NUMBER || (code >= '0' && code <= '9')) && is_of(by, code)) {
            *start = at;
            *end = at + step;
            return FOUND;
        }
        at += step;
    }
    return FOUND_NOTHING;
}

static enum found find_literal(size_t *start, size_t *end, const char *literal, const char *text,
                               size_t size, size_t from)
{
    size_t length = strlen(literal);
    const char *found = memmem(text + from, size - from, literal, length);
    if (!found)
        return FOUND_NOTHING;
    *start = (size_t)(found - text);
    *end = *start + length;
    return FOUND;
}

/* ---- normalizers ---- */

static bool compose(struct text *out, int options, const char *bytes, size_t size, struct err *err)
{
    utf8proc_uint8_t *made = NULL;
    utf8proc_ssize_t count = utf8proc_map((const utf8proc_uint8_t *)bytes, (utf8proc_ssize_t)size,
                                          &made, (utf8proc_option_t)options);
    if (count >= 0)
        text_add(out, (const char *)made, (size_t)count);
    free(made);
    return count >= 0 ||
           err_set(err, ERR_SYSTEM, "a text of %zu bytes: %s", size, utf8proc_errmsg(count));
}

static void lower(struct text *out, const char *bytes, size_t size)
{
    for (size_t at = 0; at < size;) {
        utf8proc_int32_t code;
        utf8proc_uint8_t small[4];
        utf8proc_ssize_t step = utf8proc_iterate((const utf8proc_uint8_t *)bytes + at,
                                                 (utf8proc_ssize_t)(size - at), &code);
        utf8proc_ssize_t count = utf8proc_encode_char(utf8proc_tolower(code), small);
        text_add(out, (const char *)small, (size_t)count);
        if (code == 0x130) /* the one letter whose lower case is two: i and a dot above */
            text_add(out, "\xcc\x87", 2);
        at += step > 0 ? (size_t)step : 1;
    }
}

static bool replace(struct text *out, struct piecing *g, const struct normal *n, const char *bytes,
                    size_t size)
{
    size_t start;
    size_t end;
    size_t at = 0;
    enum found found = FOUND;
    while (at < size && !out->full) {
        found = n->pattern
                    ? pattern_find(&start, &end, n->pattern, g->matching, bytes, size, at, g->err)
                    : find_literal(&start, &end, n->literal, bytes, size, at);
        if (found != FOUND)
            break;
        text_add(out, bytes + at, start - at);
        text_add(out, n->content, strlen(n->content));
        at = end;
    }
    text_add(out, bytes + at, size - at);
    return found != FOUND_ERROR;
}

static bool is_ascii(const char *bytes, size_t size)
{
    unsigned char all = 0;
    for (size_t i = 0; i < size; i++)
        all |= (unsigned char)bytes[i];
    return all < 0x80;
}

const char *pieces_normal(size_t *out, struct piecing *g, const char *bytes, size_t size)
{
    size_t written = 0; /* texts so far: bytes may lie in the last of them */
    for (size_t i = 0; i < g->pieces->normal_count && size; i++) {
        const struct normal *n = &g->pieces->normals[i];
        bool fine = true;
        if (n->kind == NORMAL_COMPOSED && is_ascii(bytes, size))
            continue;
        struct text *text = &g->normal[written++ % 2];
        text_reset(text);
        if (n->kind == NORMAL_COMPOSED)
            fine = compose(text, n->options, bytes, size, g->err);
        else if (n->kind == NORMAL_LOWER)
            lower(text, bytes, size);
        else if (n->kind == NORMAL_REPLACE)
            fine = replace(text, g, n, bytes, size);
        else {
            text_add(text, n->content, strlen(n->content));
            text_add(text, bytes, size);
        }
        if (text->full)
            fine = err_set(g->err, ERR_LIMIT, "a text of %zu bytes grows beyond %d", size,
                           PIECES_TEXT_MAX);
        if (!fine)
            return NULL;
        bytes = text->bytes ? text->bytes : "";
        size = text->size;
    }
    *out = size;
    return bytes;
}

/* ---- pre-tokenizers ---- */

/* The parts of a text, matches and what lies between them. */
struct cutting {
    const struct stage *stage;
    const char *text;
    size_t size, at;
    size_t start, end; /* of the next match, if it is known */
    bool known;
};

struct part {
    size_t start, end;
    bool match;
};

static enum found next_part(struct part *part, struct cutting *c, struct piecing *g)
{
    const struct stage *s = c->stage;
    if (c->at == c->size)
        return FOUND_NOTHING;
    if (!c->known) {
        enum found found = s->by == BY_PATTERN
                               ? pattern_find(&c->start, &c->end, s->pattern, g->matching, c->text,
                                              c->size, c->at, g->err)
                           : s->by == BY_LITERAL
                               ? find_literal(&c->start, &c->end, s->text, c->text, c->size, c->at)
                               : find_of(&c->start, &c->end, s->by, c->text, c->size, c->at);
        if (found == FOUND_ERROR)
            return found;
        if (found == FOUND_NOTHING)
            c->start = c->end = c->size;
    }
    c->known = c->at < c->start;
    *part = c->known ? (struct part){c->at, c->start, s->invert}
                     : (struct part){c->start, c->end, !s->invert};
    c->at = part->end;
    return FOUND;
}

static bool run_stage(struct piecing *g, size_t stage, const char *bytes, size_t size, bool first);

/* What is still waiting for its neighbour; start == end: nothing. */
static bool flush(struct piecing *g, const struct cutting *c, size_t stage, struct part *waiting,
                  bool first)
{
    struct part part = *waiting;
    *waiting = (struct part){part.end, part.end, false};
    return part.start == part.end || run_stage(g, stage + 1, c->text + part.start,
                                               part.end - part.start, first && part.start == 0);
}

/* The part joins what waits, or what waits goes on and the part waits. */
static bool joins(enum cut_how how, const struct part *waiting, const struct part *part,
                  bool matched_before)
{
    if (waiting->start == waiting->end)
        return false;
    if (how == HOW_PREVIOUS)
        return part->match && !matched_before;
    if (how == HOW_NEXT)
        return waiting->match && !part->match;
    return how == HOW_CONTIGUOUS && part->match == matched_before;
}

static bool cut(struct piecing *g, size_t stage, const char *bytes, size_t size, bool first)
{
    struct cutting c = {.stage = &g->pieces->stages[stage], .text = bytes, .size = size};
    struct part part;
    struct part waiting = {0};
    bool matched_before = false;
    enum cut_how how = c.stage->how;
    enum found found;
    while ((found = next_part(&part, &c, g)) == FOUND) {
        if (how == HOW_REMOVED && part.match)
            continue;
        if (joins(how, &waiting, &part, matched_before)) {
            waiting.end = part.end;
            waiting.match = false; /* a pair takes no third */
        } else {
            if (!flush(g, &c, stage, &waiting, first))
                return false;
            waiting = part;
        }
        matched_before = part.match;
    }
    return found != FOUND_ERROR && flush(g, &c, stage, &waiting, first);
}

static bool prefix(struct piecing *g, size_t stage, const char *bytes, size_t size, bool first)
{
    const struct stage *s = &g->pieces->stages[stage];
    struct text *text = &g->stage[stage];
    size_t length = strlen(s->text);
    if ((s->first_only && !first) || (size >= length && memcmp(bytes, s->text, length) == 0))
        return run_stage(g, stage + 1, bytes, size, first);
    text_reset(text);
    text_add(text, s->text, length);
    text_add(text, bytes, size);
    if (text->full)
        return err_set(g->err, ERR_LIMIT, "a piece of %zu bytes is too long", size);
    return run_stage(g, stage + 1, text->bytes, text->size, first);
}

static bool spaces(struct piecing *g, size_t stage, const char *bytes, size_t size, bool first)
{
    const struct stage *s = &g->pieces->stages[stage];
    struct text *text = &g->stage[stage];
    size_t length = strlen(s->text);
    text_reset(text);
    for (size_t at = 0; at < size && !text->full;) {
        const char *space = memchr(bytes + at, ' ', size - at);
        size_t end = space ? (size_t)(space - bytes) : size;
        text_add(text, bytes + at, end - at);
        if (space)
            text_add(text, s->text, length);
        at = end + (space != NULL);
    }
    if (text->full)
        return err_set(g->err, ERR_LIMIT, "a piece of %zu bytes is too long", size);
    return run_stage(g, stage + 1, text->bytes, text->size, first);
}

static bool run_stage(struct piecing *g, size_t stage, const char *bytes, size_t size, bool first)
{
    if (stage == g->pieces->stage_count)
        return g->fn(g->self, bytes, size);
    switch (g->pieces->stages[stage].kind) {
    case STAGE_CUT:
        return cut(g, stage, bytes, size, first);
    case STAGE_PREFIX:
        return prefix(g, stage, bytes, size, first);
    default:
        return spaces(g, stage, bytes, size, first);
    }
}

bool pieces_each(struct piecing *g, const char *bytes, size_t size, bool first)
{
    return size == 0 || run_stage(g, 0, bytes, size, first);
}
