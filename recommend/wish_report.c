/* wish_report.c: phrases that are wished for and that nothing in the catalogue says. */
#include "recommend/wish_parts.h"

#include <string.h>

bool is_content(const struct wish_work *w, size_t at)
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
void swallow_subjects(struct wish_work *w, const struct clause *c)
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

void report(struct wish_work *w, const struct clause *c)
{
    if (!reports(w, c))
        return;
    for (size_t i = c->wants && c->subject ? c->want : c->first; i < c->last;)
        i = is_content(w, i) ? report_phrase(w, c, i) : i + 1;
}
