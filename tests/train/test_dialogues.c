/*
 * Dialogues of the store, from a hand-made few of them: who said what, which part each is of, where
 * a list is asked for and what is relevant there, and the lists that are imitated.
 */
#include "tests/test.h"

#include "base/text.h"
#include "data/catalogue.h"
#include "data/records.h"
#include "train/dialogue_lists.h"
#include "train/rl.h"

enum { FILMS = 12, HIDDEN = 9, UNSEEN = 10, TEACHING = 40, SYMBOLS = 64 };

static struct store *store;
static struct version version;
static struct item_index item_index;
static struct snapshot snapshot;
static struct titles *titles;
static struct dialogues *dialogues;
static char home[512];

static void put_items(const struct store_txn *txn, struct err *err)
{
    static uint32_t row_of_number[FILMS], popular[FILMS];
    static unsigned char seen[FILMS];
    static uint64_t hidden[1];
    for (uint32_t i = 0; i < FILMS; i++) {
        char id[8];
        char title[32];
        enum put_result result;
        uint32_t number = 0;
        snprintf(id, sizeof id, "f%u", i);
        snprintf(title, sizeof title, "Film %c (1999)", 'A' + (int)i);
        json_t *record = json_pack("{s:s}", "title", title);
        assert_fine(catalogue_put(&result, &number, txn, id, record, err), *err);
        json_decref(record);
        row_of_number[number] = i;
        popular[i] = i;
        seen[i] = i != UNSEEN;
    }
    bit_set(hidden, HIDDEN);
    version.row_of_number = row_of_number;
    version.popular = popular;
    version.numbers = FILMS;
    version.policy.items.seen = seen;
    snapshot.hidden = hidden;
}

static void put_dialogue(const struct store_txn *txn, const char *id, const char *json,
                         struct err *err)
{
    bool is_new;
    json_t *dialogue = json_loads(json, 0, NULL);
    assert_non_null(dialogue);
    assert_fine(dialogue_check(dialogue, err), *err);
    assert_fine(dialogue_put(&is_new, txn, id, dialogue, err), *err);
    json_decref(dialogue);
}

/* 40 of them name A and B together; whether they teach or choose follows from their ids. */
static void put_dialogues(const struct store_txn *txn, struct err *err)
{
    for (int i = 0; i < TEACHING; i++) {
        char id[16];
        snprintf(id, sizeof id, "d%02d", i);
        put_dialogue(
            txn, id,
            "{\"turns\": ["
            "{\"role\": \"user\", \"text\": \"like Film A?\", \"items_mentioned\": [\"f0\"]},"
            "{\"role\": \"assistant\", \"text\": \"Film A, Film B and Film D\","
            " \"items_mentioned\": [\"f0\", \"f1\", \"f3\", \"f1\", \"gone\"]}],"
            " \"liked\": [\"f0\"], \"disliked\": [\"f3\"]}",
            err);
    }
    put_dialogue(
        txn, "t1",
        "{\"split\": \"test\", \"turns\": ["
        "{\"role\": \"recommender\", \"text\": \"hi, Film C\", \"items_mentioned\": [\"f2\"]},"
        "{\"role\": \"system\", \"text\": \"Film L\", \"items_mentioned\": [\"f11\"]},"
        "{\"role\": \"seeker\", \"text\": \"rather film e\", \"items_mentioned\": [\"f4\"]},"
        "{\"role\": \"recommender\", \"text\": \"hm\", \"items_mentioned\": []},"
        "{\"role\": \"recommender\", \"text\": \"Film C, Film F, Film G\","
        " \"items_mentioned\": [\"f2\", \"f5\", \"f6\"]},"
        "{\"role\": \"seeker\", \"text\": \"Film H\", \"items_mentioned\": [\"f7\"]},"
        "{\"role\": \"recommender\", \"text\": \"or these\","
        " \"items_mentioned\": [\"f7\", \"f8\", \"f9\", \"f10\"]}],"
        " \"liked\": [\"f6\", \"f8\"], \"disliked\": [\"f5\"], \"seen\": [\"f2\"]}",
        err);
}

