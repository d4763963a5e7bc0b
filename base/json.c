#include "base/json.h"

#include "base/files.h"

#include <stdlib.h>
#include <string.h>

json_t *json_parse(const char *bytes, size_t size, const char *what, struct err *err)
{
    json_error_t why;
    json_t *value = json_loadb(bytes, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
    if (!value)
        err_set(err, ERR_INPUT, "%s: not JSON: %s (line %d, column %d)", what, why.text, why.line,
                why.column);
    return value;
}

json_t *json_read(const char *path, struct err *err)
{
    size_t size;
    char *text = file_read(path, JSON_FILE_MAX, &size, err);
    json_t *value = text ? json_parse(text, size, path, err) : NULL;
    if (text && !value)
        err->code = ERR_FORMAT;
    free(text);
    return value;
}

bool json_write(const char *path, const json_t *value, size_t flags, struct err *err)
{
    char *text = value ? json_dumps(value, flags) : NULL;
    bool fine = text ? file_write_atomic(path, text, strlen(text), err)
                     : err_set(err, ERR_SYSTEM, "%s: no memory for its JSON", path);
    free(text);
    return fine;
}

const char *json_kind(const json_t *value)
{
    static const char *const names[] = {"an object", "an array", "a string", "a whole number",
                                        "a number",  "true",     "false",    "null"};
    return value ? names[json_typeof(value)] : "nothing";
}

bool json_fields(const json_t *object, const char *const *names, size_t count, struct err *err)
{
    if (!json_is_object(object))
        return err_set(err, ERR_INPUT, "expected an object, found %s", json_kind(object));
    const char *name;
    json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)object, name, value) {
        size_t i = 0;
        while (i < count && strcmp(names[i], name) != 0)
            i++;
        if (i == count)
            return err_set(err, ERR_INPUT, "%.60s: unknown field", name);
    }
    return true;
}

static bool wrong(const char *name, const char *expected, const json_t *found, struct err *err)
{
    return err_set(err, ERR_INPUT, "%s: expected %s, found %s", name, expected, json_kind(found));
}

static bool absent(const json_t *value)
{
    return !value || json_is_null(value);
}

bool json_text(const char **out, const json_t *object, const char *name, struct err *err)
{
    const json_t *value = json_object_get(object, name);
    if (absent(value))
        return true;
    if (!json_is_string(value))
        return wrong(name, "a string", value, err);
    *out = json_string_value(value);
    return true;
}

bool json_size(size_t *out, const json_t *object, const char *name, size_t least, size_t most,
               struct err *err)
{
    const json_t *value = json_object_get(object, name);
    if (absent(value))
        return true;
    if (!json_is_integer(value))
        return wrong(name, "a whole number", value, err);
    json_int_t found = json_integer_value(value);
    if (found < 0 || (size_t)found < least || (size_t)found > most)
        return err_set(err, ERR_INPUT, "%s: expected %zu to %zu, found %lld", name, least, most,
                       (long long)found);
    *out = (size_t)found;
    return true;
}

bool json_real64(double *out, const json_t *object, const char *name, double least, double most,
                 struct err *err)
{
    const json_t *value = json_object_get(object, name);
    if (absent(value))
        return true;
    if (!json_is_number(value))
        return wrong(name, "a number", value, err);
    double found = json_number_value(value);
    if (!(found >= least && found <= most))
        return err_set(err, ERR_INPUT, "%s: expected %g to %g, found %g", name, least, most, found);
    *out = found;
    return true;
}

bool json_flag(bool *out, const json_t *object, const char *name, struct err *err)
{
    const json_t *value = json_object_get(object, name);
    if (absent(value))
        return true;
    if (!json_is_boolean(value))
        return wrong(name, "true or false", value, err);
    *out = json_is_true(value);
    return true;
}

bool json_list(json_t **out, const json_t *object, const char *name, struct err *err)
{
    json_t *value = json_object_get(object, name);
    if (absent(value))
        return true;
    if (!json_is_array(value))
        return wrong(name, "an array", value, err);
    *out = value;
    return true;
}
