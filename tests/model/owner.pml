/* A node as the owner of the partition. */

/* --- the end of ownership --- */

inline clear(n, k)
{
    node[n].flight[k].state = UNUSED;
    node[n].flight[k].uncertain = false;
    node[n].flight[k].bytes = 0;
    node[n].flight[k].sequence = 0;
    node[n].flight[k].verdict = FREE;
    node[n].flight[k].stored = 0;
    node[n].flight[k].skipped = 0
}

/* The commit behind it moves up. */
inline unlink_commit(n, k)
{
    clear(n, k);
#if IN_FLIGHT > 1
    if
    :: k == 0 && FLIES(n, 1) ->
        node[n].flight[0].state = node[n].flight[1].state;
        node[n].flight[0].uncertain = node[n].flight[1].uncertain;
        node[n].flight[0].bytes = node[n].flight[1].bytes;
        node[n].flight[0].sequence = node[n].flight[1].sequence;
        node[n].flight[0].verdict = node[n].flight[1].verdict;
        node[n].flight[0].stored = node[n].flight[1].stored;
        node[n].flight[0].skipped = node[n].flight[1].skipped;
        clear(n, 1)
    :: else
    fi;
    node[n].ahead = 0
#endif
}

/* Its sessions leave memory. A commit on its way goes on; one that is uncertain is repeated until its verdict is read,
 * which then concerns nobody (`lives`: not by a process that died). */
inline forget_partition(n, lives)
{
    q = 0;
    do
    :: q < IN_FLIGHT ->
        if
        :: node[n].flight[q].state == SENT || (lives && node[n].flight[q].state == UNSURE) ->
            keep_late(lives, COMMIT, n + 1, node[n].incarnation, node[n].fence, node[n].flight[q].sequence,
                      node[n].flight[q].bytes)
        :: else
        fi;
        clear(n, q);
        q++
    :: else -> break
    od;
    q = 0;
    do
    :: q < COMMITS_MAX -> node[n].waiting[q] = 0; q++
    :: else -> break
    od;
    q = 0;
    do
    :: q < SESSIONS ->
        node[n].input[q] = ABSENT;
        node[n].events[q] = 0;
        node[n].flying[q] = false;
        q++
    :: else -> break
    od;
    q = 0;
    node[n].phase = NONE;
    if
    :: node[n].fence > node[n].heard -> node[n].heard = node[n].fence
    :: else
    fi;
    node[n].fence = 0;
    node[n].sequence = 0;
    node[n].committed = 0;
    node[n].published = 0;
    node[n].settle = false;
    node[n].ahead = 0;
    node[n].release_sent = false
}

/* The store is ahead, or the fence is to end. */
inline partition_lose(n)
{
    printf("node %d: gives the partition up\n", n + 1);
#if IN_FLIGHT == 1
    must(KEPT, !HOLDS(n));
#endif
    forget_partition(n, true)
}

inline partition_taken(n)
{
    printf("node %d: it is another's\n", n + 1);
    must(HONEST, node[n].release_sent || lease.began >= node[n].committed);
    forget_partition(n, true)
}

/* --- commits --- */

/* The mark that the next commit carries: below every commit that is on its way, or whose events have not left. */
inline mark_of(n)
{
    q = node[n].published;
#ifndef MUTANT_MARK_PASSES_UNSURE
    i = 0;
    do
    :: i < IN_FLIGHT ->
        if
        :: FLIES(n, i) && node[n].flight[i].sequence <= q -> q = node[n].flight[i].sequence - 1
        :: else
        fi;
        i++
    :: else -> break
    od;
    i = 0
#endif
}

/* Behind what is on the wire. */
inline send(n, k)
{
#if IN_FLIGHT > 1
    node[n].ahead = (ON_WIRE(n, (1 - k)) -> 1 - k : k);
#endif
    node[n].flight[k].state = SENT;
    printf("node %d: sends commit %d, bytes %x\n", n + 1, node[n].flight[k].sequence, node[n].flight[k].bytes)
}

