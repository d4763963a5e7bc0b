/*
 * wish_clauses.c: what is said of what is mentioned.
 *
 * A sentence falls into clauses: at "but", and at a comma or "and" before a new subject or verb.
 * Within a clause a negation, "only", a verb of liking or of having seen holds for all mentions
 * behind it; a comma ends a negation unless the list goes on to an "or" or "and".  A mention
 * without anything before it takes its verdict from what follows: "horror is not my thing".
 */
#include "recommend/wish_parts.h"

#include <string.h>

struct clause {
    size_t first, last; /* words [first, last) */
    bool negative;      /* holds for what follows */
    bool plain;         /* the negation stands right before: "not the second" */
    bool only;
    enum say rel; /* SAY_LIKE, SAY_SEEN, SAY_UNWANTED (turned down) or SAY_NOTHING */
    bool neutral, wants, film, verb, no, loves, again, undo, reset, fine, similar, turns_down, seen;
    bool question;
    bool subject; /* somebody does something */
    bool negates; /* a verb: don't, haven't */
    bool content; /* before a mention, and by somebody: "I find war in films ..." */
    size_t want;  /* word behind the first wish */
    size_t used;  /* mentions that became wishes */
};

static bool is_sign(const struct wish_work *w, size_t at)
{
    return w->word[at].kind > WORD_NUMBER;
}

static bool is_subject(const struct wish_work *w, size_t at)
{
    static const char *const words[] = {"i",  "ive", "id",   "ill", "im",  "we",
                                        "my", "you", "weve", "he",  "she", "our"};
    for (size_t i = 0; i < COUNT(words); i++)
        if (word_is(w, at, words[i]))
            return true;
    return false;
}

/* Whether a clause begins behind a comma or "and" at `at`. */
static bool begins_clause(const struct wish_work *w, size_t at)
{
    while (at < w->words && w->word[at].class == FILLER && !is_subject(w, at) &&
           (word_is(w, at, "then") || word_is(w, at, "also") || word_is(w, at, "maybe") ||
            word_is(w, at, "please") || word_is(w, at, "so") || word_is(w, at, "perhaps")))
        at++;
    if (at >= w->words || is_sign(w, at))
        return false;
    if (is_subject(w, at))
        return true;
    if (w->word[at].mention >= 0)
        return false;
    switch (w->word[at].class) {
    case WANT:
    case NO:
    case NOT:
    case SEEN:
    case REMOVE:
    case UNDO:
    case LOVE:
    case HATE:
    case LIKE:
    case NEUTRAL:
    case OLDER:
    case NEWER:
    case ASK:
        return true;
    case ONLY:
        return w->word[at].span < 3; /* not "and nothing else" */
    default:
        return false;
    }
}

static size_t clause_end(const struct wish_work *w, size_t at, size_t end)
{
    for (size_t i = at + 1; i < end; i++) {
        const struct word *word = &w->word[i];
        if (word->mention >= 0)
            continue;
        bool join = word->kind == WORD_COMMA || word->kind == WORD_DASH || word_is(w, i, "and") ||
                    word_is(w, i, "so");
        if (word->class == BUT && word->kind <= WORD_NUMBER)
            return i;
        if (join && word->class != BUT && begins_clause(w, i + 1))
            return i;
    }
    return end;
}

/* ---- what a clause has ---- */

static bool has_word(const struct wish_work *w, const struct clause *c, const char *fold)
{
    for (size_t i = c->first; i < c->last; i++)
        if (word_is(w, i, fold))
            return true;
    return false;
}

