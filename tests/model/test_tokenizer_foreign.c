/*
 * Foreign tokenizers give the tokens that the reference gives (huggingface/tokenizers 0.23; the
 * numbers below are what it printed for the three files beside this one), keep them when a version
 * holds them, and are refused by name when they are broken.  tests/peers/tokenizer.py compares on
 * 10,000 texts a kind of pipeline.
 */
#include "tests/model/gguf_file.h"

#include "base/files.h"
#include "base/rng.h"
#include "model/tokenizer.h"

#include <pthread.h>

enum { TOKENS = 64 };

static struct tokenizer *open_foreign(const char *name, size_t marks_at)
{
    struct err err = {0};
    char path[PATH_SIZE];
    assert_fine(path_make(path, &err, "%s/tokenizer_%s.json", FIXTURES, name), err);
    struct tokenizer *t = tokenizer_read_foreign(path, marks_at, &err);
    assert_fine(t, err);
    return t;
}

struct example {
    const char *text, *decoded;
    uint32_t tokens[16];
    size_t count;
};

#define E(text, decoded, ...)                                                                      \
    {                                                                                              \
        text, decoded, {__VA_ARGS__}, sizeof((uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t)         \
    }

/* Byte-level, merges as "a b", digits apart, added tokens with white space and as single words. */
static const struct example BYTES[] = {
    E("low lower lowest", "low lower lowest", 26, 30, 33),
    E("new's 12", "new's 12", 35, 38, 1, 6, 7),
    E("slow low, low", "slow low low", 13, 26, 1, 26, 1, 26),
    E("  low", "  low", 1, 1, 26),
    E("ow \n<new line>  new<|end|>low", "ow<new line>newlow", 11, 15, 41, 35, 0, 26),
    E("\xc3\xa9\xf0\x9f\x8e\xac", "\xc3\xa9\xf0\x9f\x8e\xac", 37, 39, 20, 21),
    E("l\xff\xf0\x9fo", "l\xef\xbf\xbd\xef\xbf\xbdo", 9, 22, 23, 24, 22, 23, 24, 11),
};

/* Byte-level, merges as ["a", "b"], Llama-3's pattern, NFC, ignore_merges. */
static const struct example SPLIT[] = {
    E(" the the", " the the", 23, 23),
    E("hi'S 1231", "hi'S 1231", 24, 25, 0, 26, 7),
    E("abab", "abab", 31),
    E("\n\n\n e", "\n\n\n e", 32, 1, 0, 12),
    E("e\xcc\x81\xe6\x97\xa5", "\xc3\xa9\xe6\x97\xa5", 28, 30),
    E("the<|eot|>e\xcc\x81"
      "e\xcc\x81",
      "the\xc3\xa9\xc3\xa9", 15, 22, 34, 35),
    E("eeee", "eeee", 12, 12, 12, 12),
};

/* SentencePiece's way: a space before the text, U+2581 for spaces, bytes for what has no token. */
static const struct example PIECES[] = {
    E("hello world", "hello world", 272, 277),
    E(" hello", " hello", 259, 272),
    E("h\xc3\xa9 \xe6\x97\xa5", "h\xc3\xa9 \xe6\x97\xa5", 268, 267, 259, 233, 154, 168),
    E("hello</s>world", "hello world", 272, 2, 277),
    E("hel  lo\xf0\x9f", "hel  lo\xef\xbf\xbd", 271, 278, 270, 242, 194, 192),
};

static void assert_examples(const struct tokenizer *t, const struct example *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t tokens[TOKENS];
        struct err err = {0};
        struct text text;
        size_t found = tokenizer_encode(tokens, TOKENS, t, list[i].text, &err);
        assert_int_equal(err.code, ERR_NONE);
        assert_int_equal(found, list[i].count);
        assert_memory_equal(tokens, list[i].tokens, found * sizeof *tokens);
        assert_int_equal(tokenizer_encode(tokens, 2, t, list[i].text, &err),
                         found < 2 ? found : 2); /* the rest is left out */
        text_init(&text, 4096);
        tokenizer_decode(&text, t, list[i].tokens, found, true);
        assert_string_equal(text.bytes, list[i].decoded);
        text_release(&text);
    }
}

