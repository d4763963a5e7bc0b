#include "recommend/item_document.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct tag_writer {
    struct item_document *out;
    size_t used;
};

static void add_tag(struct tag_writer *writer, const char *format, ...) PRINTF(2, 3);

static void add_tag(struct tag_writer *writer, const char *format, ...)
{
    struct item_document *out = writer->out;
    size_t room = TAG_BYTES - writer->used;
    va_list args;
    va_start(args, format);
    int size = vsnprintf(out->bytes + writer->used, room, format, args);
    va_end(args);
    if (size < 0 || (size_t)size >= room || out->document.tag_count == TAGS_MAX)
        return; /* what does not fit adds little */
    out->tags[out->document.tag_count++] = out->bytes + writer->used;
    writer->used += (size_t)size + 1;
}

bool value_speaks(const char *value)
{
    size_t letters = 0;
    size_t digits = 0;
    for (const char *c = value; *c; c++) {
        digits += *c >= '0' && *c <= '9';
        letters += (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c & 0x80);
    }
    return letters > 2 * digits;
}

void item_document_make(struct item_document *out, const json_t *record)
{
    struct tag_writer writer = {.out = out};
    const char *title = json_string_value(json_object_get(record, "title"));
    const char *text = json_string_value(json_object_get(record, "text"));
    out->document = (struct document){title ? title : "", text ? text : "", out->tags, 0};
    const json_t *categories = json_object_get(record, "categories");
    for (size_t i = 0; i < json_array_size(categories); i++) {
        const char *name = json_string_value(json_array_get(categories, i));
        if (name)
            add_tag(&writer, "category=%s", name);
    }
    const char *key;
    json_t *value;
    json_object_foreach (json_object_get(record, "attributes"), key, value) {
        if (json_is_string(value) && json_string_length(value) <= 64)
            add_tag(&writer, "%s=%s", key, json_string_value(value));
        if (json_is_integer(value)) {
            add_tag(&writer, "%s=%lld", key, (long long)json_integer_value(value));
            add_tag(&writer, "%s~%lld", key, (long long)json_integer_value(value) / 10);
        }
    }
}