static void survey(struct clause *c, const struct wish_work *w, bool asks)
{
    for (size_t i = c->first; i < c->last; i++) {
        const struct word *word = &w->word[i];
        if (word->mention >= 0 || is_sign(w, i))
            continue;
        c->again |= word->class == AGAIN;
        c->undo |= word->class == UNDO;
        c->reset |= word->class == RESET;
        c->fine |= word->class == FINE;
        if (word->class == WANT && !c->wants)
            c->want = i;
        c->wants |= word->class == WANT;
        c->subject |= is_subject(w, i) && !word_is(w, i, "my") && !word_is(w, i, "our");
        c->film |= word->class == FILM;
    }
    c->undo |= has_word(w, c, "filter") || has_word(w, c, "filters");
    size_t at = c->first;
    while (at < c->last && (w->word[at].class == FILLER || is_sign(w, at)) &&
           w->word[at].mention < 0 && !is_subject(w, at))
        at++;
    c->subject |= at < c->last && is_subject(w, at);
    while (at < c->last && (w->word[at].class == FILLER || is_sign(w, at)) &&
           w->word[at].mention < 0)
        at++;
    if (at < c->last && w->word[at].mention >= 0)
        c->subject |= w->mention[w->word[at].mention].kind == MENTION_PRONOUN;
    if (at < c->last && w->word[at].mention < 0 && w->word[at].class == IS)
        c->subject |= strncmp(w->word[at].fold, "th", 2) == 0 || word_is(w, at, "its");
    c->question = at < c->last && w->word[at].mention < 0 &&
                  (w->word[at].class == ASK || (w->word[at].class == SEEN && asks) ||
                   (w->word[at].class == IS && asks && !word_is(w, at, "its")));
}

/* ---- a word, a mention ---- */

/* "No, thanks": said to what was asked, and no negation. */
static bool is_answer(const struct wish_work *w, const struct clause *c, size_t at)
{
    size_t next = at + 1;
    return word_is(w, at, "no") && at == c->first &&
           (next >= c->last || is_sign(w, next) || is_subject(w, next) ||
            word_is(w, next, "thanks"));
}

static void hate(struct clause *c)
{
    c->rel = c->negative ? SAY_NOTHING : SAY_LIKE;
    c->neutral |= c->negative;
    c->negative = !c->negative;
}

static bool is_article(const struct wish_work *w, size_t at)
{
    return word_is(w, at, "the") || word_is(w, at, "a") || word_is(w, at, "any") ||
           word_is(w, at, "another");
}

/* A verb stands in the rest of the clause. */
static bool states(const struct wish_work *w, const struct clause *c)
{
    for (size_t i = c->first; i < c->last; i++)
        if (w->word[i].mention < 0 && (w->word[i].class == IS || w->word[i].class == HAVE))
            return !word_is(w, i, "have");
    return false;
}

static void take_word(struct clause *c, const struct wish_work *w, size_t at)
{
    const struct word *word = &w->word[at];
    bool plain = c->plain;
    c->plain = false;
    switch (word->class) {
    case NO:
        if (!is_answer(w, c, at))
            c->negative = c->no = c->plain = true;
        if (strncmp(word->fold, "instead", 7) == 0 || strcmp(word->fold, "rather") == 0)
            c->rel = SAY_NOTHING;
        break;
    case NOT:
        c->negative = true;
        c->plain = strncmp(word->fold, "not", 3) == 0;
        c->negates = c->negates || !c->plain;
        break;
    case ONLY:
        c->only = !c->negative;
        break;
    case LOVE:
        c->rel = SAY_LIKE;
        c->loves = true;
        break;
    case LIKE:
        c->rel = SAY_LIKE;
        c->similar = true;
        break;
    case HATE:
        hate(c);
        break;
    case SEEN:
        if (strstr(word->fold, "know") && states(w, c))
            break; /* "I know it has ..." */
        if (c->rel == SAY_NOTHING || !c->similar)
            c->rel = SAY_SEEN;
        c->seen |= !c->negative && strcmp(word->fold, "know") != 0;
        break;
    case REMOVE:
        c->rel = SAY_UNWANTED;
        c->negative = !c->negative;
        break;
    case NEUTRAL:
        c->neutral = true;
        break;
    case IS:
    case HAVE:
    case GOOD:
    case BAD:
        c->verb = true;
        break;
    case EXCEPT:
        c->negative = c->no = c->plain = true;
        c->rel = SAY_NOTHING;
        break;
    case WANT:
        c->plain = c->negative;
        break;
    case FILLER:
        c->plain = plain && is_article(w, at);
        break;
    case UNKNOWN:
        c->content |= c->subject;
        break;
    default:
        break;
    }
}