static const struct {
    const char *name;
    const struct example *list;
    size_t count, size; /* its own tokens */
} FILES[] = {{"bytes", BYTES, COUNT(BYTES), 42},
             {"split", SPLIT, COUNT(SPLIT), 36},
             {"pieces", PIECES, COUNT(PIECES), 279}};

static void tokens_are_those_of_the_reference(void **state)
{
    uint32_t token;
    struct err err = {0};
    (void)state;
    for (size_t i = 0; i < COUNT(FILES); i++) {
        struct tokenizer *t = open_foreign(FILES[i].name, 0);
        assert_int_equal(tokenizer_marks(t), FILES[i].size);
        assert_int_equal(tokenizer_size(t), FILES[i].size + MARKS);
        assert_examples(t, FILES[i].list, FILES[i].count);
        assert_int_equal(tokenizer_encode(&token, 1, t, "", &err), 0);
        tokenizer_free(t);
    }
}

/* A version's file: the same tokens, the marks where the model has them, never found in text. */
static void a_version_holds_it_with_the_marks(void **state)
{
    struct err err = {0};
    char path[PATH_SIZE];
    (void)state;
    const char *folder = scratch_folder("foreign");
    assert_fine(path_make(path, &err, "%s/tokenizer.json", folder), err);
    for (size_t i = 0; i < COUNT(FILES); i++) {
        struct tokenizer *t = open_foreign(FILES[i].name, 320);
        assert_fine(tokenizer_write(t, path, &err), err);
        struct tokenizer *again = tokenizer_read(path, &err);
        assert_fine(again, err);
        assert_int_equal(tokenizer_marks(again), 320);
        assert_int_equal(tokenizer_size(again), 320 + MARKS);
        assert_examples(again, FILES[i].list, FILES[i].count);
        uint32_t tokens[TOKENS];
        size_t count = tokenizer_encode(tokens, TOKENS, again, "<list>low<item>", &err);
        for (size_t k = 0; k < count; k++)
            assert_true(tokens[k] < FILES[i].size);
        struct text text;
        text_init(&text, 4096);
        tokenizer_decode(&text, again,
                         (uint32_t[]){320, FILES[i].list[0].tokens[0], 320 + MARK_END, 319, 99999},
                         5, true);
        assert_true(text.size > 0 && !strchr(text.bytes, '<'));
        text_release(&text);
        tokenizer_free(t);
        tokenizer_free(again);
    }
    scratch_drop(folder);
}

/* ---- what is refused ---- */

static char *fixture(const char *name, size_t *size)
{
    struct err err = {0};
    char path[PATH_SIZE];
    assert_fine(path_make(path, &err, "%s/tokenizer_%s.json", FIXTURES, name), err);
    char *bytes = file_read(path, 1 << 20, size, &err);
    assert_fine(bytes, err);
    return bytes;
}

/* A fixture with other words in one place; NULL: it is refused. */
static struct tokenizer *read_changed(const char *name, const char *find, const char *put,
                                      struct err *bad)
{
    struct err err = {0};
    char path[PATH_SIZE];
    size_t size;
    struct text text;
    char *bytes = fixture(name, &size);
    const char *at = strstr(bytes, find);
    assert_non_null(at);
    text_init(&text, 1 << 20);
    text_add(&text, bytes, (size_t)(at - bytes));
    text_addf(&text, "%s%s", put, at + strlen(find));
    const char *folder = scratch_folder("foreign-bad");
    assert_fine(path_make(path, &err, "%s/tokenizer.json", folder), err);
    assert_fine(file_write_atomic(path, text.bytes, text.size, &err), err);
    struct tokenizer *t = tokenizer_read_foreign(path, 0, bad);
    text_release(&text);
    free(bytes);
    scratch_drop(folder);
    return t;
}

