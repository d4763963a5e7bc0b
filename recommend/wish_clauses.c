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

bool is_subject(const struct wish_work *w, size_t at)
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

bool has_word(const struct wish_work *w, const struct clause *c, const char *fold)
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
    struct clause c = {
        .first = first, .last = last, .rel = SAY_NOTHING, .after_seen = w->seen_before};
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
    w->seen_before = c.seen;
}

void clauses_read(struct wish_work *w)
{
    for (size_t at = 0; at < w->words;) {
        size_t end = at;
        while (end < w->words && (w->word[end].kind != WORD_STOP || w->word[end].mention >= 0))
            end++;
        w->seen_before = false;
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