/* Behind a comma the negation goes on only if the list does: "no horror, war or romance". */
static void take_comma(struct clause *c, const struct wish_work *w, size_t at)
{
    bool list = false;
    c->verb = false;
    for (size_t i = at + 1; i < c->last; i++) {
        if (w->word[i].mention >= 0 || is_sign(w, i) || w->word[i].class == FILLER)
            continue;
        list = w->word[i].class == OTHER;
        break;
    }
    bool items = at + 1 < c->last && w->word[at + 1].mention >= 0 &&
                 w->mention[w->word[at + 1].mention].kind == MENTION_ITEMS;
    if (!list && !items) {
        c->negative = c->only = c->neutral = false;
        c->rel = SAY_NOTHING;
    }
}

static bool is_blocked(const struct clause *c)
{
    bool asked = c->wants || c->negative || c->loves;
    return c->question || (c->verb && !asked && (!c->film || c->subject)) ||
           (c->content && !asked && c->rel == SAY_NOTHING && !c->only);
}

/* "Very funny": of what was named before, not of what is wanted. */
static bool is_remark(const struct wish_work *w, const struct clause *c, const struct mention *m)
{
    if (m->first > 1 && word_is(w, m->first - 1, "a") &&
        (word_is(w, m->first - 2, "as") || word_is(w, m->first - 2, "was")) && !c->wants)
        return true; /* "as a child" */
    if (m->first == c->first || c->wants || c->film || c->negative || c->only)
        return false;
    static const char *const seems[] = {"sounds", "sounded", "looks", "looked", "seems",
                                        "was",    "were",    "so",    "really"};
    for (size_t i = 0; i < COUNT(seems); i++)
        if (word_is(w, m->first - 1, seems[i]))
            return true;
    return word_is(w, m->first - 1, "very") || word_is(w, m->first - 1, "pretty");
}

static enum say say_items(const struct clause *c, const struct mention *m)
{
    if (c->again && c->rel != SAY_SEEN)
        return c->negative ? SAY_UNLIKE : SAY_AGAIN;
    switch (c->rel) {
    case SAY_LIKE:
        return c->negative ? SAY_UNLIKE : SAY_LIKE;
    case SAY_SEEN:
        return c->negative ? SAY_NOTHING : SAY_SEEN;
    case SAY_UNWANTED:
        return c->negative ? SAY_UNLIKE : SAY_NOTHING;
    default:
        if (m->except)
            return SAY_NOTHING; /* what follows decides, or judge_mention() */
        return c->negative && c->plain ? SAY_UNLIKE : SAY_NOTHING;
    }
}

static void say_mention(struct clause *c, const struct wish_work *w, struct mention *m)
{
    m->framed = c->negative || c->neutral || c->rel != SAY_NOTHING || c->only;
    switch (m->kind) {
    case MENTION_CATEGORY:
        if (c->rel == SAY_SEEN || is_blocked(c) || is_remark(w, c, m))
            m->say = SAY_NOTHING;
        else if (c->neutral)
            m->say = SAY_FINE;
        else
            m->say = c->negative ? SAY_UNWANTED : c->only ? SAY_ONLY : SAY_WANTED;
        break;
    case MENTION_YEARS:
        if (c->rel == SAY_SEEN || (is_blocked(c) && !m->relative) ||
            (c->verb && c->subject && m->bare_year && !c->wants))
            m->say = SAY_NOTHING;
        else if (c->neutral)
            m->say = SAY_FINE;
        else
            m->say = c->negative ? SAY_UNWANTED : SAY_WANTED;
        break;
    case MENTION_COUNT:
        m->say = c->rel == SAY_SEEN || is_blocked(c) ? SAY_NOTHING : SAY_WANTED;
        break;
    default:
        m->say = c->question ? SAY_NOTHING : say_items(c, m);
        break;
    }
    c->plain = false;
}

/* ---- verdicts behind ---- */