static int start(void **state)
{
    static const struct store_settings SMALL = {.map_mib = 16};
    struct err err = {0};
    struct store_txn txn;
    struct corpus *corpus = corpus_new(&err);
    (void)state;
    snprintf(home, sizeof home, "%s", scratch_folder("dialogues"));
    store = store_open(home, &SMALL, true, &err);
    assert_fine(store, err);
    assert_fine(store_begin(&txn, store, true, &err), err);
    put_items(&txn, &err);
    put_dialogues(&txn, &err);
    assert_fine(store_commit(&txn, &err), err);
    version.tokenizer = tokenizer_train(corpus, 300, 2, &err);
    assert_fine(version.tokenizer, err);
    corpus_free(corpus);
    version.policy.marks = tokenizer_marks(version.tokenizer);
    item_index.items = FILMS;
    version.index = &item_index;
    snapshot.version = &version;
    snapshot.rows = FILMS;
    titles = titles_open(&snapshot, store, &err);
    assert_fine(titles, err);
    dialogues = dialogues_load(store, &err);
    assert_fine(dialogues, err);
    dialogues_name(dialogues, &snapshot);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    dialogues_free(dialogues);
    titles_free(titles);
    tokenizer_free(version.tokenizer);
    store_close(store);
    scratch_drop(home);
    return 0;
}

static void each_dialogue_is_of_one_part(void **state)
{
    size_t of[DIALOGUE_PARTS] = {0};
    (void)state;
    assert_int_equal(dialogues->count, TEACHING + 1);
    assert_int_equal(dialogues->unjoined, TEACHING);
    for (size_t d = 0; d < dialogues->count; d++)
        of[dialogues->part[d]]++;
    assert_int_equal(of[DIALOGUES_TEST], 1);
    assert_true(of[DIALOGUES_VALIDATION] >= 1 && of[DIALOGUES_VALIDATION] <= 12);
    /* turns of other roles are left out; an item is named once in a turn */
    size_t last = dialogues->count - 1;
    assert_int_equal(dialogues->first[last + 1] - dialogues->first[last], 6);
    assert_int_equal(dialogues->item_first[2] - dialogues->item_first[1], 3);
    assert_int_equal(dialogues->speaker[0], SPEAKER_USER);
    assert_int_equal(dialogues->said[0], SAID_LIKED);
}

static void only_what_teaches_is_counted(void **state)
{
    struct err err = {0};
    struct sequences s = {.first = calloc(1, sizeof(size_t))};
    struct dialogue_counts counts;
    size_t teaching = 0;
    (void)state;
    for (size_t d = 0; d < dialogues->count; d++)
        teaching += dialogues->part[d] == DIALOGUES_TRAIN;
    assert_fine(dialogues_append(&s, dialogues, NULL, 0, &err), err);
    assert_int_equal(s.users, teaching);
    assert_int_equal(s.events, 2 * teaching); /* A and B; D is disliked */
    assert_int_equal(s.item[0], 0);
    assert_int_equal(s.item[1], 1);
    sequences_release(&s);
    assert_fine(dialogue_counts_make(&counts, dialogues, FILMS, &err), err);
    assert_int_equal(counts.named[0], teaching);
    assert_int_equal(counts.named[2], 0); /* the test dialogue says nothing */
    assert_int_equal(counts.popular[0], 0);
    uint64_t skip[1] = {1};
    float score[FILMS] = {0};
    uint32_t touched[FILMS];
    struct tally tally = {.score = score, .touched = touched};
    uint32_t list[4];
    const uint32_t named[] = {0};
    assert_int_equal(dialogue_knn(list, 4, &counts, named, 1, skip, FILMS, &tally), 1);
    assert_int_equal(list[0], 1);
    dialogue_counts_free(&counts);
}

static void assert_rows(const struct row_lists *lists, size_t at, size_t count,
                        const uint32_t *rows)
{
    assert_int_equal(row_lists_count(lists, at), count);
    assert_memory_equal(row_lists_at(lists, at), rows, count * sizeof *rows);
}

