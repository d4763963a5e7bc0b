#include "recommend/talks.h"

#include "model/choice.h"
#include "model/streams.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What a token is to somebody who speaks. */
enum { TOKEN_BYTES_MAX = 4096 };
enum word_kind { WORD_NONE, WORD_TEXT, WORD_ENDS };

/* A stream and the talk in it. */
struct seat {
    struct talk *talk; /* borrowed; NULL: free */
    size_t from, read; /* the prompt's first symbol that is read, and how many of them were */
    uint32_t next[2];  /* [next_count] symbols to read in the next step */
    size_t next_count;
    size_t sentences;
    bool naming;    /* MARK_ITEM was said, a row comes next */
    uint64_t *skip; /* [rows / 64 + 1] */
    uint32_t *allowed_before;
    /* of a step */
    size_t input; /* which one it is; SIZE_MAX: none */
    bool found;   /* there is a next rank */
    struct hit rank;
};

/* What a thread chooses with. */
struct chooser {
    struct decode_work decode;
    struct hit *hits;
    real *query; /* [dim] */
};

struct talks {
    struct snapshot *snapshot; /* owned share */
    struct policy policy;
    struct talks_options options;
    struct streams *streams; /* owned */
    size_t beam_max;
    struct seat *seats;       /* [streams] */
    struct chooser *choosers; /* [threads] */
    unsigned char *kinds;     /* [vocab] enum word_kind; NULL: it does not speak */
    size_t *listing, *saying; /* [streams] seats that choose a rank, or a word */
    size_t listing_count, saying_count;
    struct stream_input *inputs; /* [streams] */
    uint32_t *slices;            /* [rows] symbols of this step's slices */
    size_t slices_used;
    real *query; /* [dim] */
    struct arena arena;
};

/* ---- opening ---- */

bool talks_speak(const struct talks *t)
{
    return t->policy.marks != TOKENIZER_MARKS_AT;
}

static size_t rows_of(const struct talks *t)
{
    return TALK_SLICE + 2 * t->options.streams;
}

static void layout(struct talks *t, size_t threads, struct arena *arena)
{
    const struct snapshot *s = t->snapshot;
    const struct shape *shape = &t->policy.shape;
    size_t width = s->version->trie.width + s->late_trie.width + 1;
    size_t words = s->rows / 64 + 1;
    size_t streams = t->options.streams;
    t->seats = arena_take(arena, streams, sizeof *t->seats);
    for (size_t i = 0; i < streams; i++) {
        struct seat ruler;
        struct seat *seat = t->seats ? &t->seats[i] : &ruler;
        seat->skip = arena_take(arena, words, sizeof *seat->skip);
        seat->allowed_before = arena_take(arena, words, sizeof *seat->allowed_before);
    }
    t->choosers = arena_take(arena, threads, sizeof *t->choosers);
    for (size_t i = 0; i < threads; i++) {
        struct chooser ruler;
        struct chooser *chooser = t->choosers ? &t->choosers[i] : &ruler;
        decode_layout(&chooser->decode, shape, t->beam_max, width, arena);
        chooser->hits = arena_take(arena, t->beam_max, sizeof *chooser->hits);
        chooser->query = arena_take(arena, shape->dim, sizeof *chooser->query);
    }
    t->kinds = talks_speak(t) ? arena_take(arena, shape->vocab, 1) : NULL;
    t->listing = arena_take(arena, streams, sizeof *t->listing);
    t->saying = arena_take(arena, streams, sizeof *t->saying);
    t->inputs = arena_take(arena, streams, sizeof *t->inputs);
    t->slices = arena_take(arena, rows_of(t), sizeof *t->slices);
}

/* Marks, attributes and what other models use for marks are no text. */
static enum word_kind kind_of(const char *text, size_t size)
{
    if (size == 0 || (size > 3 && text[0] == '<' && text[size - 1] == '>'))
        return WORD_NONE;
    return strchr(".!?", text[size - 1]) ? WORD_ENDS : WORD_TEXT;
}