static enum say verdict_of(enum word_class class, bool negative)
{
    switch (class) {
    case GOOD:
    case LOVE:
        return negative ? SAY_UNLIKE : SAY_LIKE;
    case BAD:
    case HATE:
        return negative ? SAY_NOTHING : SAY_UNLIKE;
    case REMOVE:
        return negative ? SAY_NOTHING : SAY_UNLIKE;
    case SEEN:
        return negative ? SAY_NOTHING : SAY_SEEN;
    case FINE:
        return negative ? SAY_UNLIKE : SAY_FINE;
    case ONLY:
        return SAY_ONLY;
    default:
        return SAY_NOTHING;
    }
}

/* What the rest of the clause says of a mention; a further mention of another kind ends it. */
static enum say verdict(const struct wish_work *w, const struct clause *c, const struct mention *m)
{
    bool negative = false;
    for (size_t i = m->last; i < c->last; i++) {
        const struct word *word = &w->word[i];
        if (word->mention >= 0) {
            const struct mention *other = &w->mention[word->mention];
            if (other->kind != m->kind && other->kind != MENTION_PRONOUN && !other->dead)
                return SAY_NOTHING;
            continue;
        }
        if (is_sign(w, i) || !word->span)
            continue;
        if (word->class == NOT || word->class == NO)
            negative = true;
        enum say say = verdict_of(word->class, negative);
        if (say != SAY_NOTHING)
            return say;
    }
    return SAY_NOTHING;
}

static void judge_mention(const struct wish_work *w, const struct clause *c, struct mention *m)
{
    enum say say = c->question || has_word(w, c, "heard") ? SAY_NOTHING : verdict(w, c, m);
    if (m->kind == MENTION_CATEGORY) {
        if (say == SAY_ONLY && m->say != SAY_UNWANTED)
            m->say = SAY_ONLY;
        if (m->framed || say == SAY_NOTHING || say == SAY_ONLY)
            return;
        m->say = say == SAY_UNLIKE                         ? SAY_UNWANTED
                 : say == SAY_FINE                         ? SAY_FINE
                 : say == SAY_LIKE && !c->verb             ? SAY_WANTED
                 : say == SAY_LIKE && m->first == c->first ? SAY_WANTED
                                                           : m->say;
    } else if ((m->kind == MENTION_ITEMS || m->kind == MENTION_PRONOUN) && m->say == SAY_NOTHING &&
               !m->framed && say != SAY_ONLY && say != SAY_FINE) {
        bool that = m->kind == MENTION_PRONOUN && !has_word(w, c, "was") && !has_word(w, c, "were");
        if (!that || say == SAY_SEEN)
            m->say = say;
        if (m->except && m->say == SAY_NOTHING && !c->question)
            m->say = SAY_UNLIKE;
    } else if (m->kind == MENTION_YEARS && !m->framed && say == SAY_UNLIKE && !m->relative) {
        m->say = SAY_UNWANTED;
    } else if (m->kind == MENTION_YEARS && !m->framed && say == SAY_FINE) {
        m->say = SAY_FINE;
    }
}

/* ---- wishes ---- */

static void put_rows(struct wish_work *w, const struct mention *m, enum wish_kind kind,
                     const uint32_t *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct wish wish = {.kind = kind, .row = rows[i]};
        wish_put(w, &wish, m->first, m->last);
    }
}

/* All that was shown but the rows of the mention. */
static size_t others(uint32_t rows[WISH_SHOWN_MAX], const struct wish_work *w,
                     const struct mention *m)
{
    size_t count = 0;
    for (size_t i = 0; i < w->shown_count && count < WISH_SHOWN_MAX; i++) {
        bool named = false;
        for (size_t k = 0; k < m->row_count; k++)
            named = named || w->row[m->row_first + k] == w->shown[i];
        if (!named)
            rows[count++] = w->shown[i];
    }
    return count;
}

