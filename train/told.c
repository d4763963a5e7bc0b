#include "train/told.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

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

struct line {
    bool of_user;
    uint32_t owner;
    size_t at, size;
};

struct loading {
    const struct row_data *data;
    const struct version *version;
    uint32_t *user_of_number; /* [user_numbers] in the histories, or NO_ITEM */
    size_t user_numbers;
    struct line *lines;
    size_t count, room;
    uint32_t *token;
    size_t tokens, token_room;
    size_t stale;
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

static bool add_line(struct loading *l, bool of_user, uint32_t owner, const char *text,
                     struct err *err)
{
    if (!reserve(l, err))
        return false;
    uint32_t *symbols = l->token + l->tokens;
    size_t size = text_symbols(symbols, TOLD_TOKENS, l->version->tokenizer, text, err);
    for (size_t i = 0; i < size; i++)
        symbols[i] -= TOKEN;
    if (size)
        l->lines[l->count++] = (struct line){of_user, owner, l->tokens, size};
    l->tokens += size;
    return err->code == ERR_NONE;
}

/* The owner's place in the version or the histories; NO_ITEM: gone, or the text is of other facts.
 */
static uint32_t owner_of(struct loading *l, enum text_owner owner, uint32_t number, uint64_t of)
{
    uint32_t events[TOLD_EVENTS];
    const struct version *v = l->version;
    if (owner == TEXT_OF_ITEM)
        return number < v->numbers ? v->row_of_number[number] : NO_ITEM;
    uint32_t user = number < l->user_numbers ? l->user_of_number[number] : NO_ITEM;
    if (user == NO_ITEM || told_of(events, told_events(events, l->data, user)) != of) {
        l->stale++;
        return NO_ITEM;
    }
    return user;
}

static bool take_text(void *self, enum text_owner owner, uint32_t number, uint64_t of,
                      const json_t *lines, struct err *err)
{
    struct loading *l = self;
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
    size_t users = l->data->histories->users;
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

struct told *told_load(const struct row_data *data, const struct version *version, struct err *err)
{
    struct loading l = {.data = data, .version = version};
    struct store_txn txn;
    struct told *told = NULL;
    if (!store_begin(&txn, data->job->store, false, err))
        return NULL;
    bool any = store_entries(&txn, TABLE_TEXTS) > 0;
    bool fine = any && number_users(&l, err) && texts_each(&txn, take_text, &l, err);
    store_abort(&txn);
    if (fine)
        told = arrange(&l, err);
    if (told)
        log_info("train.texts items_lines=%zu users_lines=%zu stale=%zu", told->items.lines,
                 told->users.lines, l.stale);
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
