#include "train/told.h"

#include "base/log.h"
#include "data/catalogue.h"
#include "train/tasks.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { ABOUT_MAX = 600 };

size_t told_events(uint32_t number[TOLD_EVENTS], const struct row_data *data, size_t user)
{
    const struct histories *h = data->histories;
    size_t count = 0;
    size_t taken = 0;
    for (size_t e = data->split.train_end[user]; e-- > h->first[user] && count < TOLD_EVENTS;)
        if (h->kind[e] == EVENT_POSITIVE && taken++ > 0)
            number[count++] = data->numbers[e];
    for (size_t i = 0; i < count / 2; i++) {
        uint32_t kept = number[i];
        number[i] = number[count - 1 - i];
        number[count - 1 - i] = kept;
    }
    return count;
}

uint64_t told_of(const uint32_t *number, size_t count)
{
    return XXH3_64bits(number, count * sizeof *number);
}

static bool add_text(void *self, const char *text, bool title, struct err *err)
{
    (void)err;
    text_addf(self, title ? "Title: %s\n" : "Tag: %s\n", text);
    return true;
}

bool told_item_message(struct text *message, const json_t *record, struct err *err)
{
    const char *about = json_string_value(json_object_get(record, "text"));
    if (!item_texts(record, add_text, message, err))
        return false;
    if (about) {
        size_t size = strnlen(about, ABOUT_MAX);
        while (size && ((unsigned char)about[size] & 0xc0) == 0x80)
            size--; /* not within a character */
        text_addf(message, "About: %.*s\n", (int)size, about);
    }
    return true;
}

struct line {
    bool of_user;
    uint32_t owner;
    size_t at, size;
};

struct loading {
    const struct row_data *data;
    const struct version *version;
    const struct item_words *words;
    uint64_t *item_of;        /* [items] the hash of what would be asked of each now */
    uint32_t *user_of_number; /* [user_numbers] in the histories, or NO_ITEM */
    size_t user_numbers;
    struct line *lines;
    size_t count, room;
    uint32_t *token;
    size_t tokens, token_room;
    size_t stale, held;
};

static bool reserve(struct loading *l, struct err *err)
{
    if (l->count < l->room && l->tokens + TOLD_TOKENS <= l->token_room)
        return true;
    size_t room = 2 * l->room + 256;
    size_t token_room = 2 * l->token_room + 256 * TOLD_TOKENS;
    struct line *lines = realloc(l->lines, room * sizeof *lines);
    l->lines = lines ? lines : l->lines;
    uint32_t *token = realloc(l->token, token_room * sizeof *token);
    l->token = token ? token : l->token;
    if (!lines || !token)
        return err_set(err, ERR_SYSTEM, "no memory for %zu texts", room);
    l->room = room;
    l->token_room = token_room;
    return true;
}

/* Whether a line says a title word of this row that no training sequence may hold. */
static bool says_held(const struct loading *l, const uint32_t *line, size_t size, uint32_t row)
{
    size_t places[HELD_WORDS];
    const struct item_words *w = l->words;
    size_t held = held_words(places, w, row);
    for (size_t i = 0; i < held; i++) {
        size_t word = w->first[2 * (size_t)row] + places[i];
        const uint32_t *token = w->token + w->word_at[word];
        size_t count = w->word_at[word + 1] - w->word_at[word];
        for (size_t at = 0; at + count <= size; at++)
            if (memcmp(line + at, token, count * sizeof *token) == 0)
                return true;
    }
    return false;
}

static bool says_any_held(const struct loading *l, const uint32_t *line, size_t size, bool of_user,
                          uint32_t owner)
{
    const struct sequences *s = &l->data->sequences;
    if (!of_user)
        return says_held(l, line, size, owner);
    for (size_t e = s->first[owner]; e < s->first[owner + 1]; e++)
        if (says_held(l, line, size, s->item[e]))
            return true;
    return false;
}

static bool add_line(struct loading *l, bool of_user, uint32_t owner, const char *text,
                     struct err *err)
{
    if (!reserve(l, err))
        return false;
    uint32_t *symbols = l->token + l->tokens;
    size_t size = text_symbols(symbols, TOLD_TOKENS, l->version->tokenizer, text, err);
    for (size_t i = 0; i < size; i++)
        symbols[i] -= TOKEN;
    if (err->code != ERR_NONE)
        return false;
    if (size && says_any_held(l, symbols, size, of_user, owner)) {
        l->held++;
        return true;
    }
    if (size)
        l->lines[l->count++] = (struct line){of_user, owner, l->tokens, size};
    l->tokens += size;
    return true;
}

/* Whether a user's last training event also ends her sequence: what was told stops before it. */
static bool ends_alike(const struct loading *l, size_t user)
{
    const struct histories *h = l->data->histories;
    const struct version *v = l->version;
    for (size_t e = l->data->split.train_end[user]; e-- > h->first[user];)
        if (h->kind[e] == EVENT_POSITIVE) {
            uint32_t number = l->data->numbers[e];
            uint32_t row = number < v->numbers ? v->row_of_number[number] : NO_ITEM;
            return row < v->index->items && v->policy.items.seen[row];
        }
    return false;
}

/* The owner's place in the version or the histories; NO_ITEM: gone, or the text is of other facts.
 */
static uint32_t owner_of(struct loading *l, enum text_owner owner, uint32_t number, uint64_t of)
{
    uint32_t events[TOLD_EVENTS];
    const struct version *v = l->version;
    uint32_t at = NO_ITEM;
    if (owner == TEXT_OF_ITEM) {
        uint32_t row = number < v->numbers ? v->row_of_number[number] : NO_ITEM;
        at = row != NO_ITEM && l->item_of[row] == of ? row : NO_ITEM;
    } else {
        uint32_t user = number < l->user_numbers ? l->user_of_number[number] : NO_ITEM;
        bool same = user != NO_ITEM && ends_alike(l, user) &&
                    told_of(events, told_events(events, l->data, user)) == of;
        at = same ? user : NO_ITEM;
    }
    l->stale += at == NO_ITEM;
    return at;
}