static size_t rows_of(uint32_t rows[WISH_SHOWN_MAX], const struct wish_work *w,
                      const struct mention *m)
{
    size_t count = 0;
    if (m->kind == MENTION_ITEMS && m->except && m->say != SAY_UNLIKE)
        return others(rows, w, m);
    if (m->kind == MENTION_ITEMS) {
        for (; count < m->row_count && count < WISH_SHOWN_MAX; count++)
            rows[count] = w->row[m->row_first + count];
        return count;
    }
    if (w->it_count) {
        memcpy(rows, w->it, w->it_count * sizeof *rows);
        return w->it_count;
    }
    count = m->plural || w->shown_count == 1 ? w->shown_count : w->shown_count > 0;
    if (count > WISH_SHOWN_MAX)
        count = WISH_SHOWN_MAX;
    if (count)
        memcpy(rows, w->shown, count * sizeof *rows);
    return count;
}

static void put_items(struct wish_work *w, const struct mention *m)
{
    static const enum wish_kind kinds[] = {[SAY_LIKE] = WISH_LIKE,
                                           [SAY_UNLIKE] = WISH_UNLIKE,
                                           [SAY_SEEN] = WISH_SEEN,
                                           [SAY_AGAIN] = WISH_AGAIN};
    uint32_t rows[WISH_SHOWN_MAX];
    size_t count = rows_of(rows, w, m);
    if (m->say < SAY_LIKE)
        return;
    if (count == 0)
        wish_unclear(w, WHY_WHICH, m->first, m->last);
    put_rows(w, m, kinds[m->say], rows, count);
}

static void put_years(struct wish_work *w, const struct mention *m)
{
    struct wish wish = {.kind = WISH_YEARS, .row = NO_ITEM, .from = m->from, .to = m->to};
    if (m->say == SAY_NOTHING)
        return;
    if (w->book->newest == 0 || m->from < 0) {
        wish_unclear(w, w->book->newest ? WHY_WHICH : WHY_YEARS, m->first, m->last);
        return;
    }
    if (m->say == SAY_FINE) {
        wish_forget_years(w);
        return;
    }
    if (m->say == SAY_UNWANTED && m->bare_year) {
        wish.kind = WISH_NOT_YEARS;
    } else if (m->say == SAY_UNWANTED) {
        wish.from = m->from == YEAR_FIRST ? m->to + 1 : YEAR_FIRST;
        wish.to = m->from == YEAR_FIRST ? YEAR_LAST : m->from - 1;
    }
    wish_put(w, &wish, m->first, m->last);
}

static void put_category(struct wish_work *w, const struct mention *m, uint32_t group)
{
    struct wish wish = {.row = NO_ITEM, .category = m->category, .group = group};
    if (m->say == SAY_FINE)
        wish_forget_category(w, m->category);
    wish.kind = m->say == SAY_ONLY       ? WISH_ONLY
                : m->say == SAY_UNWANTED ? WISH_UNWANTED
                                         : WISH_WANTED;
    if (m->say == SAY_ONLY || m->say == SAY_UNWANTED || m->say == SAY_WANTED)
        wish_put(w, &wish, m->first, m->last);
}

static void put_count(struct wish_work *w, const struct mention *m)
{
    struct wish wish = {.kind = WISH_COUNT, .row = NO_ITEM, .count = m->count};
    if (m->say != SAY_WANTED)
        return;
    if (m->count > WISH_COUNT_MAX)
        wish_unclear(w, WHY_COUNT, m->first, m->last);
    else
        wish_put(w, &wish, m->first, m->last);
}

/* Alternatives: "thrillers or mysteries", "dramas, comedies"; both: "romantic comedy". */
static bool are_alternatives(const struct wish_work *w, const struct mention *a,
                             const struct mention *b)
{
    for (size_t i = a->last; i < b->first; i++)
        if (w->word[i].kind == WORD_COMMA || word_is(w, i, "or") ||
            (word_is(w, i, "and") && (a->plural || b->plural)))
            return true;
    return false;
}

/* ---- what nothing in the catalogue says ---- */

static bool is_content(const struct wish_work *w, size_t at)
{
    const struct word *word = &w->word[at];
    if (is_sign(w, at))
        return false;
    if (word->mention >= 0)
        return w->mention[word->mention].dead && !word->used &&
               (w->mention[word->mention].kind == MENTION_CATEGORY ||
                (w->mention[word->mention].kind == MENTION_ITEMS &&
                 !w->mention[word->mention].ranked));
    return word->class == UNKNOWN ? word->kind == WORD_TEXT && word->value < 0 && !word->rank
                                  : word->class >= PEOPLE;
}

