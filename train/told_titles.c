#include "train/told_titles.h"

#include "index/text_vectors.h"
#include "recommend/list.h"

#include <stdlib.h>
#include <string.h>

/* A title that the catalogue lacks becomes a vector; NO_ITEM: none of its words is known. */
static uint32_t extra_of(struct told_titles *t, const char *line, struct err *err)
{
    const struct item_index *index = t->snapshot->version->index;
    size_t dims = index->quantiser.dims;
    const struct document document = {.title = line, .text = ""};
    if (t->extras == t->room) {
        size_t room = 2 * t->room + 256;
        float *more = realloc(t->extra, room * dims * sizeof *more);
        if (!more) {
            err_set(err, ERR_SYSTEM, "no memory for %zu titles", room);
            return NO_ITEM;
        }
        t->extra = more;
        t->room = room;
    }
    float *vector = t->extra + t->extras * dims;
    memset(vector, 0, dims * sizeof *vector);
    if (!text_encode(vector, &index->coder, &document, err))
        return NO_ITEM;
    for (size_t d = 0; d < index->coder.dims; d++)
        if (vector[d] != 0)
            return (uint32_t)(index->items + t->extras++);
    return NO_ITEM;
}

/* The row that a whole line names: a name within another title is another thing. */
static uint32_t row_of_line(const struct told_titles *t, const char *line)
{
    struct title_hit hit;
    size_t size = strlen(line);
    uint32_t row = titles_named(t->titles, line, size);
    if (row == NO_ITEM && titles_loose(&hit, 1, t->titles, line) && hit.from == 0 && hit.to == size)
        row = hit.row;
    return row < t->snapshot->version->index->items ? row : NO_ITEM;
}

bool told_titles_read(uint32_t *list, struct told_titles *t, const json_t *lines, struct err *err)
{
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(lines) && count < TEACHER_RANKS; i++) {
        const char *line = json_string_value(json_array_get(lines, i));
        uint32_t row = line ? row_of_line(t, line) : NO_ITEM;
        t->known += row != NO_ITEM;
        if (line && row == NO_ITEM)
            row = extra_of(t, line, err);
        if (row != NO_ITEM && !numbers_hold(list, count, row))
            list[count++] = row;
    }
    return err->code == ERR_NONE;
}

void told_titles_free(struct told_titles *t)
{
    free(t->extra);
    *t = (struct told_titles){0};
}
