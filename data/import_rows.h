/* import_rows.h: what the importers share; not for other rooms. */
#ifndef DATA_IMPORT_ROWS_H
#define DATA_IMPORT_ROWS_H

#include "data/import.h"
#include "data/lines.h"

#include <jansson.h>

/* Takes one line.  False with ERR_INPUT or ERR_LIMIT rejects the row, any other error ends the
 * import. */
typedef bool row_fn(void *self, const struct store_txn *txn, struct line *line,
                    struct import_counts *counts, struct err *err);

bool import_lines(struct import_counts *counts, const struct importer *importer, const char *path,
                  row_fn *fn, void *self, struct err *err) MUST_CHECK;

/* One item or one event, counted. */
bool import_item(struct import_counts *counts, const struct store_txn *txn, const char *id,
                 const json_t *record, struct err *err) MUST_CHECK;
bool import_event(struct import_counts *counts, const struct store_txn *txn,
                  const struct event *row,
                  struct err *err) MUST_CHECK; /* makes the key from the row itself */
bool import_dialogue(struct import_counts *counts, const struct store_txn *txn, const char *id,
                     const json_t *dialogue, struct err *err) MUST_CHECK;

/* "Heat (1995)" becomes {"title": "Heat", "attributes": {"year": 1995}}; without a year, title
 * alone. */
json_t *record_from_titled_year(const char *text);

#endif
