/*
 * answer_read.c: what a dialogue says before anything is listed: what was shown, what is wished
 * for, whom to ask and what to leave out.
 *
 *     messages, conversation, user ─► lists before each message ─► wishes ─► mask, query, prompt
 */
#include "service/answer.h"

#include <stdlib.h>
#include <string.h>

enum { SHOWN_BY_TURNS_MAX = 512, HISTORY_SYMBOLS = 20 };

static uint32_t known_row(const struct answer *a, uint32_t number)
{
    uint32_t row = snapshot_row(a->snapshot, number);
    return row < a->snapshot->rows ? row : NO_ITEM;
}

/* What stands before a message of the user. */
struct before {
    uint32_t list[WISH_SHOWN_MAX]; /* shown last */
    bool carried;                  /* by the request, as items */
    uint64_t asked;                /* conversation_asked() */
};

struct reading {
    struct chat *chat;
    struct answer *a;
    struct message *messages; /* [count] of user and assistant */
    size_t count;
    struct wish_turn turns[WISH_TURNS_MAX];
    struct before before[WISH_TURNS_MAX]; /* each turn */
    size_t turn_count;
    uint32_t named[SHOWN_BY_TURNS_MAX]; /* by the user */
    size_t named_count;
    uint32_t shown[SHOWN_MAX + SHOWN_BY_TURNS_MAX]; /* all that was shown */
    size_t shown_count;
    uint64_t undo[WISHES_MAX];
    size_t undo_count;
};

/* If there were too many, the first are forgotten. */
static void note_shown(struct reading *r, uint32_t row)
{
    if (row >= r->a->snapshot->rows || numbers_hold(r->shown, r->shown_count, row))
        return;
    if (r->shown_count == COUNT(r->shown))
        memmove(r->shown, r->shown + 1, --r->shown_count * sizeof *r->shown);
    r->shown[r->shown_count++] = row;
}

/* A row that was shown stands in a list once, and only if the desk has a name for it. */
static size_t list_row(uint32_t rows[WISH_SHOWN_MAX], size_t count, struct reading *r, uint32_t row)
{
    if (row == NO_ITEM)
        return count;
    note_shown(r, row);
    if (count < WISH_SHOWN_MAX && row < titles_rows(r->a->desk->titles) &&
        !numbers_hold(rows, count, row))
        rows[count++] = row;
    return count;
}

/* Where a name stands last counts: a model may speak of the fifth before the list is told. */
static size_t list_in_text(uint32_t rows[WISH_SHOWN_MAX], struct reading *r,
                           const struct message *m)
{
    struct title_hit hits[MESSAGE_HITS_MAX];
    size_t found = message_hits(hits, MESSAGE_HITS_MAX, r->a->desk->titles, m);
    size_t count = 0;
    for (size_t i = 0; i < found; i++) {
        bool later = false;
        for (size_t j = i + 1; j < found && !later; j++)
            later = hits[j].row == hits[i].row;
        if (!later)
            count = list_row(rows, count, r, hits[i].row);
    }
    return count;
}

/* The list of an assistant's message by the ids of its items. */
static size_t list_in_ids(uint32_t rows[WISH_SHOWN_MAX], struct reading *r, const json_t *ids)
{
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(ids); i++) {
        struct err unknown = {0};
        const char *id = json_string_value(json_array_get(ids, i));
        count = list_row(rows, count, r, gather_row(&r->a->gathering, id, &unknown));
    }
    return count;
}