static void refused_file(const char *name, const char *find, const char *put, const char *says)
{
    struct err bad = {0};
    assert_null(read_changed(name, find, put, &bad));
    assert_says(bad, says);
    assert_says(bad, "tokenizer.json");
    assert_true(bad.code == ERR_FORMAT || bad.code == ERR_LIMIT);
}

/* A step that leaves ASCII as it is stands between two that write. */
static void steps_do_not_write_where_they_read(void **state)
{
    struct err err = {0};
    (void)state;
    struct tokenizer *t = read_changed("pieces", "\"type\": \"Replace\",",
                                       "\"type\": \"NFC\"}, {\"type\": \"Replace\",", &err);
    assert_fine(t, err);
    assert_examples(t, PIECES, COUNT(PIECES));
    tokenizer_free(t);
}

/* Words that go on after others, and letters of many bytes in a row. */
static void pieces_of_a_text_go_on(void **state)
{
    enum { LETTERS = 40, ROOM = 3 * LETTERS + 2 };
    static const char letter[] = "\xe6\x97\xa5";
    struct err err = {0};
    char many[3 * LETTERS + 1] = "";
    uint32_t tokens[ROOM];
    struct text text;
    (void)state;
    struct tokenizer *t = open_foreign("pieces", 0);
    assert_int_equal(tokenizer_encode(tokens, ROOM, t, tokenizer_within(t, " hello"), &err), 1);
    assert_int_equal(tokens[0], 272);
    text_init(&text, 4096);
    tokenizer_decode(&text, t, tokens, 1, false);
    assert_string_equal(text.bytes, " hello");
    for (size_t i = 0; i < LETTERS; i++)
        memcpy(many + 3 * i, letter, 4);
    text_reset(&text);
    size_t count = tokenizer_encode(tokens, ROOM, t, many, &err);
    assert_true(count > 3 * LETTERS);
    tokenizer_decode(&text, t, tokens, count, true);
    assert_string_equal(text.bytes, many);
    text_release(&text);
    tokenizer_free(t);
}

