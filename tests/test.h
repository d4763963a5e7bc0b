/* test.h: what every test includes: cmocka in its order, and scratch folders. */
#ifndef TESTS_TEST_H
#define TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEST(name) cmocka_unit_test(name)

/* Prints the error that should not be. */
#define assert_fine(condition, err)                                                                \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail_msg("%s: %s", #condition, (err).text);                                            \
    } while (0)

#define assert_says(err, words)                                                                    \
    do {                                                                                           \
        if (!strstr((err).text, words))                                                            \
            fail_msg("expected '%s' in '%s'", words, (err).text);                                  \
    } while (0)

/* A fresh folder under the build tree. */
static inline char *scratch_folder(const char *name)
{
    static char path[512];
    char command[1100];
    snprintf(path, sizeof path, "%s/scratch-%s-%d", SCRATCH, name, (int)getpid());
    snprintf(command, sizeof command, "rm -rf '%s' && mkdir -p '%s'", path, path);
    assert_int_equal(system(command), 0);
    return path;
}

static inline void scratch_drop(const char *path)
{
    char command[600];
    snprintf(command, sizeof command, "rm -rf '%s'", path);
    assert_int_equal(system(command), 0);
}

static inline void write_file(const char *folder, const char *name, const char *text)
{
    char path[600];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

#endif