/* Messages, and for each of the user's the list before it. */
static void read_turns(struct reading *r)
{
    const struct chat_request *request = &r->chat->request;
    uint32_t list[WISH_SHOWN_MAX];
    size_t listed = 0;
    bool carried = false;
    for (size_t i = 0; i < request->count; i++) {
        const struct chat_message *from = &request->messages[i];
        if (from->role == CHAT_SYSTEM) /* it is for a model that follows orders: README.md */
            continue;
        struct message *m = &r->messages[r->count++];
        *m = (struct message){from->role == CHAT_USER ? SPEAKER_USER : SPEAKER_ASSISTANT,
                              from->text, NULL, 0};
        if (m->speaker == SPEAKER_ASSISTANT) {
            listed = list_in_ids(list, r, from->recommendations);
            carried = listed > 0;
            if (!carried)
                listed = list_in_text(list, r, m);
            continue;
        }
        if (r->turn_count == WISH_TURNS_MAX) { /* the newest are read */
            memmove(r->turns, r->turns + 1, (WISH_TURNS_MAX - 1) * sizeof *r->turns);
            memmove(r->before, r->before + 1, (WISH_TURNS_MAX - 1) * sizeof *r->before);
            r->turn_count--;
        }
        struct before *before = &r->before[r->turn_count];
        memcpy(before->list, list, listed * sizeof *list);
        before->carried = carried;
        before->asked = r->a->asked;
        r->a->asked = conversation_asked(r->a->asked, m->text);
        r->turns[r->turn_count++] =
            (struct wish_turn){.text = m->text, .size = strlen(m->text), .shown_count = listed};
    }
    for (size_t i = 0; i < r->turn_count; i++)
        r->turns[i].shown = r->before[i].list;
}

/* By the conversation's id: before each message stands the list that answered what was said until
 * then, whatever the text of an assistant's message names; items that it carries are surer.  Who
 * does not send the dialogue again has the newest list before the newest message, but not the one
 * that this very message was given. */
static void read_conversation(struct reading *r, struct conversations *conversations)
{
    struct shown known;
    conversations_shown(&known, conversations, &r->chat->conversation, clock_s());
    for (size_t i = 0; i < known.count; i++)
        note_shown(r, known_row(r->a, known.numbers[i]));
    for (size_t t = 0; t < r->turn_count; t++) {
        const struct shown_list *list = shown_for(&known, r->before[t].asked);
        uint32_t rows[WISH_SHOWN_MAX];
        size_t listed = 0;
        if (r->before[t].carried)
            continue;
        if (!list && t + 1 == r->turn_count)
            list = shown_before(&known, r->a->asked);
        for (size_t i = 0; list && i < list->count; i++)
            listed = list_row(rows, listed, r, known_row(r->a, known.numbers[list->first + i]));
        if (listed == 0)
            continue;
        memcpy(r->before[t].list, rows, listed * sizeof *rows);
        r->turns[t].shown_count = listed;
    }
}

/* They were checked when the request was read. */
static void read_undo(struct reading *r, const json_t *undo)
{
    for (size_t i = 0; i < json_array_size(undo) && r->undo_count < WISHES_MAX; i++)
        r->undo_count +=
            wish_id_read(&r->undo[r->undo_count], json_string_value(json_array_get(undo, i)));
}

/* What the user names is what the list is made of, but for what is disliked; none is listed. */
static void read_named(struct reading *r)
{
    struct answer *a = r->a;
    uint32_t rows[SHOWN_BY_TURNS_MAX];
    enum speaker by[SHOWN_BY_TURNS_MAX];
    uint32_t unlike[WISHES_MAX];
    uint32_t like[WISHES_MAX];
    size_t unlikes = wishes_rows(unlike, WISHES_MAX, &a->wishes, WISH_UNLIKE);
    size_t likes = wishes_rows(like, WISHES_MAX, &a->wishes, WISH_LIKE);
    size_t named =
        dialogue_items(rows, by, SHOWN_BY_TURNS_MAX, a->desk->titles, r->messages, r->count);
    for (size_t i = 0; i < named; i++) {
        note_shown(r, rows[i]);
        if (by[i] != SPEAKER_USER)
            continue;
        r->named[r->named_count++] = rows[i];
        if (rows[i] < a->snapshot->rows && !numbers_hold(unlike, unlikes, rows[i]) &&
            !numbers_hold(like, likes, rows[i]))
            gather_remember(&a->gathering, rows[i]);
    }
    for (size_t i = 0; i < likes; i++)
        if (like[i] < a->snapshot->rows)
            gather_remember(&a->gathering, like[i]);
}

