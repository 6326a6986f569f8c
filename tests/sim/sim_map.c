#include "tests/sim/sim_map.h"

#include <stdio.h>

#include "tests/sim/sim.h"

static uint32_t *slot_of(const struct map *map, struct span key, uint64_t hash)
{
    for (size_t i = (size_t)hash;; i++) {
        uint32_t *slot = &map->slots[i & (map->slot_count - 1)];
        if (!*slot || (map->entries[*slot - 1].hash == hash && span_equal(map->entries[*slot - 1].key, key)))
            return slot;
    }
}

static void grow(struct sim *s, struct map *map)
{
    size_t room = map->room ? 2 * map->room : 32;
    struct map bigger = {.count = map->count, .room = room, .slot_count = 2 * room};
    bigger.entries = sim_alloc(s, room * sizeof *bigger.entries);
    bigger.slots = sim_alloc(s, bigger.slot_count * sizeof *bigger.slots);
    for (size_t i = 0; i < map->count; i++) {
        bigger.entries[i] = map->entries[i];
        *slot_of(&bigger, map->entries[i].key, map->entries[i].hash) = (uint32_t)i + 1;
    }
    *map = bigger;
}

void *map_get(const struct map *map, struct span key)
{
    if (!map->count)
        return NULL;
    uint32_t slot = *slot_of(map, key, span_hash(key));
    return slot ? map->entries[slot - 1].value : NULL;
}

void map_put(struct sim *s, struct map *map, struct span key, void *value)
{
    if (map->count == map->room)
        grow(s, map);
    uint64_t hash = span_hash(key);
    uint32_t *slot = slot_of(map, key, hash);
    if (!*slot) {
        map->entries[map->count] = (struct map_entry){sim_copy(s, key), hash, NULL};
        *slot = (uint32_t)++map->count;
    }
    map->entries[*slot - 1].value = value;
}

struct span map_key2(struct map_key *storage, struct span first, struct span second)
{
    int n = snprintf(storage->text, sizeof storage->text, "%.*s/%.*s", SPAN_ARGS(first), SPAN_ARGS(second));
    return (struct span){storage->text, (size_t)n < sizeof storage->text ? (size_t)n : sizeof storage->text - 1};
}

struct span map_key3(struct map_key *storage, struct span first, uint64_t second, uint64_t third)
{
    int n = snprintf(storage->text, sizeof storage->text, "%.*s/%llu/%llu", SPAN_ARGS(first),
                     (unsigned long long)second, (unsigned long long)third);
    return (struct span){storage->text, (size_t)n < sizeof storage->text ? (size_t)n : sizeof storage->text - 1};
}