#define ROWS(...)                                                                                  \
    sizeof((uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t), (const uint32_t[])                       \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

/* One prompt a reply that names something new; what was named before is neither label nor relevant.
 */
static void a_list_is_asked_for_where_something_new_is_named(void **state)
{
    struct err err = {0};
    struct dialogue_prompts p;
    (void)state;
    assert_fine(
        dialogue_prompts_make(&p, dialogues, DIALOGUES_TEST, SYMBOLS, &snapshot, titles, &err),
        err);
    assert_int_equal(p.count, 3);
    uint32_t user = TOKEN + version.policy.marks + MARK_USER;
    assert_rows(&p.symbols, 0, ROWS(user)); /* nothing was said yet */
    assert_rows(&p.labels, 0, ROWS(2));
    assert_rows(&p.relevant, 0, ROWS(6, 8, 2, 7)); /* liked first; F disliked, J hidden, K unseen */
    assert_int_equal(p.liked[0], 2);
    assert_int_equal(row_lists_count(&p.named, 0), 0);
    assert_rows(&p.labels, 1, ROWS(5, 6));
    assert_rows(&p.relevant, 1, ROWS(6, 8, 7));
    assert_rows(&p.named, 1, ROWS(2, 4));
    assert_rows(&p.labels, 2, ROWS(8, 9, 10));
    assert_rows(&p.relevant, 2, ROWS(8));
    assert_rows(&p.named, 2, ROWS(2, 4, 5, 6, 7));
    /* the films stand as rows behind their mark */
    size_t rows = 0;
    const uint32_t *symbols = row_lists_at(&p.symbols, 1);
    for (size_t i = 0; i < row_lists_count(&p.symbols, 1); i++)
        if (!is_token(symbols[i])) {
            assert_int_equal(symbols[i - 1], TOKEN + version.policy.marks + MARK_ITEM);
            assert_int_equal(symbols[i], rows++ ? 4 : 2);
        }
    assert_int_equal(rows, 2);
    dialogue_prompts_free(&p);
}

/* A view of the first holds no label of those left out, which would count as missed. */
static void the_first_prompts_have_the_first_labels(void **state)
{
    struct err err = {0};
    struct dialogue_prompts p;
    (void)state;
    assert_fine(
        dialogue_prompts_make(&p, dialogues, DIALOGUES_TRAIN, SYMBOLS, &snapshot, titles, &err),
        err);
    assert_true(p.count > 3);
    const struct dialogue_prompts some = dialogue_prompts_before(&p, p.dialogue[3]);
    assert_int_equal(some.count, 3);
    assert_int_equal(some.labels.rows, p.labels.first[3]);
    assert_int_equal(some.symbols.rows, p.symbols.first[3]);
    assert_int_equal(dialogue_prompts_before(&p, 0).labels.rows, 0);
    assert_int_equal(dialogue_prompts_before(&p, dialogues->count).labels.rows, p.labels.rows);
    dialogue_prompts_free(&p);
}

/* What is paid for is what is relevant, cut to the ranks; all that was named may not be listed. */
static void prompts_of_dialogues_are_paid_for(void **state)
{
    struct err err = {0};
    struct dialogue_prompts d;
    struct rl_prompts p;
    (void)state;
    assert_fine(
        dialogue_prompts_make(&d, dialogues, DIALOGUES_TEST, SYMBOLS, &snapshot, titles, &err),
        err);
    d.relevant.first[1] = d.relevant.first[2]; /* the second prompt has nothing, the first more */
    assert_fine(rl_prompts_talk(&p, &d, 3, &err), err);
    assert_int_equal(p.count, 2);
    assert_int_equal(p.dropped, 1);
    assert_int_equal(p.relevant_first[1], 3);
    assert_memory_equal(p.relevant, ((uint32_t[]){6, 8, 2, 8}), 4 * sizeof(uint32_t));
    assert_int_equal(p.first[1], 1);
    assert_int_equal(p.first[2] - p.first[1], row_lists_count(&d.symbols, 2));
    assert_memory_equal(p.history + 1, row_lists_at(&d.symbols, 2),
                        (p.first[2] - p.first[1]) * sizeof *p.history);
    assert_int_equal(p.seen_first[1], 0);
    assert_int_equal(p.seen_first[2], 5);
    assert_memory_equal(p.seen, ((uint32_t[]){2, 4, 5, 6, 7}), 5 * sizeof(uint32_t));
    rl_prompts_free(&p);
    memset(d.relevant.first, 0, (d.count + 1) * sizeof *d.relevant.first);
    assert_false(rl_prompts_talk(&p, &d, 3, &err));
    assert_non_null(strstr(err.text, "expected dialogues that teach"));
    rl_prompts_free(&p);
    dialogue_prompts_free(&d);
}

/* A policy that speaks learns what was replied, unless it names what no list could hold (the second
 * what was disliked, the third what no event names); ours learns none of it. */
static void replies_are_kept_for_those_who_speak(void **state)
{
    struct err err = {0};
    struct dialogue_prompts p;
    (void)state;
    for (int speaks = 0; speaks < 2; speaks++) {
        version.policy.marks = TOKENIZER_MARKS_AT + (speaks ? 1000 : 0);
        assert_fine(
            dialogue_prompts_make(&p, dialogues, DIALOGUES_TEST, SYMBOLS, &snapshot, titles, &err),
            err);
        size_t count = row_lists_count(&p.replies, 0);
        const uint32_t *reply = row_lists_at(&p.replies, 0);
        size_t at = 0;
        assert_int_equal(count > 0, speaks);
        assert_true(count <= REPLY_SYMBOLS);
        while (at < count && is_token(reply[at]))
            at++;
        if (speaks) {
            assert_int_equal(reply[at - 1], TOKEN + version.policy.marks + MARK_ITEM);
            assert_int_equal(reply[at], 2); /* Film C */
        }
        assert_int_equal(row_lists_count(&p.replies, 1), 0);
        assert_int_equal(row_lists_count(&p.replies, 2), 0);
        dialogue_prompts_free(&p);
    }
    version.policy.marks = TOKENIZER_MARKS_AT;
}

static void lists_begin_with_the_truth_or_are_the_teachers(void **state)
{
    struct err err = {0};
    struct dialogue_lists lists;
    uint32_t list[4];
    (void)state;
    assert_fine(dialogue_lists_make(&lists, dialogues, &snapshot, titles, 4, SYMBOLS, &err), err);
    for (size_t p = 0; p < lists.prompts.count; p++) {
        assert_int_equal(dialogues->part[lists.prompts.dialogue[p]], DIALOGUES_TRAIN);
        for (int truth = 0; truth < 2; truth++) {
            size_t count = dialogue_list(list, &lists, p, truth);
            assert_int_equal(count, 1); /* all that the others name, too, and A was named */
            assert_int_equal(list[0], 1);
        }
    }
    lists.teacher[0] = 4; /* another teacher */
    lists.teacher[1] = 1;
    assert_int_equal(dialogue_list(list, &lists, 0, true), 2);
    assert_int_equal(list[0], 1);
    assert_int_equal(list[1], 4);
    assert_int_equal(dialogue_list(list, &lists, 0, false), 2);
    assert_int_equal(list[0], 4);
    dialogue_lists_free(&lists);
}

/* One alone names Film L: it teaches others to list it, and is not taught so itself. */
static void a_dialogue_is_not_its_own_teacher(void **state)
{
    struct err err = {0};
    struct dialogue_lists lists;
    struct dialogue_counts counts;
    size_t own = SIZE_MAX;
    size_t at = SIZE_MAX;
    size_t taught = 0;
    (void)state;
    for (size_t c = 0; c < dialogues->count && own == SIZE_MAX; c++)
        own = dialogues->part[c] == DIALOGUES_TRAIN ? c : own;
    for (size_t i = dialogues->item_first[dialogues->first[own]];
         i < dialogues->item_first[dialogues->first[own + 1]]; i++)
        if (dialogues->item[i] == 1)
            dialogues->item[at = i] = FILMS - 1;
    assert_true(at != SIZE_MAX);
    assert_fine(dialogue_counts_make(&counts, dialogues, FILMS, &err), err);
    assert_int_equal(counts.named[FILMS - 1], 1);
    assert_fine(dialogue_lists_make(&lists, dialogues, &snapshot, titles, 4, SYMBOLS, &err), err);
    for (size_t p = 0; p < lists.prompts.count; p++) {
        const uint32_t *list = lists.teacher + p * lists.ranks;
        bool listed = numbers_hold(list, lists.ranks, FILMS - 1);
        assert_int_equal(list[0], 1);
        assert_true(lists.prompts.dialogue[p] != own || !listed);
        taught += listed;
    }
    assert_in_range(taught, lists.prompts.count * 3 / 4, lists.prompts.count - 1);
    dialogues->item[at] = 1;
    dialogue_lists_free(&lists);
    dialogue_counts_free(&counts);
}

/* The mean over dialogues of what each adds is the mean over examples. */
static void values_of_dialogues_make_the_mean_over_examples(void **state)
{
    uint32_t rank[] = {1, 0, 11, 3};
    uint32_t of[] = {0, 1, 1, 1};
    double value[2];
    const struct dialogue_judgement j = {
        .labels = 4, .dialogues = 2, .rank = {[DIALOGUE_LISTS] = rank}, .of = of};
    (void)state;
    dialogue_values(value, &j, DIALOGUE_LISTS, DIALOGUE_RECALL, 10);
    assert_float_equal((value[0] + value[1]) / 2, 0.5, 1e-9);
    assert_float_equal(value[0], 0.5, 1e-9);
    dialogue_values(value, &j, DIALOGUE_LISTS, DIALOGUE_NDCG, 20);
    assert_float_equal((value[0] + value[1]) / 2, (1 + 0.27894295 + 0.5) / 4, 1e-6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_dialogue_is_of_one_part),
        TEST(only_what_teaches_is_counted),
        TEST(a_list_is_asked_for_where_something_new_is_named),
        TEST(the_first_prompts_have_the_first_labels),
        TEST(prompts_of_dialogues_are_paid_for),
        TEST(replies_are_kept_for_those_who_speak),
        TEST(lists_begin_with_the_truth_or_are_the_teachers),
        TEST(a_dialogue_is_not_its_own_teacher),
        TEST(values_of_dialogues_make_the_mean_over_examples),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
