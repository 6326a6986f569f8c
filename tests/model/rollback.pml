/* A store that loses its tail: after a failover or a restore it is as it was at an earlier moment, or empty (a flush). No
 * protocol brings lost commits back. What is shown here is that nobody goes on as if nothing had happened (lesson L26):
 * who knows of the loss holds still, reports, and keeps in memory what the store has lost. For Spin; see run.py.
 *
 * What stands for what
 *   claim                redis/lua/claim.lua, and lease.c: take, differs
 *   commit               redis/lua/commit.lua, and commit.c: part_stands, part_out_of_sequence; call and verdict are one step
 *   renew                redis/lua/renew.lua, and lease.c: partition_taken
 *   hear                 lease.c: lease_heard, by one who may claim; a heartbeat is heard late, or never
 *   World                the copy that the store falls back to, the fall, a lease that runs out, a node that dies
 *
 * What is left out: lost replies, sessions, the outbox (partition.pml has them); the store's clock is a number above every
 * fence it was read for, and goes on over the fall: a fence is the store's time in microseconds, so this assumes that clocks
 * of a primary and its replica differ by less than an outage lasts. */

#ifndef NODES
#define NODES 2
#endif
#ifndef CLAIMS
#define CLAIMS 3 /* that change the owner */
#endif
#ifndef COMMITS
#define COMMITS 3 /* in one life of the store */
#endif

#define FENCE_RISES 1
#define ONE_WRITER  2
#define GOES_ON     3
#define HEARD       4
#define NOT_DROPPED 5
#ifndef CHECK
#define CHECK 0
#endif
#define must(property, condition) assert((CHECK != 0 && CHECK != property) || (condition))

#define FENCES_MAX 16

mtype:phase = {NONE, OWNED, SUSPENDED}

typedef Lease {
    bool expired;
    byte history, owner, incarnation, fence, sequence, began;
    byte before;            /* what the properties compare: the fence before this one; */
    byte chain[COMMITS + 1] /* and by commit the fence under which it was made */
}

typedef Node {
    mtype:phase phase = NONE;
    byte incarnation = 1;
    byte history, fence, committed;
    byte last; /* the fence of the last commit that it knows */
    byte heard_history, heard_fence, heard_sequence
}

Lease lease, copy;
Node node[NODES];
byte clock, claims, histories, i;
bool copied, fallen, died;
byte highest_fence;
byte writer[FENCES_MAX]; /* by fence: who has committed under it */

#define MINE(n)  (lease.owner == n + 1 && lease.incarnation == node[n].incarnation)
#define HOLDS(n) (MINE(n) && lease.fence == node[n].fence)
#define FREE     (lease.owner == 0 || lease.expired)
/* Whether the store has the last commit that the node was told of. */
#define HAS(n) (node[n].committed == 0 || (lease.history == node[n].history && lease.sequence >= node[n].committed && \
                                           lease.chain[node[n].committed] == node[n].last))

/* Owners spoke of another history, or of later commits. */
#define OTHER_STORE(n) \
    (node[n].heard_history != 0 && (node[n].heard_history != lease.history || node[n].heard_sequence > node[n].committed))

#ifdef MUTANT_NO_BEGAN
#define BEGAN_BEHIND(n) false
#else
#define BEGAN_BEHIND(n) (lease.began < node[n].committed)
#endif
#ifdef MUTANT_BEHIND_GOES_ON
#define FOLLOWS(n) true
#else
#define FOLLOWS(n) (lease.sequence == node[n].committed)
#endif

inline restore(to, from)
{
    to.expired = from.expired;
    to.history = from.history;
    to.owner = from.owner;
    to.incarnation = from.incarnation;
    to.fence = from.fence;
    to.sequence = from.sequence;
    to.began = from.began;
    to.before = from.before;
    i = 0;
    do
    :: i <= COMMITS -> to.chain[i] = from.chain[i]; i++
    :: else -> break
    od;
    i = 0
}

inline forget(n)
{
    node[n].phase = NONE;
    node[n].history = 0;
    node[n].fence = 0;
    node[n].committed = 0;
    node[n].last = 0
}

/* max(stored + 1, the store's time, heard + 1) */
inline next_fence(n)
{
    i = lease.fence + 1;
#ifndef MUTANT_NO_CLOCK
    if
    :: clock + 1 > i -> i = clock + 1
    :: else
    fi;
    if
    :: node[n].heard_fence + 1 > i -> i = node[n].heard_fence + 1
    :: else
    fi;
#endif
    clock = (i > clock -> i : clock)
}

