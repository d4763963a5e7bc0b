/*
 * answer_words.c: what is said about a list, by the model or by a template.
 */
#include "service/answer.h"

#include "recommend/drafts.h"
#include "recommend/reply.h"

#include <string.h>

enum { TITLE_BYTES = 200 }; /* of what was said before that a name may have begun in */

enum { LABELS_MAX = 8, RUN_BYTES = 1 << 20 };

/* What no one would say about a list is a template's turn: fewer words than a sentence has, or so
 * many symbols that are one or two, over and over. */
enum { SENTENCE_WORDS = 3, REPEATED = 8 };

static const char *name_of(const struct answer *a, size_t rank)
{
    uint32_t row = a->slate.items[rank].row;
    const char *name = row < titles_rows(a->desk->titles) ? titles_name(a->desk->titles, row) : "";
    const json_t *entry = json_array_get(a->recommendations, rank);
    const char *id = json_string_value(json_object_get(entry, "item_id"));
    return *name ? name : id ? id : "";
}

/* Cuts the words at the first stop in them, from where one may begin; true: it was. */
static bool cut_at_stops(struct answer *a, const struct chat_request *r, size_t from)
{
    bool cut = false;
    for (size_t i = 0; i < r->stop_count && a->words.size; i++) {
        size_t size = strlen(r->stops[i]);
        size_t at = from > size ? from - size : 0;
        char *found = strstr(a->words.bytes + (at > a->said ? at : a->said), r->stops[i]);
        if (found) {
            *found = 0;
            a->words.size = (size_t)(found - a->words.bytes);
            cut = true;
        }
    }
    return cut;
}

/* What was not understood is said aloud, whoever speaks, up to a stop that begins at `from`. */
static void add_notes(struct answer *a, const struct chat_request *r, size_t from)
{
    if (a->notes.size && a->words.size)
        text_add(&a->words, " ", 1);
    if (a->notes.size)
        text_add(&a->words, a->notes.bytes, a->notes.size);
    cut_at_stops(a, r, from);
}

/* Of the list as it stands; names [SLATE_MAX]. */
static struct reply_facts facts_of(const struct answer *a, const char **names)
{
    for (size_t i = 0; i < a->slate.count; i++)
        names[i] = name_of(a, i);
    return (struct reply_facts){
        .names = names, .count = a->slate.count, .wanted = a->n, .seed = a->talk.seed};
}

/* Labels of the wishes stand in the array that clients get. */
void write_template(struct answer *a, const struct chat_request *r)
{
    const char *names[SLATE_MAX];
    const char *labels[LABELS_MAX];
    struct reply_facts facts = facts_of(a, names);
    facts.wishes = labels;
    for (size_t i = 0; i < json_array_size(a->understood) && facts.wish_count < LABELS_MAX; i++) {
        const json_t *wish = json_array_get(a->understood, i);
        const char *label = json_string_value(json_object_get(wish, "label"));
        if (label && a->wishes.wish[i].kind <= WISH_NOT_YEARS)
            labels[facts.wish_count++] = label; /* an item of a wish is not on the list: unnamed */
    }
    a->source = "template";
    a->tokens = 0;
    text_reset(&a->words);
    reply_write(&a->words, &facts);
    add_notes(a, r, 0);
}

/* ---- the model's own words ---- */

/* What the model said names some of the list; who sends back the text alone tells by it what was
 * shown, so the others are named behind it, within what the client allows. */
static void add_list(struct answer *a, const struct chat_request *r)
{
    const char *names[SLATE_MAX];
    const struct reply_facts facts = facts_of(a, names);
    size_t missing = 0;
    struct text list;
    for (size_t i = 0; i < facts.count && i < REPLY_NAMES; i++)
        missing += !a->words.size || !strstr(a->words.bytes, names[i]);
    if (missing == 0)
        return;
    text_init(&list, RUN_BYTES);
    reply_ranks(&list, &facts);
    bool ended = a->words.size && strchr(".!?", a->words.bytes[a->words.size - 1]);
    if (r->asked_max == SIZE_MAX || a->tokens + draft_words(list.bytes, list.size) <= r->asked_max)
        text_addf(&a->words, "%s%s", !a->words.size ? "" : ended ? " " : ". ", list.bytes);
    text_release(&list);
}

