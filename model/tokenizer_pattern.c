#include "model/tokenizer_pattern.h"

#include "base/text.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS_MAX = 2000000, HEAP_KB_MAX = 16384 };

struct pattern {
    pcre2_code *code; /* owned */
    bool jit;
};

struct matching {
    pcre2_match_data *data;       /* owned */
    pcre2_match_context *context; /* owned */
};

/* `at` is behind the backslash.  What Ruby and PCRE2 read differently; NULL: the same in both. */
static const char *rewritten(char letter, bool in_class)
{
    switch (letter) {
    case 's':
        return in_class ? "\\p{Z}\\x09-\\x0d\\x{85}" : "[\\p{Z}\\x09-\\x0d\\x{85}]";
    case 'S':
        return in_class ? NULL : "[^\\p{Z}\\x09-\\x0d\\x{85}]";
    case 'w':
        return in_class ? "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}"
                        : "[\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}]";
    case 'W':
        return in_class ? NULL : "[^\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}]";
    default:
        return NULL;
    }
}

static bool rewrite(struct text *out, const char *regex, struct err *err)
{
    bool in_class = false;
    for (const char *at = regex; *at; at++) {
        if (*at == '\\' && at[1]) {
            const char *other = rewritten(*++at, in_class);
            if (strchr("hHGKRX", *at))
                return err_set(err, ERR_FORMAT, "pattern %.80s: \\%c is not read here", regex, *at);
            if (other)
                text_addf(out, "%s", other);
            else
                text_add(out, at - 1, 2);
            continue;
        }
        if (in_class && (*at == '[' || (*at == '&' && at[1] == '&')))
            return err_set(err, ERR_FORMAT, "pattern %.80s: a class within a class", regex);
        text_add(out, at, 1);
        if (!in_class && *at == '[') {
            in_class = true;
            if (at[1] == '^')
                text_add(out, ++at, 1);
            if (at[1] == ']')
                return err_set(err, ERR_FORMAT, "pattern %.80s: an empty class", regex);
        } else if (*at == ']') {
            in_class = false;
        }
    }
    return true;
}

static struct pattern *compile(const char *regex, struct err *err)
{
    struct pattern *p = calloc(1, sizeof *p);
    int code;
    PCRE2_SIZE place;
    if (!p) {
        err_set(err, ERR_SYSTEM, "no memory for a pattern");
        return NULL;
    }
    p->code = pcre2_compile((PCRE2_SPTR)regex, PCRE2_ZERO_TERMINATED,
                            PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C | PCRE2_MULTILINE,
                            &code, &place, NULL);
    if (p->code) {
        p->jit = pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE) == 0; /* else it is interpreted */
        return p;
    }
    PCRE2_UCHAR why[120] = "";
    pcre2_get_error_message(code, why, sizeof why);
    err_set(err, ERR_FORMAT, "pattern %.80s: byte %zu: %s", regex, (size_t)place,
            (const char *)why);
    free(p);
    return NULL;
}

struct pattern *pattern_new(const char *regex, struct err *err)
{
    struct text text;
    struct pattern *p = NULL;
    text_init(&text, PATTERN_BYTES_MAX);
    if (!*regex)
        err_set(err, ERR_FORMAT, "expected a pattern, found an empty one");
    else if (rewrite(&text, regex, err)) {
        if (text.full || !text.bytes)
            err_set(err, ERR_LIMIT, "pattern %.40s...: more than %d bytes", regex,
                    PATTERN_BYTES_MAX);
        else
            p = compile(text.bytes, err);
    }
    text_release(&text);
    return p;
}

void pattern_free(struct pattern *p)
{
    if (!p)
        return;
    pcre2_code_free(p->code);
    free(p);
}

struct matching *matching_new(struct err *err)
{
    struct matching *m = calloc(1, sizeof *m);
    if (m) {
        m->data = pcre2_match_data_create(1, NULL);
        m->context = pcre2_match_context_create(NULL);
    }
    if (m && m->data && m->context) {
        pcre2_set_match_limit(m->context, STEPS_MAX);
        pcre2_set_heap_limit(m->context, HEAP_KB_MAX);
        return m;
    }
    matching_free(m);
    err_set(err, ERR_SYSTEM, "no memory to match patterns");
    return NULL;
}

void matching_free(struct matching *m)
{
    if (!m)
        return;
    pcre2_match_data_free(m->data);
    pcre2_match_context_free(m->context);
    free(m);
}

static int match(const struct pattern *p, struct matching *m, const char *text, size_t size,
                 size_t from)
{
    uint32_t options = PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY;
    int rc = PCRE2_ERROR_JIT_STACKLIMIT;
    if (p->jit)
        rc = pcre2_jit_match(p->code, (PCRE2_SPTR)text, size, from, options, m->data, m->context);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
        rc = pcre2_match(p->code, (PCRE2_SPTR)text, size, from, options | PCRE2_NO_JIT, m->data,
                         m->context);
    return rc;
}

enum found pattern_find(size_t *start, size_t *end, const struct pattern *p, struct matching *m,
                        const char *text, size_t size, size_t from, struct err *err)
{
    int rc = match(p, m, text, size, from);
    if (rc == PCRE2_ERROR_NOMATCH)
        return FOUND_NOTHING;
    const PCRE2_SIZE *place = pcre2_get_ovector_pointer(m->data);
    if (rc < 0 || place[0] < from || place[1] <= place[0] || place[1] > size) {
        PCRE2_UCHAR why[120] = "";
        pcre2_get_error_message(rc, why, sizeof why);
        err_set(err, ERR_LIMIT, "a pattern of the tokenizer: %s", (const char *)why);
        return FOUND_ERROR;
    }
    *start = place[0];
    *end = place[1];
    return FOUND;
}