static void sort_words(struct talks *t)
{
    const struct tokenizer *tokenizer = t->snapshot->version->tokenizer;
    struct text text;
    text_init(&text, TOKEN_BYTES_MAX);
    for (uint32_t token = 0; t->kinds && token < t->policy.shape.vocab; token++) {
        t->kinds[token] = WORD_NONE;
        if (token >= tokenizer_size(tokenizer) || token - t->policy.marks < MARKS)
            continue;
        text_reset(&text);
        tokenizer_decode(&text, tokenizer, &token, 1, true);
        t->kinds[token] = (unsigned char)kind_of(text.bytes, text.size);
    }
    text_release(&text);
}

static bool check(const struct talks_options *o, struct err *err)
{
    if (o->streams < 1 || o->streams > TALK_STREAMS_MAX)
        return err_set(err, ERR_INPUT, "talks: expected 1 to %d streams, found %zu",
                       TALK_STREAMS_MAX, o->streams);
    if (o->positions < TALK_POSITIONS_LEAST)
        return err_set(err, ERR_INPUT, "talks: expected at least %d positions, found %zu",
                       TALK_POSITIONS_LEAST, o->positions);
    if (o->beam < 1 || o->beam > DECODE_BEAM_MAX)
        return err_set(err, ERR_INPUT, "talks: expected a beam of 1 to %d, found %zu",
                       DECODE_BEAM_MAX, o->beam);
    return true;
}

static bool open_parts(struct talks *t, struct err *err)
{
    struct arena ruler = {0};
    const struct streams_options options = {.streams = t->options.streams,
                                            .positions = t->options.positions,
                                            .rows = rows_of(t),
                                            .threads = t->options.threads};
    t->streams = streams_open(&t->policy, &options, err);
    if (!t->streams)
        return false;
    size_t threads = thread_pool_count(streams_pool(t->streams));
    layout(t, threads, &ruler);
    if (!arena_open(&t->arena, ruler.used, err))
        return false;
    layout(t, threads, &t->arena);
    for (size_t i = 0; i < threads; i++)
        decode_prepare(&t->choosers[i].decode, &t->policy.shape);
    sort_words(t);
    return true;
}

struct talks *talks_open(struct snapshot *s, const struct talks_options *options, struct err *err)
{
    if (!check(options, err))
        return NULL;
    struct talks *t = calloc(1, sizeof *t);
    if (!t) {
        err_set(err, ERR_SYSTEM, "no memory for talks");
        return NULL;
    }
    t->snapshot = snapshot_hold(s);
    t->policy = snapshot_policy(s);
    t->options = *options;
    t->beam_max = list_beam_room(options->beam);
    if (open_parts(t, err))
        return t;
    talks_close(t);
    return NULL;
}

void talks_close(struct talks *t)
{
    if (!t)
        return;
    streams_close(t->streams);
    arena_close(&t->arena);
    snapshot_drop(t->snapshot);
    free(t);
}

size_t talks_bytes(const struct talks *t)
{
    return t->arena.size + streams_bytes(t->streams);
}

/* ---- who is there ---- */

/* <list>, the ranks, <reply>, the words, and one to spare. */
size_t talks_prompt_max(const struct talks *t, size_t n, size_t words_max)
{
    return t->options.positions - 1 - n - 1 - words_max - 1;
}

static uint32_t mark(const struct talks *t, enum mark which)
{
    return TOKEN + t->policy.marks + which;
}

bool talks_add(struct talks *t, struct talk *talk)
{
    struct seat *seat = t->seats;
    assert(talk->n >= 1 && talk->n <= LIST_RANKS_MAX && talk->words_max <= TALK_WORDS_MAX);
    while (seat < t->seats + t->options.streams && seat->talk)
        seat++;
    if (seat == t->seats + t->options.streams)
        return false;
    size_t room = talks_prompt_max(t, talk->n, talk->words_max);
    talk->state = TALK_READING;
    talk->listed = talk->said_count = 0;
    seat->talk = talk;
    seat->from = talk->prompt_count > room ? talk->prompt_count - room : 0;
    seat->read = seat->next_count = seat->sentences = 0;
    seat->naming = false;
    list_skip(seat->skip, t->snapshot);
    for (size_t i = 0; talk->skip && i < t->snapshot->rows / 64 + 1; i++)
        seat->skip[i] |= talk->skip[i];
    trie_count_allowed(seat->allowed_before, seat->skip, t->snapshot->rows);
    streams_cut(t->streams, (size_t)(seat - t->seats), 0);
    return true;
}

