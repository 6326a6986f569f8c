/* The store: what the scripts do, and calls whose senders do not wait for them any more. */

#ifdef MUTANT_CLAIM_ONLY_RELEASED
#define FREE_TO_TAKE(by, life) (lease.owner == 0)
#else
#define FREE_TO_TAKE(by, life) (CLAIMABLE || (lease.owner == by && lease.incarnation == life))
#endif

/* `known`: the highest fence that the caller knows to be spent. */
#ifdef MUTANT_OWN_FENCE_STAYS
#define HAS_ONE(by, life, known) (lease.owner == by && lease.incarnation == life)
#else
#define HAS_ONE(by, life, known) (lease.owner == by && lease.incarnation == life && lease.fence > known)
#endif

inline store_claim(by, life, known)
{
    if
    :: HAS_ONE(by, life, known) /* a repeat changes nothing */
    :: else ->
        if
        :: FREE_TO_TAKE(by, life) && lease.fence + 1 == FENCES_MAX -> must(ROOM, false)
        :: FREE_TO_TAKE(by, life) && lease.fence + 1 < FENCES_MAX ->
#ifndef MUTANT_FENCE_STAYS
            lease.fence++;
            writer = 0;
#endif
            must(FENCE_RISES, lease.fence > highest_fence);
            highest_fence = lease.fence;
            holder = by;
            holder_incarnation = life;
            lease.owner = by;
            lease.incarnation = life;
            lease.expired = false;
#ifndef MUTANT_NO_BEGIN
            lease.began = lease.sequence;
#endif
            printf("store: fence %d for node %d.%d\n", lease.fence, by, life);
            q = 0;
            do
            :: q < COMMITS_MAX -> lease.digest[q] = 0; lease.skipped[q] = 0; q++
            :: else -> break
            od;
            q = 0
        :: else
        fi
    fi
}

inline store_release(by, life, under, upto)
{
    if
    :: lease.owner == by && lease.incarnation == life && lease.fence == under ->
        printf("store: released by node %d.%d\n", by, life);
        lease.owner = 0;
        lease.incarnation = 0;
        lease.expired = false;
        if
        :: upto > lease.published && upto <= lease.sequence -> lease.published = upto
        :: upto > lease.sequence -> lease.published = lease.sequence
        :: else
        fi
    :: else
    fi
}

#ifdef MUTANT_NO_CONDITION
#define KNOWN(s) false
#else
#define KNOWN(s) (stored_input[s] != ABSENT)
#endif

/* Judges the sections: an admission whose name is known is skipped. Then writes. */
inline store_write(by, life, under, number, what)
{
    must(NO_ZOMBIE, by == holder && life == holder_incarnation && under == highest_fence);
    must(ONE_WRITER, writer == 0 || writer == by);
    writer = by;
    bytes = EVENTS(what);
    s = 0;
    do
    :: s < SESSIONS ->
        if
        :: WHAT(what, s) == ADMIT && KNOWN(s) ->
            skipped = skipped | (1 << s);
            bytes = bytes & ~(15 << (4 * s))
        :: WHAT(what, s) == ADMIT && !KNOWN(s) ->
            admitted[s]++;
            must(ADMIT_ONCE, admitted[s] <= 1);
            stored_input[s] = ACTIVE;
            stored_events[s] = NUMBER(what, s)
        :: WHAT(what, s) == FINISH ->
            finished[s]++;
            must(ONCE, finished[s] <= 1);
            stored_input[s] = OVER;
            stored_events[s] = NUMBER(what, s)
        :: WHAT(what, s) == NOTHING
        fi;
        s++
    :: else -> break
    od;
    s = 0;
    outbox[number] = bytes;
    bytes = 0;
    lease.published = MARK(what);
    lease.sequence = number;
#ifndef MUTANT_NO_DIGEST
    lease.digest[number] = what + 1;
#endif
    lease.skipped[number] = skipped
}

