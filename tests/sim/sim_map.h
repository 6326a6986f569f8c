/* A map from bytes to pointers for the simulator's bookkeeping, iterated in the order of insertion, so that a run never
 * depends on addresses. Keys are copied; nothing is ever removed. Memory comes from the simulator and goes with it. */
#ifndef MEERKAT_TESTS_SIM_MAP_H
#define MEERKAT_TESTS_SIM_MAP_H

#include "node/core/span.h"

struct sim;

struct map_entry {
    struct span key;
    uint64_t hash;
    void *value;
};

struct map {
    struct map_entry *entries; /* in order of insertion */
    size_t count, room;
    uint32_t *slots; /* index + 1 into entries; 0: empty. Power of two, at least twice the room */
    size_t slot_count;
};

void *map_get(const struct map *map, struct span key); /* NULL when absent */
void map_put(struct sim *s, struct map *map, struct span key, void *value);

/* Keys of two parts, "session/name": borrowed until the next call with the same storage. */
struct map_key {
    char text[256];
};
struct span map_key2(struct map_key *storage, struct span first, struct span second);
struct span map_key3(struct map_key *storage, struct span first, uint64_t second, uint64_t third);

#endif