void talks_remove(struct talks *t, struct talk *talk)
{
    for (size_t i = 0; i < t->options.streams; i++)
        if (t->seats[i].talk == talk)
            t->seats[i].talk = NULL;
}

static void finish(struct seat *seat)
{
    seat->talk->state = TALK_DONE;
    seat->talk = NULL;
}

/* ---- what each reads in a step ---- */

static size_t prompt_left(const struct seat *seat)
{
    return seat->talk->prompt_count - seat->from - seat->read + 1; /* <list> comes after it */
}

static void add_input(struct talks *t, struct seat *seat, const uint32_t *symbols, size_t count,
                      size_t *inputs)
{
    bool says = seat->talk->state == TALK_SAYING && !seat->naming;
    seat->input = (*inputs)++;
    t->inputs[seat->input] = (struct stream_input){(size_t)(seat - t->seats), symbols, count, says};
}

static void add_slice(struct talks *t, struct seat *seat, size_t slice, size_t *inputs)
{
    const struct talk *talk = seat->talk;
    size_t left = prompt_left(seat);
    size_t count = left < slice ? left : slice;
    size_t words = count == left ? count - 1 : count;
    uint32_t *symbols = t->slices + t->slices_used;
    memcpy(symbols, talk->prompt + seat->from + seat->read, words * sizeof *symbols);
    if (words < count)
        symbols[words] = mark(t, MARK_LIST);
    seat->read += count;
    t->slices_used += count;
    add_input(t, seat, symbols, count, inputs);
}

static size_t gather(struct talks *t)
{
    size_t inputs = 0;
    size_t readers = 0;
    size_t budget = TALK_SLICE;
    t->slices_used = 0;
    for (size_t i = 0; i < t->options.streams; i++) {
        struct seat *seat = &t->seats[i];
        seat->input = SIZE_MAX;
        if (!seat->talk)
            continue;
        if (seat->talk->prompt_count == 0)
            finish(seat);
        else if (seat->talk->state == TALK_READING)
            readers++;
        else
            add_input(t, seat, seat->next, seat->next_count, &inputs);
    }
    for (size_t i = 0; i < t->options.streams && readers; i++) {
        struct seat *seat = &t->seats[i];
        if (!seat->talk || seat->talk->state != TALK_READING)
            continue;
        size_t before = t->slices_used;
        add_slice(t, seat, budget > readers ? budget / readers : 1, &inputs);
        size_t used = t->slices_used - before;
        budget = budget > used ? budget - used : 0;
        readers--;
    }
    return inputs;
}

/* ---- ranks ---- */

static void choose_rank(void *self, size_t piece, size_t worker)
{
    struct talks *t = self;
    struct seat *seat = &t->seats[t->listing[piece]];
    struct chooser *chooser = &t->choosers[worker];
    const struct trie_mask mask = {.base = &t->snapshot->version->trie,
                                   .late = &t->snapshot->late_trie,
                                   .skip = seat->skip,
                                   .allowed_before = seat->allowed_before};
    const struct list_pushes pushes = {.votes = seat->talk->votes};
    seat->found = list_draw(&seat->rank, chooser->hits, t->options.beam, &chooser->decode,
                            &t->policy, streams_z(t->streams, seat->input), &mask, seat->talk->rows,
                            seat->talk->listed, &pushes);
}

static void take_rank(struct talks *t, struct seat *seat)
{
    struct talk *talk = seat->talk;
    talk->state = TALK_LISTING;
    seat->next_count = 0;
    if (seat->found) {
        talk->log_p[talk->listed] = (double)seat->rank.score;
        talk->rows[talk->listed++] = seat->rank.row;
        seat->next[seat->next_count++] = seat->rank.row;
    }
    if (seat->found && talk->listed < talk->n)
        return;
    if (talk->listed == 0 || talk->words_max == 0 || !t->kinds) {
        finish(seat);
        return;
    }
    talk->state = TALK_SAYING;
    seat->next[seat->next_count++] = mark(t, MARK_REPLY);
}

/* ---- words ---- */

static size_t not_said(uint32_t *rows, const struct talk *talk)
{
    size_t count = 0;
    for (size_t i = 0; i < talk->listed; i++)
        if (!numbers_hold(talk->said, talk->said_count, talk->rows[i]))
            rows[count++] = talk->rows[i];
    return count;
}