/* What an input that arrived, or a run that ended, stages. It is decided here what that was: until then, and after a
 * commit was dissolved, the input is on its way and the run goes on. */
inline add_section(n, k, s1)
{
    if
    :: node[n].input[s1] == ACTIVE -> q = FINISH
    :: else ->
        q = ADMIT;
        begun = true;
#ifdef MUTANT_ANSWER_FIRST
        must(ACKED, stored_input[s1] != ABSENT);
        answered[s1] = true;
#endif
        if
        :: answered[s1] && repeats > 0 -> repeats--
        :: else
        fi
    fi;
    node[n].flight[k].bytes = node[n].flight[k].bytes | SECTION(s1, q, (node[n].events[s1] + 1));
    node[n].flying[s1] = true;
    q = 0
}

inline build(n, k, first, last)
{
    mark_of(n);
    node[n].sequence++;
#ifdef MUTANT_MARK_WITH_COMMIT
    q = node[n].sequence;
#endif
    node[n].flight[k].sequence = node[n].sequence;
    node[n].flight[k].bytes = q << 8;
    q = 0;
    add_section(n, k, first);
    if
    :: last != first -> add_section(n, k, last)
    :: else
    fi;
#ifdef MUTANT_PUBLISH_FIRST
    node[n].waiting[node[n].sequence] = EVENTS(node[n].flight[k].bytes);
#endif
    send(n, k)
}

inline restage(n, k)
{
    printf("node %d: stages commit %d again\n", n + 1, node[n].flight[k].sequence);
    q = 0;
    do
    :: q < SESSIONS ->
        if
        :: WHAT(node[n].flight[k].bytes, q) != NOTHING -> node[n].flying[q] = false
        :: else
        fi;
        q++
    :: else -> break
    od;
    q = 0;
    unlink_commit(n, k)
}

/* Confirmed: only now it is answered, and its events may leave. */
inline part_stands(n, k)
{
    printf("node %d: commit %d stands\n", n + 1, node[n].flight[k].sequence);
    if
    :: node[n].flight[k].sequence > node[n].committed -> node[n].committed = node[n].flight[k].sequence
    :: else
    fi;
    bytes = EVENTS(node[n].flight[k].bytes);
    q = 0;
    do
    :: q < SESSIONS ->
        if
        :: WHAT(node[n].flight[k].bytes, q) != NOTHING ->
            if
            :: node[n].flight[k].skipped & (1 << q) -> /* known: the stored answer */
                answered[q] = true;
                bytes = bytes & ~(15 << (4 * q))
            :: else ->
                node[n].events[q] = NUMBER(node[n].flight[k].bytes, q);
                if
                :: WHAT(node[n].flight[k].bytes, q) == ADMIT -> node[n].input[q] = ACTIVE; answered[q] = true
                :: else -> node[n].input[q] = ABSENT
                fi
            fi;
            must(ACKED, stored_input[q] != ABSENT);
            node[n].flying[q] = false
        :: else
        fi;
        q++
    :: else -> break
    od;
    q = 0;
#ifndef MUTANT_PUBLISH_FIRST
    node[n].waiting[node[n].flight[k].sequence] = bytes;
#endif
#ifndef MUTANT_MARK_PASSES_LATE
    if /* confirmed after a newer one, whose events have left */
    :: bytes != 0 && node[n].flight[k].sequence <= node[n].published ->
        node[n].published = node[n].flight[k].sequence - 1
    :: else
    fi;
#endif
    bytes = 0;
    unlink_commit(n, k)
}

inline count_flight(n)
{
    i = 0;
    q = 0;
    do
    :: q < IN_FLIGHT ->
        if
        :: FLIES(n, q) -> i++
        :: else
        fi;
        q++
    :: else -> break
    od;
    q = 0
}

inline dissolve(n, k)
{
#ifndef MUTANT_NO_SETTLE
    node[n].settle = true;
#endif
    count_flight(n);
    found = node[n].flight[k].stored == node[n].committed || i > 1;
    i = 0;
    if
    :: found -> restage(n, k)
    :: else ->
        must(HONEST, node[n].flight[k].stored > node[n].committed); /* else: suspended */
        partition_lose(n)                                           /* the store is ahead */
    fi;
    found = false
}

