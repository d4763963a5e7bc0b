/*
 * export.h: the store back into the neutral form, so that what came in can go out.
 *
 * Writes items.jsonl, interactions.csv and conversations.jsonl into a folder; importing them into
 * an empty home gives the same items, events and dialogues.
 */
#ifndef DATA_EXPORT_H
#define DATA_EXPORT_H

#include "data/store.h"

struct export_counts {
    size_t items, events, dialogues;
};

bool export_all(struct export_counts *counts, struct store *store, const char *folder,
                struct err *err) MUST_CHECK;

#endif
