#include "data/ids.h"

#include "base/files.h"
#include "base/text.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>
#include <xxhash.h>

static bool plain_ascii(const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)bytes[i] < 0x20 || (unsigned char)bytes[i] >= 0x7f)
            return false;
    return true;
}

static bool id_normalise_unicode(char *id, const char *bytes, size_t size, const char *what,
                                 struct err *err)
{
    utf8proc_uint8_t *normal = NULL;
    utf8proc_ssize_t length =
        utf8proc_map((const utf8proc_uint8_t *)bytes, (utf8proc_ssize_t)size, &normal,
                     (utf8proc_option_t)(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
    bool fine = length > 0 && length <= ID_SIZE_MAX;
    if (!fine)
        err_set(err, ERR_INPUT, "%s: expected at most %d bytes of UTF-8 in NFC", what, ID_SIZE_MAX);
    for (utf8proc_ssize_t at = 0; fine && at < length;) {
        utf8proc_int32_t code;
        utf8proc_ssize_t step = utf8proc_iterate(normal + at, length - at, &code);
        if (step <= 0 || utf8proc_category(code) == UTF8PROC_CATEGORY_CC)
            fine = err_set(err, ERR_INPUT, "%s: control characters are not allowed", what);
        at += step;
    }
    if (fine) {
        memcpy(id, normal, (size_t)length);
        id[length] = 0;
    }
    free(normal);
    return fine;
}

bool id_normalise(char id[ID_SIZE_MAX + 1], const char *bytes, size_t size, const char *what,
                  struct err *err)
{
    if (size < 1 || size > ID_SIZE_MAX)
        return err_set(err, ERR_INPUT, "%s: expected 1 to %d bytes, found %zu", what, ID_SIZE_MAX,
                       size);
    if (plain_ascii(bytes, size)) {
        memcpy(id, bytes, size);
        id[size] = 0;
        return true;
    }
    if (!utf8_valid(bytes, size))
        return err_set(err, ERR_INPUT, "%s: not valid UTF-8", what);
    return id_normalise_unicode(id, bytes, size, what, err);
}

void event_key(unsigned char key[EVENT_KEY_SIZE], const char *bytes, size_t size)
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes, size));
    memcpy(key, canonical.digest, EVENT_KEY_SIZE);
}

void id_make(char *id, size_t room, const char *prefix)
{
    unsigned char bytes[16];
    char digits[33];
    uint64_t now = (uint64_t)now_ms();
    randombytes_buf(bytes, sizeof bytes);
    for (int i = 0; i < 6; i++)
        bytes[i] = (unsigned char)(now >> (8 * (5 - i)));
    bytes[6] = (unsigned char)((bytes[6] & 0x0f) | 0x70);
    bytes[8] = (unsigned char)((bytes[8] & 0x3f) | 0x80);
    hex_encode(digits, bytes, sizeof bytes);
    snprintf(id, room, "%s%s", prefix, digits);
}