/* Filters of the wishes; when they leave nothing, the weakest go, and it is said. */
static bool apply_wishes(struct answer *a, struct err *err)
{
    size_t words = a->snapshot->rows / 64 + 1;
    uint64_t *skip = a->gathering.skip;
    uint64_t *base = malloc(words * sizeof *base);
    struct wish dropped;
    if (!base)
        return err_set(err, ERR_SYSTEM, "no memory for a list");
    for (size_t row = a->desk->snapshot->rows; row < a->snapshot->rows; row++)
        bit_set(skip, row); /* what came since the book was opened is not known to fit */
    memcpy(base, skip, words * sizeof *base);
    size_t left = wishes_mask(skip, a->desk->book, &a->wishes);
    a->n = wishes_count(&a->wishes, a->n);
    a->n = a->n < CHAT_ITEMS_MAX ? a->n : CHAT_ITEMS_MAX;
    while (left == 0 && wishes_relax(&dropped, &a->wishes, skip, base, a->desk->book, 1)) {
        struct text label;
        text_init(&label, 1000);
        wish_say(&label, &dropped, a->desk->book);
        a->relaxed = a->relaxed ? a->relaxed : json_array();
        json_array_append_new(a->relaxed, json_string(label.bytes ? label.bytes : ""));
        text_release(&label);
        wishes_relaxed_said(&a->notes, &dropped, 0, a->desk->book);
        memcpy(skip, base, words * sizeof *base);
        left = wishes_mask(skip, a->desk->book, &a->wishes);
    }
    free(base);
    a->understood = wishes_understood(&a->wishes, a->desk->book);
    a->not_understood = wishes_not_understood(&a->wishes);
    if (a->notes.size)
        text_add(&a->notes, " ", 1);
    wishes_said(&a->notes, &a->wishes);
    return (a->understood && a->not_understood) || err_set(err, ERR_SYSTEM, "no memory for wishes");
}

static bool hide_excluded(struct answer *a, const json_t *ids, struct err *err)
{
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const char *id = json_string_value(json_array_get(ids, i));
        uint32_t row = gather_row(&a->gathering, id, err);
        if (err->code != ERR_NONE)
            return err_prefix(err, "exclude[%zu]", i);
        if (row != NO_ITEM)
            gather_hide(&a->gathering, row, &a->gathering.filtered.excluded);
    }
    return true;
}

/* The newest of some rows, as symbols, but those that are named. */
static void put_newest(struct answer *a, const uint32_t *rows, size_t count, const uint32_t *named,
                       size_t named_count)
{
    size_t items = a->desk->snapshot->version->index->items;
    for (size_t i = count > HISTORY_SYMBOLS ? count - HISTORY_SYMBOLS : 0; i < count; i++)
        if (rows[i] < items && !numbers_hold(named, named_count, rows[i]))
            a->prompt[a->prompt_count++] = rows[i];
}

/* The dialogue as symbols; before it the user's own items, and those that the user likes without
 * naming them ("more like the seventh"): in the dialogue they stand among all that was listed. */
static bool make_prompt(struct reading *r, size_t remembered, struct err *err)
{
    struct answer *a = r->a;
    uint32_t like[WISHES_MAX];
    size_t likes = wishes_rows(like, WISHES_MAX, &a->wishes, WISH_LIKE);
    put_newest(a, a->gathering.history, remembered, NULL, 0);
    put_newest(a, like, likes, r->named, r->named_count);
    a->prompt_count +=
        dialogue_symbols(a->prompt + a->prompt_count, LIST_PROMPT_MAX - a->prompt_count,
                         a->desk->snapshot, a->desk->titles, r->messages, r->count, err);
    a->prompt_tokens = a->prompt_count;
    return err->code == ERR_NONE;
}

/* Words that ask for something and say nothing of it; sorted. */
static const char *const EMPTY_WORDS[] = {
    "a",    "about",   "again", "all",    "also",      "an",        "and",      "another",
    "any",  "are",     "as",    "at",     "be",        "but",       "can",      "could",
    "do",   "else",    "film",  "films",  "find",      "for",       "from",     "give",
    "good", "had",     "have",  "hello",  "hey",       "hi",        "i",        "if",
    "in",   "is",      "it",    "just",   "kind",      "like",      "liked",    "looking",
    "love", "loved",   "maybe", "me",     "more",      "movie",     "movies",   "my",
    "need", "no",      "not",   "of",     "ok",        "on",        "one",      "ones",
    "only", "or",      "other", "please", "really",    "recommend", "see",      "seen",
    "show", "similar", "so",    "some",   "something", "suggest",   "surprise", "thanks",
    "that", "the",     "them",  "then",   "these",     "thing",     "things",   "this",
    "to",   "tonight", "too",   "very",   "want",      "was",       "watch",    "watched",
    "we",   "what",    "which", "with",   "without",   "would",     "yes",      "you",
};

