/* trained.h: the fixture's home, opened: store and snapshot of the version in production. */
#ifndef TESTS_RECOMMEND_TRAINED_H
#define TESTS_RECOMMEND_TRAINED_H

#include "tests/test.h"

#include "recommend/snapshot.h"

static struct store *store;
static struct snapshot *snapshot;

static inline int trained_open(void **state)
{
    struct err err = {0};
    char name[64];
    const struct store_settings settings = {.map_mib = 1024};
    (void)state;
    store = store_open(SCRATCH "/trained", &settings, false, &err);
    if (!store || !production_name(name, SCRATCH "/trained", &err))
        return -1;
    struct version *version = version_open(SCRATCH "/trained", name, store, SIZE_MAX, &err);
    snapshot = version ? snapshot_open(version, store, &err) : NULL;
    return snapshot ? 0 : -1;
}

static inline int trained_close(void **state)
{
    (void)state;
    snapshot_drop(snapshot);
    store_close(store);
    return 0;
}

#endif