static bool leads(const struct wish_work *w, size_t at)
{
    static const char *const words[] = {
        "with",  "without", "in",     "on", "by",     "for",  "from",   "under",  "over", "about",
        "set",   "not",     "too",    "so", "less",   "more", "no",     "highly", "a",    "the",
        "based", "than",    "very",   "as", "of",     "to",   "an",     "good",   "any",  "or",
        "least", "well",    "little", "at", "during", "and",  "before", "after"};
    if (at >= w->words || w->word[at].mention >= 0 || is_sign(w, at) || w->word[at].class == WANT ||
        w->word[at].class == LOVE || w->word[at].class == HATE || w->word[at].class == LIKE)
        return false;
    for (size_t i = 0; i < COUNT(words); i++)
        if (word_is(w, at, words[i]))
            return true;
    return w->word[at].class == ABOUT || w->word[at].value >= 0;
}

static bool bridges(const struct wish_work *w, size_t at)
{
    return at < w->words && w->word[at].mention < 0 && !is_sign(w, at) &&
           (leads(w, at) || w->word[at].class == FILLER);
}

static enum wish_why reason_of(const struct wish_work *w, size_t first, size_t last)
{
    static const enum wish_why whys[] = {WHY_PEOPLE, WHY_LENGTH, WHY_LANGUAGE,
                                         WHY_RATING, WHY_PLACE,  WHY_OTHER};
    bool person = false;
    for (size_t i = first; i < last; i++)
        if (w->word[i].class >= PEOPLE && w->word[i].class <= PLACE)
            return whys[w->word[i].class - PEOPLE];
    for (size_t i = first; i < last; i++) {
        bool capital = w->word[i].capital && w->word[i].class == UNKNOWN;
        bool by = i > 0 && (word_is(w, i - 1, "with") || word_is(w, i - 1, "by"));
        person = person || (capital && (by || (i > first && w->word[i - 1].capital)));
    }
    return person ? WHY_PEOPLE : WHY_OTHER;
}

/* A phrase of content words from `at`, with the small words that lead to it; returns its end. */
static size_t report_phrase(struct wish_work *w, const struct clause *c, size_t at)
{
    size_t first = at;
    size_t end = at + 1;
    for (size_t i = end; i < c->last; i++) {
        if (is_content(w, i))
            end = i + 1;
        else if (!bridges(w, i) || i > end + 2)
            break;
    }
    while (first > c->first && leads(w, first - 1))
        first--;
    while (first < at && (word_is(w, first, "and") || word_is(w, first, "please") ||
                          word_is(w, first, "or") || word_is(w, first, "the")))
        first++;
    wish_unclear(w, reason_of(w, first, end), first, end);
    return end;
}

/* What follows "about" or "set in" is a subject, whatever it mentions. */
static void swallow_subjects(struct wish_work *w, const struct clause *c)
{
    for (size_t i = c->first; i < c->last; i++) {
        const struct word *word = &w->word[i];
        bool time = word->class == BEFORE || word->class == AFTER;
        if (word->mention >= 0 && word_is(w, w->mention[word->mention].last, "by") &&
            w->mention[word->mention].kind == MENTION_CATEGORY)
            w->mention[word->mention].dead = true; /* music by ... */
        if (word->mention >= 0 || is_sign(w, i) || (word->class != ABOUT && !time))
            continue;
        for (size_t k = i + 1; k < c->last && !is_sign(w, k) && w->word[k].class != BUT; k++)
            if (w->word[k].mention >= 0) {
                struct mention *m = &w->mention[w->word[k].mention];
                if (m->kind == MENTION_YEARS)
                    break;
                if (m->kind == MENTION_CATEGORY || m->kind == MENTION_COUNT ||
                    (m->kind == MENTION_ITEMS && word->class == ABOUT) || m->ranked)
                    m->dead = true;
            }
    }
}

