#include "train/tasks.h"

#include <string.h>
#include <xxhash.h>

enum { HISTORY_MOST = 12, LIKES_MOST = 4, TITLE, TAGS };

struct building {
    struct task_sequence *out;
    const struct tasks *tasks;
    struct rng *rng;
    bool dialogue;
};

static void put(const struct building *b, uint32_t symbol)
{
    struct task_sequence *t = b->out;
    if (t->length == (b->dialogue ? TASK_MOST : TASK_LENGTH))
        return;
    t->input[t->length] = symbol;
    t->target[t->length] = NO_ITEM;
    t->weight[t->length++] = 0;
}

static void put_mark(const struct building *b, enum mark mark)
{
    put(b, TOKEN + b->tasks->marks + mark);
}

static void put_word(const struct building *b, size_t word)
{
    const struct item_words *w = b->tasks->words;
    for (size_t k = w->word_at[word]; k < w->word_at[word + 1]; k++)
        put(b, TOKEN + w->token[k]);
}

/* What stands last is to be followed by this. */
static bool want(const struct building *b, uint32_t symbol)
{
    struct task_sequence *t = b->out;
    if (t->length == 0)
        return false;
    t->target[t->length - 1] = symbol;
    t->weight[t->length - 1] =
        (real)(is_token(symbol) ? b->tasks->word_weight : b->tasks->item_weight);
    return true;
}

/* The words from `from` on are to be said one after another, then <end>. */
static bool want_from(const struct building *b, size_t from)
{
    struct task_sequence *t = b->out;
    if (from == 0 || from >= t->length)
        return false;
    for (size_t i = from; i < t->length; i++) {
        t->target[i - 1] = t->input[i];
        t->weight[i - 1] = (real)b->tasks->word_weight;
    }
    return want(b, TOKEN + b->tasks->marks + MARK_END);
}

size_t held_words(size_t places[HELD_WORDS], const struct item_words *w, size_t row)
{
    size_t first = w->first[2 * row];
    size_t count = w->first[2 * row + 1] - first;
    if (count < 4)
        return 0;
    uint64_t hash = XXH3_64bits(w->token + w->word_at[first],
                                (w->word_at[first + count] - w->word_at[first]) * sizeof *w->token);
    if (hash % SEARCH_HOLDOUT)
        return 0;
    struct rng rng = rng_stream(hash, 0x4e1d, 0);
    size_t held = count / 2 < HELD_WORDS ? count / 2 : HELD_WORDS;
    size_t kept = 0;
    for (size_t p = 0; p < count && kept < held; p++) /* any `held` of `count`, equally likely */
        if (rng_below(&rng, count - p) < held - kept)
            places[kept++] = p;
    return kept;
}

static bool is_held(const struct building *b, uint32_t row, size_t place)
{
    size_t places[HELD_WORDS];
    size_t held = held_words(places, b->tasks->words, row);
    for (size_t i = 0; i < held; i++)
        if (places[i] == place)
            return true;
    return false;
}

/* The words of a title or of tags; returns how many. */
static size_t put_words(const struct building *b, uint32_t row, int which)
{
    const struct item_words *w = b->tasks->words;
    size_t first = w->first[2 * row + (which == TAGS)];
    size_t last = w->first[2 * row + (which == TAGS) + 1];
    size_t count = 0;
    for (size_t i = first; i < last; i++)
        if (which == TAGS || !is_held(b, row, i - first)) {
            put_word(b, i);
            count++;
        }
    return count;
}

/* Some words of an item in some order, as somebody would type them. */
static size_t put_query(const struct building *b, uint32_t row)
{
    const struct item_words *w = b->tasks->words;
    size_t title = w->first[2 * row + 1] - w->first[2 * row];
    size_t tags = w->first[2 * row + 2] - w->first[2 * row + 1];
    size_t wanted = 1 + rng_below(b->rng, 5);
    size_t count = 0;
    uint32_t order[128];
    size_t all = title + tags < 128 ? title + tags : 128;
    for (uint32_t i = 0; i < all; i++)
        order[i] = i;
    if (rng_below(b->rng, 2)) {
        rng_shuffle(b->rng, order, all);
    } else if (all > wanted) { /* a run of the title, or of title and tags */
        size_t from = rng_below(b->rng, all - wanted + 1);
        memmove(order, order + from, (all - from) * sizeof *order);
        all -= from;
    }
    for (size_t i = 0; i < all && count < wanted; i++)
        if (order[i] >= title || !is_held(b, row, order[i])) {
            put_word(b, w->first[2 * row] + order[i]);
            count++;
        }
    return count;
}

