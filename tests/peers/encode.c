/*
 * encode.c: texts in, their tokens out, a line each, for tokenizer.py.
 * usage: encode [-0] [-f] [-w OUT] [-t TIMES] FILE     a tokenizer.json, or a GGUF file
 *   -0  texts end in a zero byte, not at the line     -f  somebody else's, marks behind it
 *   -w  writes it as a version holds it               -t  encodes TIMES over and prints MB/s
 */
#include "base/files.h"
#include "model/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char text[1 << 24];
static uint32_t tokens[1 << 20];

static size_t encode_all(const struct tokenizer *t, size_t size, bool print, struct err *err)
{
    size_t total = 0;
    for (size_t at = 0; at < size; at += strlen(text + at) + 1) {
        size_t count = tokenizer_encode(tokens, sizeof tokens / sizeof *tokens, t, text + at, err);
        total += count;
        for (size_t i = 0; print && i < count; i++)
            printf(i ? " %u" : "%u", tokens[i]);
        if (print)
            printf("\n");
    }
    return total;
}

static void time_it(const struct tokenizer *t, size_t size, size_t times, struct err *err)
{
    double best = 1e9;
    size_t total = 0;
    for (size_t i = 0; i < times; i++) {
        double start = clock_s();
        total = encode_all(t, size, false, err);
        double seconds = clock_s() - start;
        best = seconds < best ? seconds : best;
    }
    printf("%.3f MB/s, %zu tokens\n", (double)size / best / 1e6, total);
}

int main(int argc, char **argv)
{
    struct err err = {0};
    bool zero = false;
    bool foreign = false;
    const char *out = NULL;
    size_t times = 0;
    for (int option; (option = getopt(argc, argv, "0fw:t:")) != -1;) {
        zero |= option == '0';
        foreign |= option == 'f';
        out = option == 'w' ? optarg : out;
        times = option == 't' ? strtoul(optarg, NULL, 10) : times;
    }
    const char *path = optind < argc ? argv[optind] : "";
    struct tokenizer *t =
        foreign ? tokenizer_read_foreign(path, 0, &err) : tokenizer_read(path, &err);
    if (!t || (out && !tokenizer_write(t, out, &err))) {
        fprintf(stderr, "usage: encode [-0] [-f] [-w OUT] [-t TIMES] FILE (%s)\n", err.text);
        return 2;
    }
    size_t size = fread(text, 1, sizeof text - 1, stdin);
    for (size_t i = 0; !zero && i < size; i++)
        text[i] = text[i] == '\n' ? 0 : text[i];
    if (times)
        time_it(t, size, times, &err);
    else
        encode_all(t, size, true, &err);
    tokenizer_free(t);
    if (err.code != ERR_NONE)
        fprintf(stderr, "%s\n", err.text);
    return err.code != ERR_NONE;
}
