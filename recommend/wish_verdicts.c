/* wish_verdicts.c: what a clause says of what it mentions, before it and behind it. */
#include "recommend/wish_parts.h"

#include <string.h>

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

/* "No horror only comedies", "no horror give me comedies", "less drama more action": without a sign
 * between them, what is wanted begins with the word for it. */
static bool turns_to_wanted(const struct clause *c, const struct wish_work *w, size_t at)
{
    enum word_class class = w->word[at].class;
    bool joined = at > 0 && (word_is(w, at - 1, "or") || word_is(w, at - 1, "nor") ||
                             word_is(w, at - 1, "any"));
    return c->negative && c->told && !joined &&
           (class == ONLY || class == WANT || word_is(w, at, "more") ||
            word_is(w, at, "something"));
}

void take_word(struct clause *c, const struct wish_work *w, size_t at)
{
    const struct word *word = &w->word[at];
    bool plain = c->plain;
    c->plain = false;
    if (turns_to_wanted(c, w, at)) {
        c->negative = c->no = c->told = false;
        c->rel = SAY_NOTHING;
    }
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
void take_comma(struct clause *c, const struct wish_work *w, size_t at)
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
        return c->negative && c->plain && !c->after_seen ? SAY_UNLIKE : SAY_NOTHING;
    }
}

void say_mention(struct clause *c, const struct wish_work *w, struct mention *m)
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
    c->told |= c->negative;
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

void judge_mention(const struct wish_work *w, const struct clause *c, struct mention *m)
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