/* A place in a user's training events: the item there is the target, those before it the history.
 */
struct moment {
    const uint32_t *history;
    size_t count;
    uint32_t target;
};

static bool draw_moment(struct moment *m, const struct building *b)
{
    const struct sequences *s = b->tasks->sequences;
    size_t user = rng_below(b->rng, s->users);
    size_t events = s->first[user + 1] - s->first[user];
    if (events < 2)
        return false;
    size_t at = 1 + rng_below(b->rng, events - 1);
    m->count = at < HISTORY_MOST ? at : HISTORY_MOST;
    m->history = s->item + s->first[user] + at - m->count;
    m->target = s->item[s->first[user] + at];
    return true;
}

static void put_history(const struct building *b, const struct moment *m)
{
    for (size_t i = 0; i < m->count; i++)
        put(b, m->history[i]);
}

/* The tag words that most of these items have, the commonest first; the newest decide ties. */
static size_t put_likes(const struct building *b, const struct moment *m, size_t newest)
{
    const struct item_words *w = b->tasks->words;
    struct {
        size_t word, count;
    } seen[256];
    size_t kinds = 0;
    size_t from = m->count > newest ? m->count - newest : 0;
    for (size_t i = m->count; i-- > from;)
        for (size_t k = w->first[2 * m->history[i] + 1]; k < w->first[2 * m->history[i] + 2]; k++) {
            size_t size = w->word_at[k + 1] - w->word_at[k];
            size_t s = 0;
            while (s < kinds && (w->word_at[seen[s].word + 1] - w->word_at[seen[s].word] != size ||
                                 memcmp(w->token + w->word_at[seen[s].word],
                                        w->token + w->word_at[k], size * sizeof *w->token) != 0))
                s++;
            if (s == kinds && kinds < COUNT(seen)) {
                seen[kinds].word = k;
                seen[kinds++].count = 0;
            }
            if (s < kinds)
                seen[s].count++;
        }
    size_t count = 0;
    for (; count < LIKES_MOST && count < kinds; count++) {
        size_t best = 0;
        for (size_t s = 1; s < kinds; s++)
            best = seen[s].count > seen[best].count ? s : best;
        put_word(b, seen[best].word);
        seen[best].count = 0;
    }
    return count;
}

/* One of the lines that were told of an owner; false if there are none. */
static bool put_told(const struct building *b, const struct told_list *list, size_t owner)
{
    const struct told *told = b->tasks->told;
    size_t count = list->first[owner + 1] - list->first[owner];
    if (count == 0)
        return false;
    size_t line = list->first[owner] + rng_below(b->rng, count);
    for (size_t k = told->at[line]; k < told->at[line + 1]; k++)
        put(b, TOKEN + told->token[k]);
    return true;
}

/* A user whose text is told, her last training event, and what came before it. */
static bool draw_told(struct moment *m, size_t *user, const struct building *b)
{
    const struct sequences *s = b->tasks->sequences;
    *user = rng_below(b->rng, s->users);
    size_t events = s->first[*user + 1] - s->first[*user];
    if (events < 2)
        return false;
    m->count = events - 1 < HISTORY_MOST ? events - 1 : HISTORY_MOST;
    m->history = s->item + s->first[*user + 1] - 1 - m->count;
    m->target = s->item[s->first[*user + 1] - 1];
    return true;
}

static bool tells(const struct building *b)
{
    return b->tasks->told && rng_below(b->rng, 2);
}

static bool draw_item(uint32_t *row, const struct building *b)
{
    *row = (uint32_t)rng_below(b->rng, b->tasks->words->items);
    return b->tasks->seen[*row];
}