static void what_is_wrong_is_named(void **state)
{
    struct err err = {0};
    struct err bad = {0};
    char path[PATH_SIZE];
    (void)state;
    refused_file("bytes", "\"BPE\"", "\"Unigram\"", "model: expected BPE, found Unigram");
    refused_file("bytes", "\"l o\"", "\"l x\"", "merge 0: expected two tokens and what they make");
    refused_file("bytes", "\"l o\"", "\"l s\"", "merge 0");
    refused_file("bytes", "\"l o\"", "\"l\"", "merge 0: expected \"left right\" or two texts");
    refused_file("bytes", "\"l o\"", "[\"l\", 7]", "merge 0");
    refused_file("bytes", "\"l o\"", "[\"\", \"lo\"]", "merge 0");
    refused_file("bytes", "\"low\": 26", "\"low\": 25", "has number 25, as another one");
    refused_file("bytes", "\"low\": 26", "\"low\": -1", "token low: expected a number below");
    refused_file("bytes", "\"low\": 26", "\"low\": 99999999999", "expected a number below 1048576");
    refused_file("bytes", "\"low\": 26", "\"lo\": 26", "not JSON: duplicate object key");
    refused_file("bytes", "\"low\": 26", "\"<item>\": 26", "merge 1");
    char *blown = malloc(5010);
    assert_non_null(blown);
    snprintf(blown, 5010, "\"%04999d\": 26", 0);
    refused_file("bytes", "\"low\": 26", blown, "token 26 has 4999 bytes, expected at most 4096");
    free(blown);
    refused_file("bytes", "\"<new line>\"", "\"<item>\"", "a token is called <item>, as a mark");
    refused_file("bytes", "\"id\": 41", "\"id\": 26", "number 26 is another one's");
    refused_file("bytes", "\"id\": 41", "\"id\": 1048576", "expected content and an id below");
    refused_file("bytes", "\"Digits\"", "\"UnicodeScripts\"", "found 'UnicodeScripts'");
    refused_file("bytes", "\"individual_digits\": true", "\"individual_digits\": 1",
                 "individual_digits: expected true or false");
    refused_file("bytes", "\"continuing_subword_prefix\": null",
                 "\"continuing_subword_prefix\": \"##\"", "'##' around subwords");
    refused_file("bytes", "\"dropout\": null", "\"dropout\": 0.5", "dropout");
    refused_file("bytes", "\"unk_token\": null", "\"unk_token\": \"?\"", "unk_token ?");
    refused_file("split", "\"NFC\"", "\"Precompiled\"", "normalizer: expected NFC");
    refused_file("split", "\\\\p{N}{1,3}", "\\\\p{Nonsense}", "pattern");
    refused_file("split", "\\\\p{N}{1,3}", "[\\\\p{N}&&[1]]", "a class within a class");
    refused_file("split", "\\\\p{N}{1,3}", "\\\\h", "\\h is not read here");
    refused_file("split", "\\\\p{N}{1,3}", "((((a{1,999}){1,999}){1,999}){1,999})", "pattern");
    refused_file("split", "\"Isolated\"", "\"Sideways\"", "behavior Sideways is not known");
    refused_file("pieces", "\"Strip\"", "\"WordPiece\"", "decoder: expected ByteLevel");
    refused_file("pieces", "\"prepend\": \"\xe2\x96\x81\"", "\"prepend\": 1", "prepend");
    assert_fine(path_make(path, &err, "%s/tokenizer_bytes.json", FIXTURES), err);
    assert_null(tokenizer_read_foreign(path, 41, &bad));
    assert_says(bad, "tokens up to 41, the model 41 rows: they do not fit");
    struct err none = {0};
    assert_null(tokenizer_read(path, &none)); /* holds no marks of ours */
    assert_says(none, "tokenizer_bytes.json: expected the mark <item>");
}

/* A byte bent or the file cut: refused with its name, or read and then used without harm. */
static void bend(const char *path, const char *bytes, size_t size, unsigned count, size_t *refused)
{
    char *bent = malloc(size);
    assert_non_null(bent);
    for (unsigned n = 0; n < count; n++) {
        struct err bad = {0};
        struct err none = {0};
        struct rng rng = rng_stream(7, n, size);
        uint32_t tokens[TOKENS];
        memcpy(bent, bytes, size);
        for (unsigned k = 0; k < n % 4; k++)
            bent[rng_below(&rng, size)] =
                (char)(n % 8 < 4 ? rng_u64(&rng) : 32 + rng_below(&rng, 95));
        FILE *out = fopen(path, "wb");
        size_t kept = n % 4 ? size : rng_below(&rng, size);
        assert_true(out && fwrite(bent, 1, kept, out) == kept);
        assert_int_equal(fclose(out), 0);
        struct tokenizer *t = tokenizer_read_foreign(path, 0, &bad);
        *refused += !t;
        if (!t) {
            assert_says(bad, "tokenizer");
            continue;
        }
        for (size_t i = 0; i < COUNT(BYTES); i++) {
            struct text text;
            size_t found = tokenizer_encode(tokens, TOKENS, t, BYTES[i].text, &none);
            for (size_t k = 0; k < found; k++)
                assert_true(tokens[k] < tokenizer_marks(t));
            text_init(&text, 4096);
            tokenizer_decode(&text, t, tokens, found, true);
            assert_true(!text.bytes || utf8_valid(text.bytes, text.size));
            text_release(&text);
        }
        tokenizer_free(t);
    }
    free(bent);
}

