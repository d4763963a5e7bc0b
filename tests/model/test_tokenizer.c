/*
 * Text to tokens and back, what is learnt, and the file.  That other programs read the file the
 * same way is checked beside the reference tokenizer: tests/peers/tokenizer.py.
 */
#include "tests/test.h"

#include "base/files.h"
#include "base/rng.h"
#include "model/tokenizer.h"

#include <stdlib.h>

static const char *const TEXTS[] = {
    "low lower lowest",
    "new newer newest low",
    "wide wider widest new",
    "the lowest of the low",
    "Crème brûlée for the newest",
    "it's what they'll say: don't, 12 times",
};

static struct tokenizer *learn(size_t size, bool backwards)
{
    struct err err = {0};
    struct corpus *corpus = corpus_new(&err);
    assert_fine(corpus, err);
    for (size_t i = 0; i < COUNT(TEXTS); i++)
        assert_fine(corpus_add(corpus, TEXTS[backwards ? COUNT(TEXTS) - 1 - i : i], &err), err);
    struct tokenizer *t = tokenizer_train(corpus, size, 2, &err);
    assert_fine(t, err);
    corpus_free(corpus);
    return t;
}

static size_t encode(uint32_t *tokens, const struct tokenizer *t, const char *text)
{
    struct err err = {0};
    size_t count = tokenizer_encode(tokens, 256, t, text, &err);
    assert_int_equal(err.code, ERR_NONE);
    return count;
}

static void assert_round_trip(const struct tokenizer *t, const char *text, const char *expected)
{
    uint32_t tokens[256];
    struct text out;
    text_init(&out, 4096);
    tokenizer_decode(&out, t, tokens, encode(tokens, t, text), true);
    assert_string_equal(out.bytes ? out.bytes : "", expected);
    text_release(&out);
}

static void text_comes_back_in_lower_case(void **state)
{
    struct tokenizer *t = learn(600, false);
    (void)state;
    assert_round_trip(t, "The LOWEST of  the new\tones!", "the lowest of  the new\tones!");
    assert_round_trip(t, "", "");
    assert_round_trip(t, "   ", "   ");
    assert_round_trip(t, "日本語 и 🎬", "日本語 и 🎬");
    assert_round_trip(t, "e\xcc\x81", "\xc3\xa9"); /* NFC */
    assert_round_trip(t,
                      "a\xff"
                      "b\xc3",
                      "a\xef\xbf\xbd"
                      "b\xef\xbf\xbd"); /* broken bytes */
    tokenizer_free(t);
}

/* The commonest pairs are merged first; frequent words become one token. */
static void frequent_words_become_one_token(void **state)
{
    uint32_t tokens[256];
    struct tokenizer *t = learn(600, false);
    (void)state;
    assert_int_equal(encode(tokens, t, " low"), 1);
    assert_true(tokens[0] >= TOKENIZER_LEAST && tokens[0] < tokenizer_size(t));
    assert_true(encode(tokens, t, " zqx") == 4);
    assert_true(encode(tokens, t, " lowest") < 4);
    tokenizer_free(t);
}

static void the_order_of_the_texts_does_not_matter(void **state)
{
    uint32_t a[256];
    uint32_t b[256];
    struct tokenizer *one = learn(600, false);
    struct tokenizer *other = learn(600, true);
    (void)state;
    assert_int_equal(tokenizer_size(one), tokenizer_size(other));
    for (size_t i = 0; i < COUNT(TEXTS); i++) {
        size_t count = encode(a, one, TEXTS[i]);
        assert_int_equal(count, encode(b, other, TEXTS[i]));
        assert_memory_equal(a, b, count * sizeof *a);
    }
    tokenizer_free(one);
    tokenizer_free(other);
}

static void the_file_comes_back_and_a_bent_one_is_refused(void **state)
{
    uint32_t a[256];
    uint32_t b[256];
    struct err err = {0};
    char path[PATH_SIZE];
    const char *folder = scratch_folder("tokenizer");
    struct tokenizer *t = learn(600, false);
    (void)state;
    assert_fine(path_make(path, &err, "%s/tokenizer.json", folder), err);
    assert_fine(tokenizer_write(t, path, &err), err);
    struct tokenizer *again = tokenizer_read(path, &err);
    assert_fine(again, err);
    for (size_t i = 0; i < COUNT(TEXTS); i++) {
        size_t count = encode(a, t, TEXTS[i]);
        assert_int_equal(count, encode(b, again, TEXTS[i]));
        assert_memory_equal(a, b, count * sizeof *a);
    }
    size_t size;
    char *bytes = file_read(path, 1 << 22, &size, &err);
    assert_fine(bytes, err);
    size_t refused = 0;
    for (unsigned n = 0; n < 300; n++) { /* cut, or one byte bent */
        struct err bad = {0};
        size_t at = rng_mix(n) % size;
        char was = bytes[at];
        bytes[at] = (char)rng_mix(n + 1000);
        assert_fine(file_write_atomic(path, bytes, n % 2 ? size : at, &err), err);
        bytes[at] = was;
        struct tokenizer *bent = tokenizer_read(path, &bad);
        refused += !bent;
        assert_true(bent || strstr(bad.text, "tokenizer.json"));
        tokenizer_free(bent);
    }
    assert_true(refused >= 150);
    free(bytes);
    tokenizer_free(t);
    tokenizer_free(again);
    scratch_drop(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(text_comes_back_in_lower_case),
        TEST(frequent_words_become_one_token),
        TEST(the_order_of_the_texts_does_not_matter),
        TEST(the_file_comes_back_and_a_bent_one_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