static bool item2index(const struct building *b)
{
    uint32_t row;
    size_t template = rng_below(b->rng, 4);
    size_t words = 0;
    if (!draw_item(&row, b))
        return false;
    if (template != 1 && template != 3) {
        put_mark(b, MARK_TITLE);
        words += put_words(b, row, TITLE);
    }
    if (template != 0) {
        put_mark(b, MARK_ABOUT);
        words += put_words(b, row, TAGS);
    }
    if (template == 3) {
        put_mark(b, MARK_TITLE);
        words += put_words(b, row, TITLE);
    }
    return words && want(b, row);
}

static bool index2item(const struct building *b)
{
    uint32_t row;
    int which = rng_below(b->rng, 2) ? TAGS : TITLE;
    if (!draw_item(&row, b))
        return false;
    put(b, row);
    put_mark(b, which == TITLE ? MARK_TITLE : MARK_ABOUT);
    size_t from = b->out->length;
    return put_words(b, row, which) && want_from(b, from);
}

static bool fusionseqrec(const struct building *b)
{
    struct moment m;
    if (!draw_moment(&m, b))
        return false;
    if (rng_below(b->rng, 2)) {
        put_history(b, &m);
        put_mark(b, MARK_TITLE);
        size_t from = b->out->length;
        return put_words(b, m.target, TITLE) && want_from(b, from);
    }
    size_t newest = 1 + rng_below(b->rng, 2);
    for (size_t i = m.count > newest ? m.count - newest : 0; i < m.count; i++) {
        put_mark(b, MARK_TITLE);
        put_words(b, m.history[i], TITLE);
    }
    return want(b, m.target);
}

/* [<likes> a preference] <query> what somebody would type -> item, in a large model's words. */
static bool told_search(const struct building *b)
{
    const struct told *told = b->tasks->told;
    struct moment m = {NULL, 0, 0};
    size_t user = 0;
    if (rng_below(b->rng, 2)) {
        put_mark(b, MARK_QUERY);
        return draw_item(&m.target, b) && put_told(b, &told->items, m.target) && want(b, m.target);
    }
    if (!draw_told(&m, &user, b))
        return false;
    put_mark(b, MARK_LIKES);
    if (!put_told(b, &told->users, user))
        return false;
    put_mark(b, MARK_QUERY);
    return (put_told(b, &told->items, m.target) || put_query(b, m.target)) && want(b, m.target);
}

static bool itemsearch(const struct building *b)
{
    struct moment m = {NULL, 0, 0};
    if (tells(b) && told_search(b))
        return true;
    b->out->length = 0;
    size_t template = rng_below(b->rng, 4);
    if (template <2) {
        if (!draw_item(&m.target, b))
            return false;
    } else if (!draw_moment(&m, b)) {
        return false;
    }
    if (template == 2)
        put_history(b, &m);
    if (template == 3) {
        put_mark(b, MARK_LIKES);
        put_likes(b, &m, HISTORY_MOST);
    }
    put_mark(b, MARK_QUERY);
    return put_query(b, m.target) && want(b, m.target);
}

static bool preferenceobtain(const struct building *b)
{
    struct moment m;
    size_t user;
    if (tells(b) && draw_told(&m, &user, b)) {
        put_history(b, &m);
        put_mark(b, MARK_LIKES);
        size_t start = b->out->length;
        if (put_told(b, &b->tasks->told->users, user))
            return want_from(b, start);
        b->out->length = 0;
    }
    if (!draw_moment(&m, b))
        return false;
    put_history(b, &m);
    put_mark(b, MARK_LIKES);
    size_t from = b->out->length;
    return put_likes(b, &m, rng_below(b->rng, 2) ? HISTORY_MOST : 3) && want_from(b, from);
}

/* The shares of the tasks: search and item2index are what is asked of the policy most. */
static const struct {
    bool (*build)(const struct building *building);
    size_t share;
} TASKS[] = {
    {item2index, 3}, {index2item, 1}, {fusionseqrec, 1}, {itemsearch, 4}, {preferenceobtain, 1},
};