#ifdef MUTANT_DISSOLVE_UNSURE
#define UNCERTAIN(n, k) false
#else
#define UNCERTAIN(n, k) (node[n].flight[k].uncertain)
#endif

/* The stored sequence is not the one before ours. A commit that was sent once is dissolved; of one that is uncertain a
 * copy may still arrive, so it is repeated behind the one before it, or, when that one was dissolved, its fence ends. */
inline part_out_of_sequence(n, k)
{
    if
    :: UNCERTAIN(n, k) && k > 0 -> node[n].flight[k].state = UNSURE
    :: UNCERTAIN(n, k) && k == 0 -> partition_lose(n)
    :: else -> dissolve(n, k)
    fi
}

inline commit_verdict(n, k)
{
    if
    :: node[n].flight[k].verdict == HELD || node[n].flight[k].verdict == AGAIN -> part_stands(n, k)
    :: node[n].flight[k].verdict == SEQUENCE -> part_out_of_sequence(n, k)
    :: node[n].flight[k].verdict == OTHER || node[n].flight[k].verdict == FREE -> partition_taken(n)
    fi
}

/* A definite no: dissolved, unless a copy may have been applied. */
inline refused(n, k)
{
    if
    :: node[n].flight[k].uncertain -> node[n].flight[k].state = UNSURE
    :: else ->
        restage(n, k);
#ifndef MUTANT_NO_SETTLE
        node[n].settle = true
#endif
    fi
}

inline resend(n, k)
{
#ifdef MUTANT_PACK_ANEW
    restage(n, k);
    node[n].settle = true
#else
    send(n, k)
#endif
}

inline commit_step(n, k)
{
    if
    :: node[n].flight[k].state == ANSWERED -> commit_verdict(n, k)
    :: node[n].flight[k].state == REFUSED -> refused(n, k)
    :: node[n].flight[k].state == UNSURE -> resend(n, k)
    fi
}

/* --- events leave, oldest commit first --- */

inline leaves(n, number, what)
{
    s = 0;
    do
    :: s < SESSIONS ->
        if
        :: WHAT(what, s) != NOTHING ->
            must(COMMITTED, lease.sequence >= number && WHAT(outbox[number], s) == WHAT(what, s) &&
                                NUMBER(outbox[number], s) == NUMBER(what, s));
            must(IN_ORDER, NUMBER(what, s) <= heard[s] + 1);
            must(IDENTICAL, NUMBER(what, s) > heard[s] || heard_in[3 * s + NUMBER(what, s)] == number);
            if
            :: NUMBER(what, s) > heard[s] ->
                heard[s] = NUMBER(what, s);
                heard_in[3 * s + NUMBER(what, s)] = number
            :: else
            fi
        :: else
        fi;
        s++
    :: else -> break
    od;
    s = 0
}

inline publish(n)
{
    q = 0;
    do
    :: q < COMMITS_MAX ->
        if
        :: node[n].waiting[q] != 0 ->
            printf("node %d: publishes the events of commit %d\n", n + 1, q);
            leaves(n, q, node[n].waiting[q]);
            node[n].waiting[q] = 0;
            if
            :: q > node[n].published -> node[n].published = q
            :: else
            fi
        :: else
        fi;
        q++
    :: else -> break
    od;
    q = 0
}

/* --- taking over, giving away --- */

/* Everything after the mark again, before anything newer; then the sessions are read. */
inline recover(n)
{
    q = node[n].published + 1;
#ifdef MUTANT_SKIP_TAIL
    q = lease.sequence + 1;
#endif
    do
#ifdef MUTANT_TAIL_RENUMBERED
    :: q <= lease.sequence -> node[n].waiting[lease.sequence] = outbox[q]; q++
#else
    :: q <= lease.sequence -> node[n].waiting[q] = outbox[q]; q++
#endif
    :: else -> break
    od;
    q = 0;
    do
    :: q < SESSIONS ->
        node[n].events[q] = stored_events[q];
        node[n].input[q] = (stored_input[q] == ACTIVE -> ACTIVE : ABSENT);
        q++
    :: else -> break
    od;
    q = 0;
    node[n].phase = OWNED;
    printf("node %d: recovered, sequence %d, mark %d\n", n + 1, lease.sequence, lease.published)
}

