#include "node/core/member.h"

const char *member_phase_name(enum member_phase phase)
{
    static const char *const names[MEMBER_PHASE_COUNT] = {
        [MEMBER_WORKING] = "working", [MEMBER_DEAF] = "deaf", [MEMBER_DRAINING] = "draining"};
    return (size_t)phase < MEMBER_PHASE_COUNT ? names[phase] : "unknown";
}

uint64_t rendezvous(struct span node, uint32_t partition)
{
    return mix64(span_hash(node) ^ mix64(partition + 0x9e3779b97f4a7c15ull));
}

/* Of two nodes with the same weight the one with the greater name: a tie must not make two owners. */
static bool comes_before(const struct member *a, const struct member *b, uint32_t partition)
{
    struct span one = id_span(&a->who.node), other = id_span(&b->who.node);
    uint64_t x = rendezvous(one, partition), y = rendezvous(other, partition);
    if (x != y)
        return x > y;
    return strcmp(a->who.node.text, b->who.node.text) > 0;
}

static size_t find_record(const struct members *members, const struct member *record)
{
    size_t i = 0;
    while (i < members->count && (strcmp(members->list[i].who.node.text, record->who.node.text) != 0 ||
                                  members->list[i].expires_ms != record->expires_ms))
        i++;
    return i;
}

void members_take(struct members *members, const struct member *list, size_t count, uint64_t still_ms, uint64_t now_ms,
                  uint64_t store_ms)
{
    uint64_t changed_ms[MEMBERS_MAX];
    count = count < MEMBERS_MAX ? count : MEMBERS_MAX;
    for (size_t i = 0; i < count; i++) {
        size_t before = find_record(members, &list[i]);
        changed_ms[i] = before < members->count ? members->changed_ms[before] : now_ms;
    }
    for (size_t i = 0; i < count; i++) {
        members->list[i] = list[i];
        members->changed_ms[i] = changed_ms[i];
        members->still[i] = now_ms >= changed_ms[i] + still_ms;
    }
    members->count = count;
    members_look(members, now_ms, store_ms);
}

void members_unseen(struct members *members, uint64_t now_ms)
{
    for (size_t i = 0; i < members->count; i++)
        members->changed_ms[i] = now_ms;
}

static bool alive(const struct members *members, size_t i, uint64_t store_ms)
{
    return members->list[i].expires_ms > store_ms && !members->still[i];
}

bool members_look(struct members *members, uint64_t now_ms, uint64_t store_ms)
{
    enum member_phase wanted = MEMBER_DEAF;
    uint64_t set = 0;
    for (size_t i = 0; i < members->count; i++)
        if (alive(members, i, store_ms) && members->list[i].phase == MEMBER_WORKING)
            wanted = MEMBER_WORKING;
    members->candidates = 0;
    for (size_t i = 0; i < members->count; i++) {
        const struct member *member = &members->list[i];
        members->candidate[i] = alive(members, i, store_ms) && member->phase == wanted;
        if (!members->candidate[i])
            continue;
        members->candidates++;
        set += mix64(span_hash(id_span(&member->who.node))); /* a sum: the order of the list does not matter */
    }
    if (set == members->set)
        return false;
    members->set = set;
    members->since_ms = now_ms;
    return true;
}

void members_leaves(struct members *members, struct span node, struct span incarnation)
{
    for (size_t i = 0; i < members->count; i++) {
        struct member *member = &members->list[i];
        if (span_equal(id_span(&member->who.node), node) && span_is(incarnation, member->who.incarnation.text))
            member->phase = MEMBER_DRAINING;
    }
}

static bool is(const struct member *member, struct span node)
{
    return span_given(node) && span_equal(id_span(&member->who.node), node);
}

const struct member *members_wanted(const struct members *members, uint32_t partition, struct span except)
{
    const struct member *best = NULL;
    for (size_t i = 0; i < members->count; i++) {
        const struct member *member = &members->list[i];
        if (members->candidate[i] && !is(member, except) && (!best || comes_before(member, best, partition)))
            best = member;
    }
    return best;
}

static const struct member *find(const struct members *members, struct span node)
{
    for (size_t i = 0; i < members->count; i++)
        if (members->candidate[i] && is(&members->list[i], node))
            return &members->list[i];
    return NULL;
}

size_t members_rank(const struct members *members, uint32_t partition, struct span node, struct span except)
{
    const struct member *self = find(members, node);
    size_t rank = 0;
    for (size_t i = 0; self && i < members->count; i++)
        rank +=
            members->candidate[i] && !is(&members->list[i], except) && comes_before(&members->list[i], self, partition);
    return self ? rank : MEMBERS_MAX;
}

bool members_candidate(const struct members *members, struct span node)
{
    return find(members, node) != NULL;
}
