#include "recommend/item_words.h"

#include "data/catalogue.h"
#include "recommend/item_document.h"

#include <stdlib.h>
#include <string.h>

enum { TAG_TEXT_MAX = 64, WORD_TOKENS = 32, ITEM_WORDS_MAX = 64 };

static bool tag_texts(const json_t *value, item_text_fn *fn, void *self, struct err *err)
{
    if (json_is_string(value) && json_string_length(value) > 0 &&
        json_string_length(value) <= TAG_TEXT_MAX)
        return fn(self, json_string_value(value), false, err);
    return true;
}

bool item_texts(const json_t *record, item_text_fn *fn, void *self, struct err *err)
{
    const char *title = json_string_value(json_object_get(record, "title"));
    const json_t *categories = json_object_get(record, "categories");
    if (title && !fn(self, title, true, err))
        return false;
    for (size_t i = 0; i < json_array_size(categories); i++)
        if (!tag_texts(json_array_get(categories, i), fn, self, err))
            return false;
    const char *key;
    json_t *value;
    json_object_foreach (json_object_get(record, "attributes"), key, value)
        if (json_is_string(value) && value_speaks(json_string_value(value)) &&
            !tag_texts(value, fn, self, err))
            return false;
    return true;
}

struct item_text {
    char *bytes; /* owned: title, 0, tags joined by spaces */
    size_t title;
};

struct loading {
    const struct version *version;
    const struct tokenizer *tokenizer;
    struct item_words *out;
    struct text title, tags;
    struct item_text *texts; /* [items] */
    size_t words_room, tokens_room;
};

static bool add_text(void *self, const char *text, bool title, struct err *err)
{
    struct loading *l = self;
    (void)err;
    text_addf(title ? &l->title : &l->tags, " %s", text);
    return true;
}

static bool take_record(void *self, uint32_t number, const char *id, json_t *record,
                        struct err *err)
{
    struct loading *l = self;
    const struct version *v = l->version;
    (void)id;
    if (number >= v->numbers || v->row_of_number[number] == NO_ITEM)
        return true;
    text_reset(&l->title);
    text_reset(&l->tags);
    if (!item_texts(record, add_text, l, err))
        return false;
    struct item_text *t = &l->texts[v->row_of_number[number]];
    t->title = l->title.size;
    t->bytes = malloc(l->title.size + l->tags.size + 2);
    if (!t->bytes)
        return err_set(err, ERR_SYSTEM, "no memory for the words of an item");
    memcpy(t->bytes, l->title.bytes ? l->title.bytes : "", l->title.size + 1);
    memcpy(t->bytes + t->title + 1, l->tags.bytes ? l->tags.bytes : "", l->tags.size + 1);
    return true;
}

static bool reserve(struct loading *l, struct err *err)
{
    struct item_words *out = l->out;
    if (out->words + 2 < l->words_room && out->tokens + WORD_TOKENS < l->tokens_room)
        return true;
    size_t words = (l->words_room + 1024) * 2;
    size_t tokens = (l->tokens_room + 4096) * 2;
    size_t *word_at = realloc(out->word_at, words * sizeof *word_at);
    out->word_at = word_at ? word_at : out->word_at;
    uint32_t *token = realloc(out->token, tokens * sizeof *token);
    out->token = token ? token : out->token;
    if (!word_at || !token)
        return err_set(err, ERR_SYSTEM, "no memory for %zu words", words);
    l->words_room = words;
    l->tokens_room = tokens;
    return true;
}

/* Words are cut at spaces; signs stay with their word. */
static bool add_words(struct loading *l, char *text, struct err *err)
{
    size_t count = 0;
    for (char *at = text; at && *at && count < ITEM_WORDS_MAX;) {
        at += strspn(at, " \t\n\r");
        size_t size = strcspn(at, " \t\n\r");
        if (!size)
            break;
        char word[WORD_TOKENS * 4 + 2] = " ";
        size_t kept = size < sizeof word - 2 ? size : sizeof word - 2;
        memcpy(word + 1, at, kept);
        word[kept + 1] = 0;
        if (!reserve(l, err))
            return false;
        struct item_words *out = l->out;
        size_t tokens = tokenizer_encode(out->token + out->tokens, WORD_TOKENS, l->tokenizer,
                                         tokenizer_within(l->tokenizer, word), err);
        if (err->code != ERR_NONE)
            return false;
        if (tokens) {
            out->word_at[out->words++] = out->tokens;
            out->tokens += tokens;
            out->word_at[out->words] = out->tokens;
            count++;
        }
        at += size;
    }
    return true;
}

static bool encode_all(struct loading *l, struct err *err)
{
    struct item_words *out = l->out;
    char empty[] = "";
    if (!reserve(l, err))
        return false;
    for (size_t r = 0; r < out->items; r++) {
        struct item_text *t = &l->texts[r];
        if (!add_words(l, t->bytes ? t->bytes : empty, err))
            return false;
        out->first[2 * r + 1] = out->words;
        if (!add_words(l, t->bytes ? t->bytes + t->title + 1 : empty, err))
            return false;
        out->first[2 * r + 2] = out->words;
    }
    return true;
}

struct item_words *item_words_load(const struct version *version, struct store *store,
                                   const struct tokenizer *tokenizer, struct err *err)
{
    struct loading l = {.version = version, .tokenizer = tokenizer};
    struct store_txn txn = {0};
    size_t items = version->index->items;
    l.out = calloc(1, sizeof *l.out);
    l.texts = calloc(items + 1, sizeof *l.texts);
    text_init(&l.title, 1 << 20);
    text_init(&l.tags, 1 << 20);
    bool fine = l.out && l.texts;
    if (fine) {
        l.out->items = items;
        l.out->first = calloc(2 * items + 1, sizeof *l.out->first);
        fine = l.out->first != NULL;
    }
    if (!fine)
        err_set(err, ERR_SYSTEM, "no memory for the words of %zu items", items);
    fine = fine && store_begin(&txn, store, false, err);
    if (fine) {
        fine = catalogue_each(&txn, take_record, &l, err);
        store_abort(&txn);
    }
    fine = fine && encode_all(&l, err);
    for (size_t r = 0; l.texts && r < items; r++)
        free(l.texts[r].bytes);
    free(l.texts);
    text_release(&l.title);
    text_release(&l.tags);
    if (fine)
        return l.out;
    item_words_free(l.out);
    return NULL;
}

void item_words_free(struct item_words *words)
{
    if (!words)
        return;
    free(words->first);
    free(words->word_at);
    free(words->token);
    free(words);
}

size_t text_symbols(uint32_t *symbols, size_t most, const struct tokenizer *tokenizer,
                    const char *text, struct err *err)
{
    struct text spaced;
    text_init(&spaced, 1 << 20);
    for (const char *at = text; *at;) {
        at += strspn(at, " \t\n\r");
        size_t size = strcspn(at, " \t\n\r");
        if (size)
            text_addf(&spaced, " %.*s", (int)size, at);
        at += size;
    }
    size_t count =
        tokenizer_encode(symbols, most, tokenizer,
                         tokenizer_within(tokenizer, spaced.bytes ? spaced.bytes : ""), err);
    text_release(&spaced);
    for (size_t i = 0; i < count; i++)
        symbols[i] += TOKEN;
    return count;
}
