/*
 * json.h: jansson, with errors that name the field, what was expected and what was found.
 *
 * Every getter leaves *out alone when the field is absent or null, so the caller's default stays.
 * A field of the wrong type is ERR_INPUT.  json_fields() refuses names that nobody reads.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/err.h"

#include <jansson.h>
#include <stdint.h>

/* Strict: duplicate keys, bad UTF-8, NaN and anything after the value are refused. */
json_t *json_parse(const char *bytes, size_t size, const char *what, struct err *err) MUST_CHECK;

/*
 * A file of JSON, at most JSON_FILE_MAX bytes; one that is not JSON is ERR_FORMAT.  Writing is
 * atomic, `flags` are jansson's.
 */
enum { JSON_FILE_MAX = 1 << 22 };
json_t *json_read(const char *path, struct err *err) MUST_CHECK;
bool json_write(const char *path, const json_t *value, size_t flags, struct err *err) MUST_CHECK;

const char *json_kind(const json_t *value);
bool json_fields(const json_t *object, const char *const *names, size_t count,
                 struct err *err) MUST_CHECK;
bool json_text(const char **out, const json_t *object, const char *name,
               struct err *err) MUST_CHECK;
bool json_size(size_t *out, const json_t *object, const char *name, size_t least, size_t most,
               struct err *err) MUST_CHECK;
bool json_real64(double *out, const json_t *object, const char *name, double least, double most,
                 struct err *err) MUST_CHECK;
bool json_flag(bool *out, const json_t *object, const char *name, struct err *err) MUST_CHECK;
bool json_list(json_t **out, const json_t *object, const char *name, struct err *err) MUST_CHECK;

#endif