/* A clause that begins like a wish: "with ...", "in ...", "a ...", "not ...". */
static bool begins_wish(const struct wish_work *w, const struct clause *c)
{
    static const char *const words[] = {"with", "in", "by",  "under", "for",
                                        "a",    "an", "any", "some",  "not"};
    size_t at = c->first;
    while (at < c->last && (is_sign(w, at) || w->word[at].class == OTHER ||
                            w->word[at].class == BUT || word_is(w, at, "maybe")))
        at++;
    for (size_t i = 0; i < COUNT(words); i++)
        if (at < c->last && word_is(w, at, words[i]))
            return true;
    return at < c->last && w->word[at].mention < 0 && w->word[at].class == ABOUT;
}

static bool reports(const struct wish_work *w, const struct clause *c)
{
    bool topic = false;
    if (c->question || c->seen || c->neutral || c->undo || c->rel == SAY_SEEN)
        return false;
    if (c->wants || c->loves)
        return true;
    for (size_t i = c->first; i < c->last; i++)
        topic = topic || (w->word[i].mention < 0 && w->word[i].class >= PEOPLE);
    if (c->verb || c->subject)
        return ((c->no || c->negative) && topic) || c->rel == SAY_LIKE;
    if (c->negates)
        return topic;
    return c->no || c->only || c->film || topic || c->used || begins_wish(w, c);
}

static void report(struct wish_work *w, const struct clause *c)
{
    if (!reports(w, c))
        return;
    for (size_t i = c->wants && c->subject ? c->want : c->first; i < c->last;)
        i = is_content(w, i) ? report_phrase(w, c, i) : i + 1;
}

/* ---- one clause ---- */

static void implied(struct wish_work *w, const struct clause *c)
{
    struct mention m = {.kind = MENTION_PRONOUN, .first = c->first, .last = c->last};
    bool items = false;
    bool content = false;
    bool bad = false;
    for (size_t i = c->first; i < c->last; i++) {
        if (w->word[i].mention >= 0)
            items |= w->mention[w->word[i].mention].kind == MENTION_ITEMS ||
                     w->mention[w->word[i].mention].kind == MENTION_PRONOUN;
        else
            content |= is_content(w, i);
        bad |= w->word[i].mention < 0 && w->word[i].class == BAD && !is_sign(w, i);
    }
    bool known = w->it_count || w->shown_count == 1;
    if (items || c->question || c->again || c->undo || (content && !c->similar))
        return;
    if (c->similar && c->rel == SAY_LIKE)
        m.say = c->negative ? SAY_UNLIKE : SAY_LIKE;
    else if (c->seen && c->rel == SAY_SEEN && !c->wants)
        m.say = SAY_SEEN;
    else if (bad && !c->used)
        m.say = SAY_UNLIKE;
    else
        return;
    bool alike = has_word(w, c, "similar") || has_word(w, c, "alike");
    if (m.say == SAY_LIKE && (!alike || content))
        return;
    if (known)
        put_items(w, &m);
    else if (w->shown_count && m.say != SAY_UNLIKE)
        wish_unclear(w, WHY_WHICH, c->first, c->last);
}

static void take_back(struct wish_work *w, const struct clause *c)
{
    bool named = false;
    for (size_t i = 0; i < w->mentions; i++) {
        const struct mention *m = &w->mention[i];
        if (m->first < c->first || m->first >= c->last || m->kind == MENTION_PRONOUN ||
            m->kind == MENTION_COUNT)
            continue;
        if (m->kind == MENTION_ITEMS && m->ranked && word_is(w, m->first, "the") &&
            w->word[m->first + 1].rank == -1)
            continue; /* "undo the last one" */
        wish_forget(w, m);
        named = true;
    }
    for (size_t i = c->first; i < c->last; i++)
        if (w->word[i].mention < 0 && !is_sign(w, i) && w->word[i].class == YEAR_WORD && !named) {
            wish_forget_years(w);
            named = true;
        }
    if (!named)
        wish_forget(w, NULL);
}