inline claim(n)
{
    claims++;
    next_fence(n);
    must(FENCE_RISES, i > highest_fence);
    highest_fence = (i > highest_fence -> i : highest_fence);
    if
    :: lease.history == 0 -> histories++; lease.history = histories
    :: else
    fi;
    lease.before = lease.fence;
    lease.owner = n + 1;
    lease.incarnation = node[n].incarnation;
    lease.fence = i;
    lease.began = lease.sequence;
    lease.expired = false;
    node[n].history = lease.history;
    node[n].fence = i;
    node[n].committed = lease.sequence;
    node[n].last = (lease.sequence > 0 -> lease.chain[lease.sequence] : 0);
    node[n].phase = OWNED;
    i = 0;
#ifndef MUTANT_HEARD_IGNORED
    if
    :: OTHER_STORE(n) -> node[n].phase = SUSPENDED
    :: else
    fi;
#endif
    printf("store: fence %d for node %d.%d, sequence %d; it is %e\n", lease.fence, n + 1, node[n].incarnation, lease.sequence,
           node[n].phase)
}

/* One who looks only when a second owner has followed (or the former one was brought back by the fall, and then
 * another followed) is told of that one's beginning, and cannot know better. */
#ifdef MUTANT_SECOND_OWNER
#define SECOND_OWNER(n) false
#else
#define SECOND_OWNER(n) (lease.before != node[n].fence)
#endif

/* Another owner's fence began at commit lease.began: what this node was told is in the store, or it is not. */
inline partition_taken(n)
{
    if
    :: BEGAN_BEHIND(n) -> node[n].phase = SUSPENDED
    :: else ->
        must(NOT_DROPPED, HAS(n) || SECOND_OWNER(n));
        forget(n)
    fi;
    printf("node %d: another owner since commit %d; it is %e\n", n + 1, lease.began, node[n].phase)
}

inline commit(n)
{
    if
    :: !HOLDS(n) -> partition_taken(n)
    :: HOLDS(n) && FOLLOWS(n) ->
        must(GOES_ON, HAS(n));
        must(HEARD, !OTHER_STORE(n));
        must(ONE_WRITER, writer[lease.fence] == 0 || writer[lease.fence] == n + 1);
        writer[lease.fence] = n + 1;
        lease.sequence++;
        lease.chain[lease.sequence] = lease.fence;
        node[n].committed = lease.sequence;
        node[n].last = lease.fence;
        printf("store: commit %d of node %d.%d, fence %d\n", lease.sequence, n + 1, node[n].incarnation, lease.fence)
    :: else -> /* behind; ahead it cannot be: replies are not lost here */
        node[n].phase = SUSPENDED;
        printf("node %d: the store is behind; it is suspended\n", n + 1)
    fi
}

inline hear(n, m)
{
    node[n].heard_history = node[m].history;
    node[n].heard_fence = node[m].fence;
    node[n].heard_sequence = node[m].committed
}

#define NEWER(n, m) \
    (node[m].fence > node[n].heard_fence || (node[m].fence == node[n].heard_fence && node[m].committed > node[n].heard_sequence))

proctype Partition(byte n)
{
end:
    do
    :: d_step { node[n].phase == NONE && FREE && claims < CLAIMS -> claim(n) }
    :: d_step { node[n].phase == OWNED && lease.sequence < COMMITS && node[n].committed < COMMITS -> commit(n) }
    :: d_step { node[n].phase == OWNED && !HOLDS(n) -> partition_taken(n) } /* a renewal */
#if NODES > 1
    :: d_step { node[n].phase == NONE && node[1 - n].phase == OWNED && NEWER(n, (1 - n)) -> hear(n, (1 - n)) }
#endif
    :: d_step { node[n].phase != NONE && !died -> /* what it knew is lost: an operator is told by the others, or nobody */
                died = true; forget(n); node[n].incarnation++; node[n].heard_history = 0; node[n].heard_fence = 0;
                node[n].heard_sequence = 0; printf("node %d: dies\n", n + 1) }
    od
}

proctype World()
{
end:
    do
    :: d_step { !copied && !fallen -> copied = true; restore(copy, lease) }
    :: d_step { copied && !fallen -> fallen = true; restore(lease, copy); printf("store: falls back to commit %d\n", lease.sequence) }
    :: d_step { lease.owner != 0 && !lease.expired -> lease.expired = true }
    od
}

init
{
    atomic {
        byte n = 0;
        do
        :: n < NODES -> run Partition(n); n++
        :: else -> break
        od;
        run World()
    }
}
