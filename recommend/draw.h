/* draw.h: rank by rank from the scored candidates: diversity and exploring; for slate.c alone. */
#ifndef RECOMMEND_DRAW_H
#define RECOMMEND_DRAW_H

#include "recommend/slate.h"

/* Takes request->n of work->candidates[count]; those taken leave it. */
void slate_draw(struct slate *slate, struct slate_work *work, const struct snapshot *snapshot,
                size_t count, const struct slate_request *request);

#endif