#ifdef MUTANT_NO_FENCE
#define OWNER(by, life, under) (lease.owner == by && lease.incarnation == life)
#else
#define OWNER(by, life, under) (lease.owner == by && lease.incarnation == life && lease.fence == under)
#endif
#ifdef MUTANT_NO_SEQUENCE
#define FOLLOWS(number) true
#else
#define FOLLOWS(number) (lease.sequence + 1 == number)
#endif

/* -> verdict, stored, skipped */
inline store_commit(by, life, under, number, what)
{
    skipped = 0;
    if
    :: lease.owner == 0 -> verdict = FREE
    :: lease.owner != 0 && !OWNER(by, life, under) -> verdict = OTHER
    :: else ->
        if
        :: FOLLOWS(number) ->
            verdict = HELD;
            store_write(by, life, under, number, what)
        :: !FOLLOWS(number) && lease.sequence >= number && lease.digest[number] == what + 1 ->
            verdict = AGAIN;
            skipped = lease.skipped[number]
        :: else -> verdict = SEQUENCE
        fi
    fi;
    stored = lease.sequence;
    printf("store: commit %d of node %d.%d, fence %d: %e, sequence %d, mark %d\n", number, by, life, under, verdict, stored,
           lease.published)
}

inline keep_late(wire, what_kind, by, life, under, number, what)
{
    i = 0;
    do
    :: i < LATE_MAX && late[i].used -> i++
    :: else -> break
    od;
    assert(i < LATE_MAX);
    late[i].used = true;
    late[i].wired = wire;
    late[i].kind = what_kind;
    late[i].owner = by;
    late[i].incarnation = life;
    late[i].fence = under;
    late[i].sequence = number;
    late[i].bytes = what;
    i = 0
}

/* The last of them takes the empty place, so that one set of late calls is one state. */
inline forget_late(at)
{
    i = LATE_MAX - 1;
    do
    :: !late[i].used -> i--
    :: else -> break
    od;
    late[at].wired = late[i].wired;
    late[at].kind = late[i].kind;
    late[at].owner = late[i].owner;
    late[at].incarnation = late[i].incarnation;
    late[at].fence = late[i].fence;
    late[at].sequence = late[i].sequence;
    late[at].bytes = late[i].bytes;
    late[i].used = false;
    late[i].wired = false;
    late[i].kind = COMMIT;
    late[i].owner = 0;
    late[i].incarnation = 0;
    late[i].fence = 0;
    late[i].sequence = 0;
    late[i].bytes = 0;
    i = 0
}

/* Executes calls of those that wait for the answer. */
inline execute_claim(n)
{
    store_claim((n + 1), node[n].incarnation, node[n].heard);
    if
    :: MINE(n) ->
        node[n].fence = lease.fence;
        node[n].sequence = lease.sequence;
        node[n].committed = lease.sequence;
        node[n].published = lease.published;
        node[n].phase = CLAIMED
    :: else -> node[n].phase = NONE
    fi
}

inline execute_commit(n, k)
{
    store_commit((n + 1), node[n].incarnation, node[n].fence, node[n].flight[k].sequence, node[n].flight[k].bytes);
    node[n].flight[k].verdict = verdict;
    node[n].flight[k].stored = stored;
    node[n].flight[k].skipped = skipped;
    node[n].flight[k].state = ANSWERED;
    verdict = FREE;
    stored = 0;
    skipped = 0
}

inline execute_release(n)
{
    store_release((n + 1), node[n].incarnation, node[n].fence, node[n].committed);
    node[n].phase = RELEASED
}

#define WIRED(n, j) (late[j].wired && late[j].owner == n + 1)

proctype Store(byte n)
{
end:
    do
    :: d_step { node[n].phase == CLAIMING && !WIRED(n, 0) && !WIRED(n, 1) && !WIRED(n, 2) && !WIRED(n, 3) -> execute_claim(n) }
    :: d_step { EXECUTABLE(n, 0) -> execute_commit(n, 0) }
#if IN_FLIGHT > 1
    :: d_step { EXECUTABLE(n, 1) -> execute_commit(n, 1) }
#endif
    :: d_step { node[n].phase == RELEASING -> execute_release(n) }
    od
}