/* Nothing more comes from the model. */
static void end_words(struct answer *a, const struct chat_request *r)
{
    size_t from = a->words.size;
    add_list(a, r);
    add_notes(a, r, from);
}

/* Whether a text names what is not on the list; half a name may have been said before. */
static bool names_others(const struct answer *a, const char *text)
{
    uint32_t rows[SLATE_MAX];
    for (size_t i = 0; i < a->slate.count; i++)
        rows[i] = a->slate.items[i].row;
    return !draft_is_clean(a->desk->titles, text, rows, a->slate.count);
}

/* After a name no space stands before a stop, which some tokenizers put before every piece. */
static bool begins_with_a_stop(const struct text *run)
{
    return run->size > 1 && run->bytes[0] == ' ' && strchr(",.!?;:)", run->bytes[1]);
}

/*
 * The tokens since the newest name, read together: a letter may lie in several of them, and only
 * the first of all begins a text.  What they add comes to the sentence; a letter that may go on
 * (U+FFFD at the end) waits until the run is over.
 */
static void hear_run(struct answer *a, bool over)
{
    static const char broken[] = "\xef\xbf\xbd";
    uint32_t tokens[TALK_WORDS_MAX];
    struct text run;
    size_t count = a->heard - a->run;
    for (size_t i = 0; i < count; i++)
        tokens[i] = a->talk.said[a->run + i] - TOKEN;
    text_init(&run, RUN_BYTES);
    tokenizer_decode(&run, a->desk->snapshot->version->tokenizer, tokens, count, a->run == 0);
    while (!over && run.size >= 3 && memcmp(run.bytes + run.size - 3, broken, 3) == 0)
        run.size -= 3;
    if (a->run && !over && run.size == 1)
        run.size = 0; /* what comes after a space? */
    if (a->run && a->run_taken == 0 && begins_with_a_stop(&run))
        a->run_taken = 1;
    if (run.size > a->run_taken) {
        text_add(&a->sentence, run.bytes + a->run_taken, run.size - a->run_taken);
        a->run_taken = run.size;
    }
    text_release(&run);
}

/* Symbols [heard, said_count) of the talk as text, names as people write them. */
static void hear(struct answer *a)
{
    const struct snapshot *s = a->desk->snapshot;
    uint32_t mark = TOKEN + s->version->policy.marks + MARK_ITEM;
    for (; a->heard < a->talk.said_count; a->heard++) {
        uint32_t symbol = a->talk.said[a->heard];
        if (symbol == mark && a->heard + 1 == a->talk.said_count)
            break; /* which item comes with the next step */
        a->tokens++;
        if (symbol != mark && is_token(symbol))
            continue;
        hear_run(a, true);
        a->run = a->heard + 1;
        a->run_taken = 0;
        if (!is_token(symbol)) {
            bool space = a->sentence.size && a->sentence.bytes[a->sentence.size - 1] == ' ';
            text_addf(&a->sentence, "%s%s", space || !a->sentence.size ? "" : " ",
                      titles_name(a->desk->titles, symbol));
        }
    }
    hear_run(a, a->talk.state == TALK_DONE);
}

/* Bytes of the sentences that are whole: something follows their end. */
static size_t whole_part(const struct text *text)
{
    for (size_t at = text->size; at-- > 1;) {
        size_t end = at;
        if (!strchr(" \n", text->bytes[at]))
            continue;
        while (end && strchr("\"'*_)", text->bytes[end - 1]))
            end--;
        if (end && strchr(".!?", text->bytes[end - 1]))
            return at;
    }
    return 0;
}

