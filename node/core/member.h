/* Who is there, and who should own what: the members of the cluster as the store tells them, and rendezvous hashing
 * over them. Pure functions over a list; lease.c asks the store, handover.c moves partitions.
 *
 * Candidates are the members that are alive by the store's clock and working; while nobody works, those that are deaf.
 * A partition's wanted owner is the candidate with the highest rendezvous hash: when one comes or goes, only its share
 * moves. */
#ifndef MEERKAT_CORE_MEMBER_H
#define MEERKAT_CORE_MEMBER_H

#include "node/core/script.h"

#define MEMBERS_MAX 256 /* of one cluster; more are not looked at */

struct members {
    struct member list[MEMBERS_MAX];
    bool candidate[MEMBERS_MAX];      /* as of the last look */
    bool still[MEMBERS_MAX];          /* its expiry stands still: it is dead, whatever the store's clock says */
    uint64_t changed_ms[MEMBERS_MAX]; /* own clock: when the expiry was seen to change */
    size_t count, candidates;
    uint64_t set;      /* digest of the candidates' names */
    uint64_t since_ms; /* own clock: since when the set is this one */
};

/* The weight of a node for a partition: the highest wins. The same on every node, for ever: it is what makes them
 * agree. */
uint64_t rendezvous(struct span node, uint32_t partition);

/* What the store told just now. One whose record does not change for `still_ms`, by our clock, is dead. */
void members_take(struct members *members, const struct member *list, size_t count, uint64_t still_ms, uint64_t now_ms,
                  uint64_t store_ms);

/* Records were not to be seen for a while: none is known to stand. */
void members_unseen(struct members *members, uint64_t now_ms);

/* What a member said on the bus before the store told it: it leaves. Another incarnation's word does not count. */
void members_leaves(struct members *members, struct span node, struct span incarnation);

/* Who is a candidate at this time; true when the set is another one. */
bool members_look(struct members *members, uint64_t now_ms, uint64_t store_ms);

/* NULL: there is no candidate but `except` (a node id, may be absent). */
const struct member *members_wanted(const struct members *members, uint32_t partition, struct span except);

/* How many candidates come before `node`, not counting `except`; MEMBERS_MAX when it is no candidate. */
size_t members_rank(const struct members *members, uint32_t partition, struct span node, struct span except);

bool members_candidate(const struct members *members, struct span node);

#endif