static void no_file_does_harm(void **state)
{
    struct err err = {0};
    char path[PATH_SIZE];
    size_t refused = 0;
    (void)state;
    const char *folder = scratch_folder("foreign-fuzz");
    assert_fine(path_make(path, &err, "%s/tokenizer.json", folder), err);
    for (size_t i = 0; i < COUNT(FILES); i++) {
        size_t size;
        char *bytes = fixture(FILES[i].name, &size);
        bend(path, bytes, size, 600, &refused);
        free(bytes);
    }
    assert_true(refused > 600 && refused < 1800);
    scratch_drop(folder);
}

/* ---- GGUF ---- */

static const char *const WORDS[] = {
    "<|end|>",     "\xc4\xa0",       "l",  "o", "w",     "1", "2", "lo", "low",
    "\xc4\xa0low", "\xc4\xa0lowlow", "12", "e", "<tool>"};
static const int32_t WORD_TYPES[] = {3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 4};
static const char *const WORD_MERGES[] = {"l o", "lo w", "\xc4\xa0 low", "1 2", "\xc4\xa0low low"};

static void put_texts(struct file *file, const char *key, const char *const *texts, size_t count)
{
    put_key(file, key, GGUF_LIST);
    put_u32(file, GGUF_TEXT);
    put_u64(file, count);
    for (size_t i = 0; i < count; i++)
        put_text(file, texts[i]);
}

static struct file byte_file(const char *model, const char *pre)
{
    struct file file = {.size = 0};
    put(&file, "GGUF", 4);
    put_u32(&file, 3);
    put_u64(&file, 0);
    put_u64(&file, 5);
    put_key(&file, "tokenizer.ggml.model", GGUF_TEXT);
    put_text(&file, model);
    put_key(&file, "tokenizer.ggml.pre", GGUF_TEXT);
    put_text(&file, pre);
    put_texts(&file, "tokenizer.ggml.tokens", WORDS, COUNT(WORDS));
    put_key(&file, "tokenizer.ggml.token_type", GGUF_LIST);
    put_u32(&file, GGUF_I32);
    put_u64(&file, COUNT(WORD_TYPES));
    put(&file, WORD_TYPES, sizeof WORD_TYPES);
    put_texts(&file, "tokenizer.ggml.merges", WORD_MERGES, COUNT(WORD_MERGES));
    return file;
}

static const char *const PARTS[] = {"<unk>",
                                    "\xe2\x96\x81",
                                    "a",
                                    "b",
                                    "ab",
                                    "\xe2\x96\x81"
                                    "a",
                                    "\xe2\x96\x81"
                                    "ab",
                                    "<0xC3>",
                                    "<0xA9>",
                                    "ba"};
static const float PART_SCORES[] = {0, -1, -2, -3, -10, -11, -12, 0, 0, -9};
static const int32_t PART_TYPES[] = {2, 1, 1, 1, 1, 1, 1, 6, 6, 1};

static struct file sentence_file(void)
{
    struct file file = {.size = 0};
    put(&file, "GGUF", 4);
    put_u32(&file, 2);
    put_u64(&file, 0);
    put_u64(&file, 4);
    put_key(&file, "tokenizer.ggml.model", GGUF_TEXT);
    put_text(&file, "llama");
    put_texts(&file, "tokenizer.ggml.tokens", PARTS, COUNT(PARTS));
    put_key(&file, "tokenizer.ggml.scores", GGUF_LIST);
    put_u32(&file, GGUF_F32);
    put_u64(&file, COUNT(PART_SCORES));
    put(&file, PART_SCORES, sizeof PART_SCORES);
    put_key(&file, "tokenizer.ggml.token_type", GGUF_LIST);
    put_u32(&file, GGUF_I32);
    put_u64(&file, COUNT(PART_TYPES));
    put(&file, PART_TYPES, sizeof PART_TYPES);
    return file;
}

