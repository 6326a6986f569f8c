/* One partition as a cluster keeps it: lease, fence, commit, lost replies, take-over, hand-over. For Spin; `make model`
 * runs it. run.py beside this file says each property in words, and shows that every one fails on some mutant.
 *
 * The files             state.pml the state and the properties' names, store.pml what the scripts do, owner.pml what an owner
 *                       does, world.pml what nobody promised. This one puts them together.
 *
 * What stands for what
 *   store_claim         redis/lua/claim.lua
 *   store_commit        redis/lua/commit.lua: compare; store_write: judge, write
 *   store_release       redis/lua/release.lua
 *   Partition           a node: claiming what a look at the lease says is free (node/core/lease.c: claim, claimed, take), and
 *                       renewals that tell that it is another's (lease.c: renewed)
 *   partition_taken     lease.c; forget_partition: lease.c partition_drop with commit.c commits_forget_partition
 *   recover             node/core/recover.c: tail_page, then the records of both sessions
 *   add_section         what an input that arrives, or the end of a run, stages (session_admit.c, session_run.c)
 *   build, mark_of, resend, restage, part_stands, part_out_of_sequence, commit_verdict
 *                       node/core/commit.c, by these names; refused: commit_call_failed
 *   publish             turn.c: release_events; node/outgoing.c: outgoing_flush, tell_published
 *   SETTLING, RELEASING node/core/handover.c: settled, handovers_release, released, handover_call_failed
 *   Fate, World         connections lost with what is on them, calls that arrive late or never, refusals, leases that run out
 *                       under a node that pauses, crashes with a restart as a new incarnation
 *
 * What is left out, and why that is safe
 *   Time. A lease may run out at any moment (under a live owner that counts as a fault), and nobody's clock silences a node:
 *   what holds here holds however late a paused node wakes. Whoever may claim does so by chance: ranks and members are absent.
 *   The bus. An event that has left the node counts as heard; what the bus loses is asked for again by its number. An
 *   input is on its way to everybody until it is answered.
 *   Names. Two sessions of one input each; an input emits event 1 when it is admitted (run_started) and 2 when it is
 *   completed. A section's bytes are what it does and its event's number; a commit's digest is its bytes.
 *   Scripts are atomic, and a new owner reads the tail and its sessions in one step. Suspension is absent: with a store that
 *   keeps what it said it must not happen (HONEST); a store that does not is rollback.pml's.
 *   Calls of one connection are executed, and their answers read, in order. A call whose connection is lost may still be
 *   executed at any later time, also when its sender has died.
 *
 * Nodes are alike, and sessions too: the first to claim is called 1, the first to get its input is called 0.
 *
 * Bounds: NODES, SESSIONS, IN_FLIGHT, FAULTS (of all kinds together), HANDOVERS, REPEATS (of an input that was answered). */

#include "state.pml"
#include "store.pml"
#include "owner.pml"
#include "world.pml"

#if SESSIONS == 1
#define ALL_HEARD (heard[0] == 2)
#else
#define ALL_HEARD (heard[0] == 2 && heard[1] == 2)
#endif
#define OWNS(n)   (node[n].phase == OWNED && HOLDS(n))
#if NODES == 1
#define OWNED_BY_ONE OWNS(0)
#elif NODES == 2
#define OWNED_BY_ONE (OWNS(0) || OWNS(1))
#else
#define OWNED_BY_ONE (OWNS(0) || OWNS(1) || OWNS(2))
#endif

/* When nothing can move any more, everything is done. */
proctype End()
{
    timeout -> must(ALL_DONE, ALL_HEARD && OWNED_BY_ONE)
}

init
{
    atomic {
        byte n = 0;
        do
        :: n < NODES -> run Partition(n); run Store(n); run Fate(n); n++
        :: else -> break
        od;
        run World();
        run End()
    }
}

#ifdef LIVE
ltl served { <> (ALL_HEARD) && [] <> (OWNED_BY_ONE) }
#endif