/* What may not be said gets no probability: the end before the beginning, an item without a name
 * to follow it. */
static uint32_t draw_token(struct talks *t, struct seat *seat, float *logits)
{
    const struct talk *talk = seat->talk;
    size_t vocab = t->policy.shape.vocab;
    uint32_t rows[LIST_RANKS_MAX];
    uint32_t item = t->policy.marks + MARK_ITEM;
    uint32_t end = t->policy.marks + MARK_END;
    bool names = talk->said_count + 2 <= talk->words_max && not_said(rows, talk) > 0;
    uint32_t best = end;
    if (talk->said_count == 0)
        logits[end] = -INFINITY; /* before all others are compared with it */
    for (uint32_t token = 0; token < vocab; token++) {
        bool may = t->kinds[token] != WORD_NONE || (token == item && names) || token == end;
        logits[token] = may ? logits[token] : -INFINITY;
        if (logits[token] > logits[best])
            best = token;
    }
    if (talk->temperature <= 0)
        return best;
    for (size_t token = 0; token < vocab; token++)
        logits[token] /= (float)talk->temperature;
    t->policy.kernels->softmax(logits, vocab, 1);
    struct rng rng = rng_stream(talk->seed, talk->said_count, 0);
    uint32_t drawn = (uint32_t)choice_draw(logits, vocab, &rng);
    return logits[drawn] > 0 ? drawn : best;
}

static void say(struct seat *seat, uint32_t symbol)
{
    seat->talk->said[seat->talk->said_count++] = symbol;
    seat->next[0] = symbol;
    seat->next_count = 1;
}

static void name_item(struct talks *t, struct seat *seat, real *query)
{
    uint32_t rows[LIST_RANKS_MAX];
    real liked[LIST_RANKS_MAX];
    size_t count = not_said(rows, seat->talk);
    size_t best = 0;
    assert(count > 0); /* or the mark would not have been drawn */
    choice_logits(liked, query, &t->policy, streams_z(t->streams, seat->input), rows, count);
    for (size_t i = 1; i < count; i++)
        if (liked[i] > liked[best])
            best = i;
    seat->naming = false;
    say(seat, rows[best]);
}

static void take_word(void *self, size_t piece, size_t worker)
{
    struct talks *t = self;
    struct seat *seat = &t->seats[t->saying[piece]];
    struct talk *talk = seat->talk;
    if (seat->naming) {
        name_item(t, seat, t->choosers[worker].query);
    } else {
        uint32_t token = draw_token(t, seat, streams_logits(t->streams, seat->input));
        if (token == t->policy.marks + MARK_END) {
            finish(seat);
            return;
        }
        seat->naming = token == t->policy.marks + MARK_ITEM;
        seat->sentences += !seat->naming && t->kinds[token] == WORD_ENDS;
        say(seat, TOKEN + token);
    }
    if (talk->said_count == talk->words_max || seat->sentences == TALK_SENTENCES)
        finish(seat);
}

/* ---- a step ---- */

static bool lists(const struct seat *seat)
{
    enum talk_state state = seat->talk->state;
    return state == TALK_LISTING || (state == TALK_READING && prompt_left(seat) == 0);
}

size_t talks_step(struct talks *t)
{
    size_t left = 0;
    size_t streams = t->options.streams;
    streams_step(t->streams, t->inputs, gather(t));
    t->listing_count = t->saying_count = 0;
    for (size_t i = 0; i < streams; i++) {
        const struct seat *seat = &t->seats[i];
        if (seat->talk && seat->talk->state == TALK_SAYING)
            t->saying[t->saying_count++] = i;
        else if (seat->talk && lists(seat))
            t->listing[t->listing_count++] = i;
    }
    thread_pool_run(streams_pool(t->streams), t->listing_count, choose_rank, t);
    thread_pool_run(streams_pool(t->streams), t->saying_count, take_word, t);
    for (size_t i = 0; i < t->listing_count; i++)
        take_rank(t, &t->seats[t->listing[i]]);
    for (size_t i = 0; i < streams; i++)
        left += t->seats[i].talk != NULL;
    return left;
}
