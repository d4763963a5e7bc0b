/*
 * err.h: what went wrong, told once, by whoever saw it first.
 *
 * A function that can fail takes a `struct err *` last and returns false (or NULL).  The text is
 * one line, complete enough to print as it is, and says what was expected and what was found.
 * The first failure stays: clean-up code may call err_set() again without hiding the cause.
 *
 * Bugs are not errors.  A broken promise between two functions of ours is an assert(), which stays
 * on in release builds.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdbool.h>
#include <stddef.h>

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF(text_at, first_at) __attribute__((format(printf, text_at, first_at)))
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum err_code {
    ERR_NONE,
    ERR_INPUT,   /* the caller's fault: bad flag, bad request                -> exit 2, HTTP 4xx */
    ERR_MISSING, /* what was named is not there                              -> exit 2, HTTP 404 */
    ERR_LIMIT,   /* a configured limit was reached                           -> exit 1, HTTP 4xx */
    ERR_FORMAT,  /* a file is not what its header says                       -> refuse to start */
    ERR_FULL,    /* the disk or the store's map is full                      -> HTTP 507 */
    ERR_SYSTEM,  /* the OS said no; the text carries strerror()              -> HTTP 500 */
};

struct err {
    enum err_code code;
    char text[400];
};

static inline bool err_is_false(void)
{
    return false;
}

/*
 * Records the first failure.  err_set() is always false, so `return err_set(...)` ends a function;
 * it is a macro so that compilers and analysers see that.
 */
void err_record(struct err *err, enum err_code code, const char *format, ...) PRINTF(3, 4);
#define err_set(err, code, ...) (err_record(err, code, __VA_ARGS__), err_is_false())

/* Puts `prefix: ` before the recorded text: where it happened, added by who knows it.  False too.
 */
void err_place(struct err *err, const char *format, ...) PRINTF(2, 3);
#define err_prefix(err, ...) (err_place(err, __VA_ARGS__), err_is_false())

#endif