/* Once more with another seed; it lists what it listed, and says something else. */
static bool draft_again(struct answer *a)
{
    if (a->redrafted)
        return false;
    a->redrafted = true;
    a->heard = a->run = a->run_taken = 0;
    a->said = 0;
    text_reset(&a->words);
    text_reset(&a->sentence);
    talks_remove(a->desk->talks, &a->talk);
    a->talk.seed = a->talk.seed * 6364136223846793005u + 1442695040888963407u;
    if (a->talk.temperature <= 0)
        a->talk.temperature = 0.7; /* the likeliest words would be the same */
    a->in_talk = talks_add(a->desk->talks, &a->talk);
    return a->in_talk;
}

/* The model is not asked any more. */
static void stop_talk(struct answer *a)
{
    talks_remove(a->desk->talks, &a->talk);
    text_reset(&a->sentence);
    a->words_ready = true;
}

/* keep: the sentences before what is refused; what was sent cannot be taken back anyway. */
static void refuse_draft(struct chat *chat, bool keep)
{
    struct answer *a = chat->answer;
    keep = a->words.size && (keep || (chat->request.stream && a->said));
    atomic_fetch_add(&chat->service->metrics.drafts_refused, 1);
    if (!keep && draft_again(a))
        return;
    stop_talk(a);
    if (keep) {
        end_words(a, &chat->request);
        return;
    }
    a->said = 0;
    write_template(a, &chat->request);
}

/* The first bytes of the sentence become words; false: they name what is not on the list. */
static bool take_sentence(struct answer *a, size_t size)
{
    size_t before = a->words.size;
    const char *text = size ? a->sentence.bytes : "";
    size_t skip = before ? 0 : strspn(text, " \n");
    skip = skip < size ? skip : size;
    text_add(&a->words, text + skip, size - skip);
    size_t from = before > TITLE_BYTES ? before - TITLE_BYTES : 0;
    while (from && from < before && ((unsigned char)a->words.bytes[from] & 0xC0) == 0x80)
        from++;
    if (a->words.size > before && names_others(a, a->words.bytes + from)) {
        a->words.size = before;
        a->words.bytes[before] = 0;
        return false;
    }
    if (size) {
        memmove(a->sentence.bytes, a->sentence.bytes + size, a->sentence.size - size + 1);
        a->sentence.size -= size;
    }
    return true;
}

/* It will not find out of that by itself. */
static bool repeats(const struct answer *a)
{
    size_t count = a->talk.said_count;
    if (count < REPEATED)
        return false;
    const uint32_t *newest = a->talk.said + count - REPEATED;
    for (size_t i = 2; i < REPEATED; i++)
        if (newest[i] != newest[0] && newest[i] != newest[1])
            return false;
    return true;
}

void answer_hear(struct chat *chat)
{
    struct answer *a = chat->answer;
    size_t before = a->words.size;
    if (a->talk.state != TALK_SAYING && a->talk.state != TALK_DONE)
        return; /* it lists again */
    size_t heard = a->heard;
    hear(a);
    atomic_fetch_add(&chat->service->metrics.chat_tokens, a->heard - heard);
    if (repeats(a)) {
        refuse_draft(chat, true);
        return;
    }
    bool over = a->talk.state == TALK_DONE;
    while (over && a->sentence.size && strchr(" \n", a->sentence.bytes[a->sentence.size - 1]))
        a->sentence.bytes[--a->sentence.size] = 0;
    size_t size = over ? a->sentence.size : whole_part(&a->sentence);
    if (size == 0 && !over)
        return;
    if (!take_sentence(a, size)) {
        refuse_draft(chat, false);
        return;
    }
    if (cut_at_stops(a, &chat->request, before)) {
        stop_talk(a);
    } else if (over) {
        a->words_ready = true;
        a->finish = a->talk.said_count >= a->talk.words_max ? "length" : "stop";
        if (before == 0 && draft_words(a->words.bytes, a->words.size) < SENTENCE_WORDS)
            write_template(a, &chat->request);
        else
            end_words(a, &chat->request);
    }
}