static struct tokenizer *open_bytes(const char *folder, const struct file *file, size_t marks_at,
                                    struct err *err)
{
    char path[PATH_SIZE];
    assert_fine(path_make(path, err, "%s/tokenizer.gguf", folder), *err);
    assert_fine(file_write_atomic(path, file->bytes, file->size, err), *err);
    return tokenizer_read_foreign(path, marks_at, err);
}

static void assert_tokens(const struct tokenizer *t, const char *text, const char *expected)
{
    uint32_t tokens[TOKENS];
    struct err err = {0};
    struct text found;
    text_init(&found, 4096);
    size_t count = tokenizer_encode(tokens, TOKENS, t, text, &err);
    for (size_t i = 0; i < count; i++)
        text_addf(&found, i ? " %u" : "%u", tokens[i]);
    assert_string_equal(found.bytes ? found.bytes : "", expected);
    text_release(&found);
}

static void a_gguf_names_its_pipeline(void **state)
{
    struct err err = {0};
    (void)state;
    const char *folder = scratch_folder("foreign-gguf");
    static const struct {
        const char *pre, *tokens;
    } PRES[] = {
        {"smollm", "8 9 1 5 6 13 9 0 10"}, /* digits apart */
        {"gpt-2", "8 9 1 11 13 9 0 10"},   {"llama-bpe", "8 9 1 11 13 9 0 10"},
        {"qwen2", "8 9 1 5 6 13 9 0 10"},  {"default", "8 9 1 11 13 9 0 10"},
    };
    for (size_t i = 0; i < COUNT(PRES); i++) {
        struct file file = byte_file("gpt2", PRES[i].pre);
        struct tokenizer *t = open_bytes(folder, &file, 64, &err);
        assert_fine(t, err);
        assert_int_equal(tokenizer_marks(t), 64);
        assert_tokens(t, "low low 12<tool> low<|end|> lowlow", PRES[i].tokens);
        tokenizer_free(t);
    }
    /* by scores: "ba" (-9) before "ab" (-10); a byte for each byte of an unknown letter */
    struct file file = sentence_file();
    struct tokenizer *t = open_bytes(folder, &file, 0, &err);
    assert_fine(t, err);
    assert_tokens(t, "ab ab", "6 6");
    assert_tokens(t, "aba", "5 9");
    tokenizer_free(t);
    scratch_drop(folder);
}

static void a_gguf_is_refused_by_name(void **state)
{
    (void)state;
    const char *folder = scratch_folder("foreign-gguf-bad");
    struct err model = {0};
    struct err pre = {0};
    struct err merge = {0};
    struct err fit = {0};
    struct file file = byte_file("bert", "smollm");
    assert_null(open_bytes(folder, &file, 0, &model));
    assert_says(model,
                "tokenizer.gguf: tokenizer.ggml.model: expected gpt2 or llama, found 'bert'");
    file = byte_file("gpt2", "tekken");
    assert_null(open_bytes(folder, &file, 0, &pre));
    assert_says(pre, "found 'tekken'");
    file = byte_file("gpt2", "smollm");
    unsigned char *at = memmem(file.bytes, file.size, "l o", 3);
    assert_non_null(at);
    at[0] = 'x';
    assert_null(open_bytes(folder, &file, 0, &merge));
    assert_says(merge, "merge 0: expected two tokens and what they make, 'x' 'o'");
    file = byte_file("gpt2", "smollm");
    assert_null(open_bytes(folder, &file, 5, &fit));
    assert_says(fit, "tokens up to 13, the model 5 rows");
    scratch_drop(folder);
}

static void no_gguf_does_harm(void **state)
{
    struct err err = {0};
    char path[PATH_SIZE];
    size_t refused = 0;
    (void)state;
    const char *folder = scratch_folder("foreign-gguf-fuzz");
    assert_fine(path_make(path, &err, "%s/tokenizer.gguf", folder), err);
    struct file file = byte_file("gpt2", "smollm");
    bend(path, (const char *)file.bytes, file.size, 1000, &refused);
    file = sentence_file();
    bend(path, (const char *)file.bytes, file.size, 1000, &refused);
    assert_true(refused > 500 && refused < 2000);
    scratch_drop(folder);
}

