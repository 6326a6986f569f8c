#include "node/gaps.h"

uint64_t gaps_note(struct gaps *gaps, enum topic_class class, const struct mk_header *header)
{
    if (!span_given(header->pub) || !header->ps)
        return 0;
    uint64_t key = span_hash(header->pub) + (uint64_t) class;
    struct gap_entry *entry = &gaps->entries[key % GAPS_PUBLISHERS];
    bool known = entry->key == key && entry->epoch == header->pe;
    if (entry->key == key && header->pe < entry->epoch)
        return 0;
    uint64_t lost = known && header->ps > entry->last ? header->ps - entry->last - 1 : 0;
    if (lost > GAP_MAX)
        lost = 0;
    uint64_t last = known && header->ps < entry->last ? entry->last : header->ps;
    *entry = (struct gap_entry){key, header->pe, last};
    return lost;
}
