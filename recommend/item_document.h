/*
 * item_document.h: a catalogue record as the text and tags that index/ reads.
 *
 * Tags: category=NAME for each category; key=value for each short attribute; for whole numbers also
 * key~tens, so that films of one decade have something in common.
 */
#ifndef RECOMMEND_ITEM_DOCUMENT_H
#define RECOMMEND_ITEM_DOCUMENT_H

#include "index/text_vectors.h"

enum { TAGS_MAX = 128, TAG_BYTES = 8192 };

struct item_document {
    struct document document; /* title and text are borrowed from the record */
    const char *tags[TAGS_MAX];
    char bytes[TAG_BYTES];
};

void item_document_make(struct item_document *out, const json_t *record);

/* False for a value of digits and signs (a number of an article): it says nothing. */
bool value_speaks(const char *value);

#endif