/* ---- long texts and slow patterns ---- */

static void a_long_word_takes_no_longer(void **state)
{
    enum { LONG = 1 << 19 };
    struct err err = {0};
    char *text = malloc(LONG + 1);
    uint32_t *tokens = malloc(LONG * sizeof *tokens);
    (void)state;
    assert_true(text && tokens);
    struct tokenizer *t = open_foreign("bytes", 0);
    for (size_t i = 0; i < LONG; i++)
        text[i] = "lowest"[i % 6];
    text[LONG] = 0;
    size_t count = tokenizer_encode(tokens, LONG, t, text, &err);
    assert_int_equal(count, LONG / 6 * 2 + 1); /* low est low est ... lo */
    assert_true(tokens[0] == 26 && tokens[1] == 32);
    tokenizer_free(t);
    free(text);
    free(tokens);
}

static void a_slow_pattern_is_stopped(void **state)
{
    struct err err = {0};
    struct err slow = {0};
    char path[PATH_SIZE];
    char text[4096];
    uint32_t tokens[TOKENS];
    size_t size;
    (void)state;
    const char *folder = scratch_folder("foreign-slow");
    char *bytes = fixture("split", &size);
    char *at = strstr(bytes, "(?i:'s|'t|'re|'ve|'m|'ll|'d)");
    assert_non_null(at);
    memcpy(at, "(?:(?:e|ee|eee)+)+(?=1)     ", 28);
    assert_fine(path_make(path, &err, "%s/tokenizer.json", folder), err);
    assert_fine(file_write_atomic(path, bytes, size, &err), err);
    struct tokenizer *t = tokenizer_read_foreign(path, 0, &err);
    assert_fine(t, err);
    memset(text, 'e', sizeof text - 1);
    text[sizeof text - 1] = 0;
    assert_int_equal(tokenizer_encode(tokens, TOKENS, t, text, &slow), 0);
    assert_int_equal(slow.code, ERR_LIMIT);
    assert_says(slow, "a pattern of the tokenizer");
    tokenizer_free(t);
    free(bytes);
    scratch_drop(folder);
}

/* One tokenizer, many threads: nothing of it changes. */
static void *encode_often(void *self)
{
    const struct tokenizer *t = self;
    size_t wrong = 0;
    for (size_t i = 0; i < 50 * COUNT(SPLIT); i++) {
        const struct example *e = &SPLIT[i % COUNT(SPLIT)];
        struct err err = {0};
        uint32_t tokens[TOKENS];
        size_t count = tokenizer_encode(tokens, TOKENS, t, e->text, &err);
        wrong += count != e->count || memcmp(tokens, e->tokens, count * sizeof *tokens) != 0;
    }
    return (void *)(uintptr_t)wrong;
}

static void threads_share_it(void **state)
{
    pthread_t threads[4];
    struct tokenizer *t = open_foreign("split", 0);
    (void)state;
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, encode_often, t), 0);
    for (size_t i = 0; i < COUNT(threads); i++) {
        void *wrong;
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
    tokenizer_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tokens_are_those_of_the_reference),
        TEST(a_version_holds_it_with_the_marks),
        TEST(steps_do_not_write_where_they_read),
        TEST(pieces_of_a_text_go_on),
        TEST(what_is_wrong_is_named),
        TEST(no_file_does_harm),
        TEST(a_gguf_names_its_pipeline),
        TEST(a_gguf_is_refused_by_name),
        TEST(no_gguf_does_harm),
        TEST(a_long_word_takes_no_longer),
        TEST(a_slow_pattern_is_stopped),
        TEST(threads_share_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