static bool hash_item(void *self, uint32_t number, const char *id, json_t *record, struct err *err)
{
    struct loading *l = self;
    const struct version *v = l->version;
    struct text message;
    (void)id;
    if (number >= v->numbers || v->row_of_number[number] == NO_ITEM)
        return true;
    text_init(&message, 1 << 20);
    bool fine = told_item_message(&message, record, err);
    l->item_of[v->row_of_number[number]] = XXH3_64bits(message.bytes, message.size);
    text_release(&message);
    return fine;
}

static bool take_text(void *self, enum text_owner owner, uint32_t number, uint64_t of,
                      const json_t *lines, struct err *err)
{
    struct loading *l = self;
    if (owner != TEXT_OF_ITEM && owner != TEXT_OF_USER)
        return true; /* chain_teacher.h reads those */
    uint32_t at = owner_of(l, owner, number, of);
    bool fine = true;
    for (size_t i = 0; fine && at != NO_ITEM && i < json_array_size(lines); i++) {
        const char *text = json_string_value(json_array_get(lines, i));
        fine = !text || add_line(l, owner == TEXT_OF_USER, at, text, err);
    }
    return fine;
}

static int compare_lines(const void *a, const void *b)
{
    const struct line *x = a;
    const struct line *y = b;
    if (x->of_user != y->of_user)
        return x->of_user - y->of_user;
    if (x->owner != y->owner)
        return x->owner < y->owner ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

static struct told *arrange(struct loading *l, struct err *err)
{
    size_t items = l->version->index->items;
    size_t users = l->data->sequences.users; /* those of dialogues have no lines */
    struct told *t = calloc(1, sizeof *t);
    if (t) {
        t->items.first = calloc(items + 1, sizeof *t->items.first);
        t->users.first = calloc(users + 1, sizeof *t->users.first);
        t->at = calloc(l->count + 1, sizeof *t->at);
        t->token = calloc(l->tokens + 1, sizeof *t->token);
    }
    if (!t || !t->items.first || !t->users.first || !t->at || !t->token) {
        told_free(t);
        err_set(err, ERR_SYSTEM, "no memory for %zu texts", l->count);
        return NULL;
    }
    if (l->count)
        qsort(l->lines, l->count, sizeof *l->lines, compare_lines);
    for (size_t i = 0; i < l->count; i++) {
        const struct line *line = &l->lines[i];
        struct told_list *list = line->of_user ? &t->users : &t->items;
        list->first[line->owner + 1]++;
        list->lines++;
        memcpy(t->token + t->tokens, l->token + line->at, line->size * sizeof *t->token);
        t->tokens += line->size;
        t->at[i + 1] = t->tokens;
    }
    for (size_t i = 0; i < items; i++)
        t->items.first[i + 1] += t->items.first[i];
    t->users.first[0] = t->items.lines; /* theirs lie behind the items' */
    for (size_t u = 0; u < users; u++)
        t->users.first[u + 1] += t->users.first[u];
    return t;
}

static bool number_users(struct loading *l, struct err *err)
{
    const struct histories *h = l->data->histories;
    for (size_t u = 0; u < h->users; u++)
        l->user_numbers = h->user[u] >= l->user_numbers ? h->user[u] + 1 : l->user_numbers;
    l->user_of_number = malloc((l->user_numbers + 1) * sizeof *l->user_of_number);
    if (!l->user_of_number)
        return err_set(err, ERR_SYSTEM, "no memory for %zu users", l->user_numbers);
    memset(l->user_of_number, 0xff, (l->user_numbers + 1) * sizeof *l->user_of_number);
    for (size_t u = 0; u < h->users; u++)
        l->user_of_number[h->user[u]] = (uint32_t)u;
    return true;
}

static bool read_texts(struct loading *l, const struct store_txn *txn, uint64_t revision,
                       struct err *err)
{
    size_t items = l->version->index->items;
    if (texts_revision(txn) != revision)
        return err_set(err, ERR_INPUT,
                       "`tessera texts` is at work: run this again when it is done");
    l->item_of = calloc(items + 1, sizeof *l->item_of);
    if (!l->item_of)
        return err_set(err, ERR_SYSTEM, "no memory for %zu items", items);
    return number_users(l, err) && catalogue_each(txn, hash_item, l, err) &&
           texts_each(txn, take_text, l, err);
}

struct told *told_load(const struct row_data *data, const struct version *version,
                       const struct item_words *words, uint64_t revision, struct err *err)
{
    struct loading l = {.data = data, .version = version, .words = words};
    struct store_txn txn;
    struct told *told = NULL;
    if (!store_begin(&txn, data->job->store, false, err))
        return NULL;
    bool any = store_entries(&txn, TABLE_TEXTS) > 0;
    bool fine = any && read_texts(&l, &txn, revision, err);
    store_abort(&txn);
    if (fine)
        told = arrange(&l, err);
    if (told)
        log_info("train.texts items_lines=%zu users_lines=%zu stale=%zu held=%zu",
                 told->items.lines, told->users.lines, l.stale, l.held);
    free(l.item_of);
    free(l.user_of_number);
    free(l.lines);
    free(l.token);
    return told;
}

void told_free(struct told *told)
{
    if (!told)
        return;
    free(told->items.first);
    free(told->users.first);
    free(told->at);
    free(told->token);
    free(told);
}
