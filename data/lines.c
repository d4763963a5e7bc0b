#include "data/lines.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

enum { CHUNK = 1 << 16 };

struct lines {
    char path[512];
    FILE *file;        /* owned; plain and .zst */
    gzFile gz;         /* owned; .gz */
    ZSTD_DStream *zst; /* owned */
    ZSTD_inBuffer packed;
    unsigned char packed_bytes[CHUNK];
    size_t zst_left; /* 0: the frame is complete */
    char chunk[CHUNK];
    size_t chunk_size, chunk_at;
    char *line; /* owned, LINE_MAX_SIZE + 1 */
    size_t number;
};

static bool ends_with(const char *path, const char *end)
{
    size_t a = strlen(path);
    size_t b = strlen(end);
    return a >= b && strcmp(path + a - b, end) == 0;
}

struct lines *lines_open(const char *path, struct err *err)
{
    struct lines *lines = calloc(1, sizeof *lines);
    if (!lines || !(lines->line = malloc(LINE_MAX_SIZE + 1))) {
        err_set(err, ERR_SYSTEM, "%s: no memory to read it", path);
        lines_close(lines);
        return NULL;
    }
    snprintf(lines->path, sizeof lines->path, "%s", path);
    if (ends_with(path, ".gz"))
        lines->gz = gzopen(path, "rb");
    else
        lines->file = fopen(path, "rb");
    if (ends_with(path, ".zst") && lines->file) {
        lines->zst = ZSTD_createDStream();
        lines->packed.src = lines->packed_bytes;
    }
    if ((lines->gz || lines->file) && (!ends_with(path, ".zst") || lines->zst))
        return lines;
    err_set(err, errno == ENOENT ? ERR_MISSING : ERR_SYSTEM, "%s: cannot open: %s", path,
            strerror(errno));
    lines_close(lines);
    return NULL;
}

void lines_close(struct lines *lines)
{
    if (!lines)
        return;
    if (lines->gz)
        gzclose(lines->gz);
    if (lines->file)
        fclose(lines->file);
    ZSTD_freeDStream(lines->zst);
    free(lines->line);
    free(lines);
}

static bool damaged(struct lines *lines, const char *why, struct err *err)
{
    return err_set(err, ERR_FORMAT, "%s: after line %zu: %s", lines->path, lines->number, why);
}

static bool fill_zst(struct lines *lines, struct err *err)
{
    ZSTD_outBuffer out = {lines->chunk, CHUNK, 0};
    while (out.pos == 0) {
        if (lines->packed.pos == lines->packed.size) {
            lines->packed.size = fread(lines->packed_bytes, 1, CHUNK, lines->file);
            lines->packed.pos = 0;
            if (lines->packed.size == 0) {
                if (lines->zst_left)
                    return damaged(lines, "the archive ends early", err);
                break;
            }
        }
        lines->zst_left = ZSTD_decompressStream(lines->zst, &out, &lines->packed);
        if (ZSTD_isError(lines->zst_left))
            return damaged(lines, ZSTD_getErrorName(lines->zst_left), err);
    }
    lines->chunk_size = out.pos;
    return out.pos > 0;
}

static bool fill(struct lines *lines, struct err *err)
{
    lines->chunk_at = lines->chunk_size = 0;
    if (lines->zst)
        return fill_zst(lines, err);
    if (lines->gz) {
        int got = gzread(lines->gz, lines->chunk, CHUNK);
        int code = 0;
        const char *why = gzerror(lines->gz, &code);
        if (got < 0 || code != Z_OK)
            return damaged(lines, why, err);
        lines->chunk_size = (size_t)got;
    } else {
        lines->chunk_size = fread(lines->chunk, 1, CHUNK, lines->file);
        if (ferror(lines->file))
            return damaged(lines, strerror(errno), err);
    }
    return lines->chunk_size > 0;
}

bool lines_next(struct line *line, struct lines *lines, struct err *err)
{
    bool any = false;
    *line = (struct line){.bytes = lines->line, .number = lines->number + 1};
    for (bool ended = false; !ended;) {
        if (lines->chunk_at == lines->chunk_size && !fill(lines, err))
            break;
        any = true;
        char *start = lines->chunk + lines->chunk_at;
        size_t left = lines->chunk_size - lines->chunk_at;
        char *newline = memchr(start, '\n', left);
        size_t take = newline ? (size_t)(newline - start) : left;
        lines->chunk_at += take + (newline != NULL);
        ended = newline != NULL;
        if (take > LINE_MAX_SIZE - line->size) {
            line->too_long = true;
            take = LINE_MAX_SIZE - line->size;
        }
        memcpy(lines->line + line->size, start, take);
        line->size += take;
    }
    if (!any || err->code != ERR_NONE)
        return false;
    if (line->size > 0 && lines->line[line->size - 1] == '\r')
        line->size--;
    lines->line[line->size] = 0;
    lines->number++;
    return true;
}

size_t csv_split(char **fields, size_t max, char *line)
{
    size_t count = 0;
    char *in = line;
    while (count < max) {
        char *out = in;
        bool quoted = *in == '"';
        fields[count++] = out;
        if (quoted)
            in++;
        while (*in && (quoted || *in != ',')) {
            if (quoted && *in == '"') {
                if (in[1] != '"') {
                    quoted = false;
                    in++;
                    continue;
                }
                in++;
            }
            *out++ = *in++;
        }
        bool more = *in == ',';
        *out = 0;
        if (!more)
            break;
        in++;
    }
    return count;
}