#define ANY_WAITING(n)                                                                                                 \
    (node[n].waiting[1] || node[n].waiting[2] || node[n].waiting[3] || node[n].waiting[4] || node[n].waiting[5] ||     \
     node[n].waiting[6] || node[n].waiting[7] || node[n].waiting[8] || node[n].waiting[9])

#ifdef MUTANT_RELEASE_EARLY
#define ALL_SAID(n) true
#else
#define ALL_SAID(n) (!ANY_WAITING(n))
#endif

/* Nodes are alike: the first to claim is called 1. */
#define FIRST_IS_0  (highest_fence > 0 || faults < FAULTS)
/* An input is sent until it is answered, and now and then once more. */
#define ARRIVES(s1)  ((!answered[s1] && heard[s1] < 2) || (answered[s1] && repeats > 0))
#define READY(n, s1) (!node[n].flying[s1] && (node[n].input[s1] == ACTIVE || ARRIVES(s1)))
#define FREE_HAND(n) (node[n].phase == OWNED && !node[n].settle && !ANY_UNSURE(n) && !FLIES(n, (IN_FLIGHT - 1)))
#define BUILDS(n)    (FREE_HAND(n) && node[n].sequence + 1 < COMMITS_MAX)
#define TOO_SMALL(n) (FREE_HAND(n) && READY(n, 0) && node[n].sequence + 1 == COMMITS_MAX)

/* --- its steps --- */

proctype Partition(byte n)
{
end:
    do
    /* ownership */
    :: d_step { node[n].phase == NONE && (CLAIMABLE || MINE(n)) && (n == 0 || FIRST_IS_0) -> node[n].phase = CLAIMING }
    :: d_step { node[n].phase == CLAIMED && HOLDS(n) -> recover(n) }
    :: d_step { OURS(n) && !HOLDS(n) -> partition_taken(n) } /* a refused read or a renewal told */

    /* commits */
    :: d_step { BUILDS(n) && !FLIES(n, 0) && READY(n, 0) -> build(n, 0, 0, 0) }
#if SESSIONS > 1
    :: d_step { BUILDS(n) && !FLIES(n, 0) && READY(n, 1) && begun -> build(n, 0, 1, 1) }
    :: d_step { BUILDS(n) && !FLIES(n, 0) && READY(n, 0) && READY(n, 1) -> build(n, 0, 0, 1) }
#if IN_FLIGHT > 1
    :: d_step { BUILDS(n) && FLIES(n, 0) && READY(n, 0) -> build(n, 1, 0, 0) }
    :: d_step { BUILDS(n) && FLIES(n, 0) && READY(n, 1) -> build(n, 1, 1, 1) }
#endif
#endif
    :: d_step { TOO_SMALL(n) -> must(ROOM, false) }
    :: d_step { TURN(n, 0) -> commit_step(n, 0) }
#if IN_FLIGHT > 1
    :: d_step { TURN(n, 1) -> commit_step(n, 1) }
#endif
    :: d_step {
           node[n].settle && NONE_FLIES(n) ->
           node[n].sequence = node[n].committed;
           node[n].settle = false
       }
    :: d_step { OURS(n) && ANY_WAITING(n) -> publish(n) }

    /* giving away: what was begun is committed and published first */
    :: d_step { node[n].phase == OWNED && handovers > 0 -> handovers--; node[n].phase = SETTLING }
    :: d_step {
           node[n].phase == SETTLING && !node[n].settle && NONE_FLIES(n) && ALL_SAID(n) ->
           node[n].phase = RELEASING
       }
    :: d_step { node[n].phase == RELEASED -> forget_partition(n, true) }
    od
}