/* Each list in its turn, all of them before one comes again. */
static bool list(const struct building *b, size_t number)
{
    const struct list_examples *x = b->tasks->lists;
    size_t at = number % x->count;
    const uint32_t *items = x->item + at * x->ranks;
    for (size_t i = x->first[at]; i < x->first[at + 1]; i++)
        put(b, x->history[i]);
    put_mark(b, MARK_LIST);
    for (size_t k = 0; k < x->ranks && items[k] != NO_ITEM; k++) {
        want(b, items[k]);
        if (k + 1 < x->ranks)
            put(b, items[k]);
    }
    return true;
}

static bool dialogue(const struct building *b)
{
    const struct dialogue_lists *x = b->tasks->dialogues;
    const struct row_lists *symbols = &x->prompts.symbols;
    uint32_t items[LIST_RANKS_MAX];
    size_t at = rng_below(b->rng, x->prompts.count);
    bool truth = rng_uniform(b->rng) < b->tasks->list_truth;
    size_t count = dialogue_list(items, x, at, truth);
    size_t reply = truth ? row_lists_count(&x->prompts.replies, at) : 0;
    for (size_t i = symbols->first[at]; i < symbols->first[at + 1]; i++)
        put(b, symbols->row[i]);
    put_mark(b, MARK_LIST);
    for (size_t k = 0; k < count; k++) {
        want(b, items[k]);
        if (k + 1 < count || reply)
            put(b, items[k]);
    }
    if (reply)
        put_mark(b, MARK_REPLY);
    size_t from = b->out->length;
    for (size_t i = 0; i < reply; i++)
        put(b, row_lists_at(&x->prompts.replies, at)[i]);
    return count > 0 && (!reply || want_from(b, from));
}

/* Every choice of the chain, then what came next; what the grammar forces is not learnt. */
static bool chain(const struct building *b)
{
    const struct tasks *t = b->tasks;
    const struct chain_example *e = &t->chains->list[rng_below(b->rng, t->chains->count)];
    struct task_sequence *out = b->out;
    struct chain_writer w;
    for (size_t i = 0; i < e->history_count; i++)
        put(b, e->history[i]);
    chain_begin(&w, t->chains->attributes, NULL, e->history, e->history_count);
    while (w.choices) {
        uint32_t symbol = chain_symbol(&w, &e->chain);
        if (chain_decides(&w)) {
            out->target[out->length - 1] = symbol;
            out->weight[out->length - 1] = (real)t->reason_weight;
        }
        chain_take(&w, symbol);
        put(b, symbol);
    }
    out->target[out->length - 1] = e->next;
    out->weight[out->length - 1] = 1;
    return true;
}

size_t tasks_per_step(const struct tasks *tasks, size_t steps_per_epoch)
{
    return (tasks->per_epoch + steps_per_epoch - 1) / steps_per_epoch + tasks->dialogues_a_step;
}

size_t tasks_length(const struct tasks *tasks)
{
    return tasks->dialogues ? TASK_MOST : TASK_LENGTH;
}

size_t tasks_make(struct task_sequence *out, size_t count, const struct tasks *tasks, size_t step)
{
    size_t made = 0;
    size_t shares = 0;
    for (size_t i = 0; i < COUNT(TASKS); i++)
        shares += TASKS[i].share;
    double density = tasks->chains ? chains_density(tasks->reason_share, step, tasks->steps) : 0;
    for (size_t k = 0; k < count; k++) {
        struct rng rng = rng_stream(tasks->seed ^ 0x7a5c, step, k);
        const struct building b = {&out[made], tasks, &rng, k < tasks->dialogues_a_step};
        size_t pick = rng_below(&rng, shares);
        size_t i = 0;
        while (pick >= TASKS[i].share)
            pick -= TASKS[i++].share;
        out[made].length = 0;
        bool reasons = tasks->chains && rng_uniform(&rng) < density;
        made += b.dialogue     ? dialogue(&b)
                : tasks->lists ? list(&b, step * count + k)
                : reasons      ? chain(&b)
                               : TASKS[i].build(&b);
    }
    return made;
}