static void remember(struct wish_work *w, const struct mention *m)
{
    uint32_t rows[WISH_SHOWN_MAX];
    if (m->kind != MENTION_ITEMS || m->dead)
        return;
    size_t count = rows_of(rows, w, m);
    if (count == 0)
        return;
    memcpy(w->it, rows, count * sizeof *rows);
    w->it_count = count;
}

static void put_mentions(struct wish_work *w, struct clause *c)
{
    const struct mention *last = NULL;
    for (size_t i = 0; i < w->mentions; i++) {
        struct mention *m = &w->mention[i];
        if (m->first < c->first || m->first >= c->last || m->dead)
            continue;
        if (m->kind == MENTION_CATEGORY) {
            if (!last || last->say != m->say || !are_alternatives(w, last, m))
                w->groups++;
            put_category(w, m, w->groups);
            last = m;
        } else if (m->kind == MENTION_YEARS) {
            put_years(w, m);
        } else if (m->kind == MENTION_COUNT) {
            put_count(w, m);
        } else {
            put_items(w, m);
            remember(w, m);
        }
        c->used += m->say != SAY_NOTHING && m->say < SAY_SEEN;
    }
}

static bool by_first(const struct wish_work *w, size_t at, const struct mention **m)
{
    *m = w->word[at].mention >= 0 ? &w->mention[w->word[at].mention] : NULL;
    return *m && (*m)->first == at;
}

static void most_of_them(struct wish_work *w, const struct clause *c)
{
    for (size_t i = c->first; i < c->last; i++)
        if (w->word[i].class == MOST && w->word[i].span && w->word[i].mention < 0 &&
            (c->rel != SAY_NOTHING || c->negative))
            wish_unclear(w, WHY_WHICH, i, i + w->word[i].span);
}

static void read_clause(struct wish_work *w, size_t first, size_t last, bool asks)
{
    struct clause c = {.first = first, .last = last, .rel = SAY_NOTHING};
    bool except = false;
    survey(&c, w, asks);
    swallow_subjects(w, &c);
    if (c.reset) {
        wish_forget_all(w);
        return;
    }
    if (c.undo && !c.question) {
        take_back(w, &c);
        return;
    }
    for (size_t i = first; i < last; i++) {
        const struct mention *found;
        if (by_first(w, i, &found) && !found->dead) {
            size_t at = (size_t)w->word[i].mention;
            say_mention(&c, w, &w->mention[at]);
            if (at > 0 && w->mention[at - 1].first == i) /* one word, two categories */
                w->mention[at - 1].say = w->mention[at].say;
        } else if (w->word[i].mention < 0 && w->word[i].kind == WORD_COMMA)
            take_comma(&c, w, i);
        else if (w->word[i].mention < 0 && !is_sign(w, i) && w->word[i].span)
            take_word(&c, w, i);
        except |= w->word[i].class == MOST;
    }
    if (has_word(w, &c, "repeats") && (c.fine || c.neutral)) {
        struct wish wish = {.kind = WISH_AGAIN, .row = NO_ITEM};
        wish_put(w, &wish, first, last);
        return;
    }
    if (except) {
        most_of_them(w, &c);
        return;
    }
    for (size_t i = 0; i < w->mentions; i++)
        if (w->mention[i].first >= first && w->mention[i].first < last && !w->mention[i].dead)
            judge_mention(w, &c, &w->mention[i]);
    put_mentions(w, &c);
    implied(w, &c);
    report(w, &c);
}

void clauses_read(struct wish_work *w)
{
    for (size_t at = 0; at < w->words;) {
        size_t end = at;
        while (end < w->words && (w->word[end].kind != WORD_STOP || w->word[end].mention >= 0))
            end++;
        bool asks = end < w->words && w->text[w->word[end].from] == '?';
        while (at < end) {
            size_t stop = clause_end(w, at, end);
            read_clause(w, at, stop, asks);
            at = stop;
            if (at < end && w->word[at].mention < 0 &&
                (is_sign(w, at) || word_is(w, at, "and") || w->word[at].class == BUT))
                at += w->word[at].span ? w->word[at].span : 1;
        }
        at = end + 1;
    }
}