static int compare_words(const void *a, const void *b)
{
    return strcmp(a, *(const char *const *)b);
}

/* Spaces for the words of a text that say nothing. */
static void blank_empty_words(char *text)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    for (char *at = text; *at;) {
        size_t size = strspn(at, letters);
        char word[16] = "";
        for (size_t i = 0; i < size && size < sizeof word; i++)
            word[i] = (char)(at[i] | 0x20);
        if (*word &&
            bsearch(word, EMPTY_WORDS, COUNT(EMPTY_WORDS), sizeof *EMPTY_WORDS, compare_words))
            memset(at, ' ', size);
        at += size;
        at += strcspn(at, letters);
    }
}

/*
 * The newest message as a query, without items, the words of its wishes and words that only ask:
 * "like Alien, no horror" is neither about "Like Crazy" nor about "No".
 */
static void ask_for(struct answer *a, const struct wish_turn *turns, size_t count)
{
    struct title_hit hits[MESSAGE_HITS_MAX];
    const struct wish_turn *last = count ? &turns[count - 1] : NULL;
    size_t size = last ? last->size : 0;
    size = size < sizeof a->query - 1 ? size : sizeof a->query - 1;
    memcpy(a->query, last ? last->text : "", size);
    while (size && !utf8_valid(a->query, size)) /* cut within a letter */
        size--;
    a->query[size] = 0;
    const struct message message = {.speaker = SPEAKER_USER, .text = a->query};
    size_t named = message_hits(hits, MESSAGE_HITS_MAX, a->desk->titles, &message);
    for (size_t i = 0; i < named; i++)
        memset(a->query + hits[i].from, ' ', hits[i].to - hits[i].from);
    for (size_t i = 0; i < a->wishes.count; i++) {
        const char *said = a->wishes.wish[i].text;
        char *at = a->wishes.wish[i].turn + 1 == count && *said ? strcasestr(a->query, said) : NULL;
        if (at)
            memset(at, ' ', strlen(said));
    }
    blank_empty_words(a->query);
    a->gathering.words = a->query[strspn(a->query, " \t\r\n.,;:!?()'\"-")] ? a->query : NULL;
}

static bool read_all(struct reading *r, struct conversations *conversations, struct err *err)
{
    struct answer *a = r->a;
    const struct chat_request *request = &r->chat->request;
    if ((request->user &&
         !gather_user(&a->gathering, request->user, SEEN_ANY, r->chat->service, err)) ||
        !hide_excluded(a, request->exclude, err))
        return false;
    read_undo(r, request->undo);
    size_t remembered = a->gathering.count;
    read_turns(r);
    read_conversation(r, conversations);
    wishes_read(&a->wishes, a->desk->wish_work, a->desk->book, r->turns, r->turn_count, r->undo,
                r->undo_count);
    ask_for(a, r->turns, r->turn_count);
    read_named(r);
    wishes_skip_shown(a->gathering.skip, &a->wishes, r->shown, r->shown_count);
    return apply_wishes(a, err) && make_prompt(r, remembered, err);
}

bool answer_read(struct chat *chat, struct conversations *conversations, struct err *err)
{
    struct reading *r = calloc(1, sizeof *r);
    struct message *messages = calloc(chat->request.count, sizeof *messages);
    bool fine = r && messages;
    if (fine) {
        r->chat = chat;
        r->a = chat->answer;
        r->messages = messages;
        fine = read_all(r, conversations, err);
    } else {
        err_set(err, ERR_SYSTEM, "no memory for a dialogue");
    }
    free(messages);
    free(r);
    return fine;
}
