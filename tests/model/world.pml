/* What nobody promised. */

/* No answer but an error that leaves it open whether the call was executed; or a definite no. */
inline fail(n, k, unknown)
{
    printf("node %d: commit %d failed, outcome unknown %d\n", n + 1, node[n].flight[k].sequence, unknown);
    node[n].flight[k].state = REFUSED;
    node[n].flight[k].uncertain = node[n].flight[k].uncertain || unknown;
    node[n].flight[k].verdict = FREE;
    node[n].flight[k].stored = 0;
    node[n].flight[k].skipped = 0
}

/* A call that was not executed yet may still be: before its repeat, after it, or never. */
inline lose_reply(n, k)
{
    if
    :: node[n].flight[k].state == SENT ->
        keep_late(false, COMMIT, n + 1, node[n].incarnation, node[n].fence, node[n].flight[k].sequence, node[n].flight[k].bytes)
    :: else
    fi;
    fail(n, k, true);
    node[n].flight[k].state = UNSURE
}

inline late_ownership(n)
{
    if
    :: node[n].phase == CLAIMING -> keep_late(false, CLAIM, n + 1, node[n].incarnation, node[n].heard, 0, 0)
    :: node[n].phase == RELEASING ->
        keep_late(false, RELEASE, n + 1, node[n].incarnation, node[n].fence, node[n].committed, 0)
    :: else
    fi
}

inline lose_ownership_reply(n)
{
    late_ownership(n);
    if
    :: node[n].phase == RELEASING || node[n].phase == RELEASED ->
        node[n].phase = SETTLING;
        node[n].release_sent = true
    :: else ->
        node[n].fence = 0; /* it does not know what it was given */
        forget_partition(n, true)
    fi
}

#define CALLS(n) \
    (node[n].phase == CLAIMING || node[n].phase == CLAIMED || node[n].phase == RELEASING || node[n].phase == RELEASED)

/* What was forgotten on the wire is late now. */
inline unwire(n)
{
    i = 0;
    do
    :: i < LATE_MAX ->
        if
        :: late[i].owner == n + 1 -> late[i].wired = false
        :: else
        fi;
        i++
    :: else -> break
    od;
    i = 0
}

inline lose_connection(n)
{
    unwire(n);
    printf("node %d: connection lost\n", n + 1);
    q = 0;
    do
    :: q < IN_FLIGHT ->
        if
        :: ON_WIRE(n, q) -> lose_reply(n, q)
        :: else
        fi;
        q++
    :: else -> break
    od;
    q = 0;
    node[n].ahead = 0;
    if
    :: CALLS(n) -> lose_ownership_reply(n)
    :: else
    fi
}

inline crash(n)
{
    printf("node %d: dies\n", n + 1);
    late_ownership(n);
    forget_partition(n, false);
    unwire(n);
    node[n].heard = 0;
    node[n].incarnation++
}

inline arrive_late(j)
{
    printf("store: a late %e of node %d.%d\n", late[j].kind, late[j].owner, late[j].incarnation);
    if
    :: late[j].kind == COMMIT ->
        store_commit(late[j].owner, late[j].incarnation, late[j].fence, late[j].sequence, late[j].bytes);
        verdict = FREE;
        stored = 0;
        skipped = 0
    :: late[j].kind == CLAIM -> store_claim(late[j].owner, late[j].incarnation, late[j].fence)
    :: late[j].kind == RELEASE ->
        store_release(late[j].owner, late[j].incarnation, late[j].fence, late[j].sequence)
    fi;
    forget_late(j)
}

/* Nobody extends it: its owner died, or does not know that it has it. */
#define NOT_RENEWED(n) (lease.owner == n + 1 && (lease.incarnation != node[n].incarnation || node[n].phase == NONE))

#define LAST (IN_FLIGHT - 1)
#define FAILS(n, k) (ON_WIRE(n, k) && node[n].flight[k].state != REFUSED)

proctype Fate(byte n)
{
end:
    do
    :: d_step { faults > 0 && (ON_WIRE(n, 0) || ON_WIRE(n, LAST) || CALLS(n)) -> faults--; lose_connection(n) }
    :: d_step { faults > 0 && FAILS(n, 0) -> faults--; fail(n, 0, true) }
    :: d_step { faults > 0 && node[n].flight[0].state == SENT -> faults--; fail(n, 0, false) }
#if IN_FLIGHT > 1
    :: d_step { faults > 0 && FAILS(n, 1) -> faults--; fail(n, 1, true) }
    :: d_step { faults > 0 && node[n].flight[1].state == SENT -> faults--; fail(n, 1, false) }
#endif
    :: d_step { faults > 0 -> faults--; crash(n) }
    :: d_step { !lease.expired && NOT_RENEWED(n) -> lease.expired = true }
    od
}

/* It arrives, or is lost for good. */
#define LATE(j) d_step { late[j].used -> arrive_late(j) } :: d_step { late[j].used && !late[j].wired -> forget_late(j) }

proctype World()
{
end:
    do
    :: d_step { faults > 0 && lease.owner != 0 && !lease.expired -> faults--; lease.expired = true }
    :: d_step { faults + handovers + repeats > 0 -> faults = 0; handovers = 0; repeats = 0 } /* from here on all is well */
    :: LATE(0)
    :: LATE(1)
    :: LATE(2)
    :: LATE(3)
    od
}
