/* encode.c: one text a line in, its tokens out, for tokenizer.py.  usage: encode TOKENIZER_JSON */
#include "model/tokenizer.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    static char line[1 << 16];
    static uint32_t tokens[1 << 16];
    struct err err = {0};
    struct tokenizer *t = argc > 1 ? tokenizer_read(argv[1], &err) : NULL;
    if (!t) {
        fprintf(stderr, "usage: encode TOKENIZER_JSON (%s)\n", err.text);
        return 2;
    }
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        size_t count = tokenizer_encode(tokens, sizeof tokens / sizeof *tokens, t, line, &err);
        for (size_t i = 0; i < count; i++)
            printf(i ? " %u" : "%u", tokens[i]);
        printf("\n");
    }
    tokenizer_free(t);
    return err.code != ERR_NONE;
}
