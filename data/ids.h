/*
 * ids.h: names that others gave to items, users and events.
 *
 * An id is 1 to ID_SIZE_MAX bytes of UTF-8 in normal form NFC without control characters; it is
 * opaque and case-sensitive.  Two spellings of one accented letter are one id.
 */
#ifndef DATA_IDS_H
#define DATA_IDS_H

#include "base/err.h"

#include <stdint.h>

enum { ID_SIZE_MAX = 256, EVENT_KEY_SIZE = 16 };

/* Writes the normal form and its final 0; `what` names the field in the error. */
bool id_normalise(char id[ID_SIZE_MAX + 1], const char *bytes, size_t size, const char *what,
                  struct err *err) MUST_CHECK;

/* 16 bytes that stand for a text (XXH3-128): equal texts, equal keys. */
void event_key(unsigned char key[EVENT_KEY_SIZE], const char *bytes, size_t size);

/* `prefix` and a UUIDv7 (RFC 9562) without dashes: rises with time. */
void id_make(char *id, size_t room, const char *prefix);

#endif
