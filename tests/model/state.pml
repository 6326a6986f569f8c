/* The state of partition.pml, its bounds, and the names of the properties. */

#ifndef NODES
#define NODES 2
#endif
#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef HANDOVERS
#define HANDOVERS 0
#endif
#ifndef REPEATS
#define REPEATS 0
#endif
#ifndef IN_FLIGHT
#define IN_FLIGHT 2
#endif
#ifndef SESSIONS
#define SESSIONS 2
#endif

/* The properties. CHECK names one; 0 stands for all. */
#define ONE_WRITER  1
#define FENCE_RISES 2
#define NO_ZOMBIE   3
#define ONCE        4
#define ADMIT_ONCE  5
#define ACKED       6
#define COMMITTED   7
#define IN_ORDER    8
#define IDENTICAL   9
#define HONEST      10
#define KEPT        11
#define ALL_DONE    12
#define ROOM        13
#ifndef CHECK
#define CHECK 0
#endif
#define must(property, condition) assert((CHECK != 0 && CHECK != property) || (condition))

#define COMMITS_MAX 10 /* with 0, which is none */
#ifdef MUTANT_TOO_SMALL
#define FENCES_MAX 2
#else
#define FENCES_MAX 8
#endif
#define LATE_MAX    4 /* reached: an assertion without a name */

/* What a section does, and what becomes of its input. */
#define NOTHING 0
#define ADMIT   1
#define FINISH  2
#define ABSENT  0
#define ACTIVE  1
#define OVER    2

/* A commit's bytes: for each session what is done (2 bits) and the event's number (2 bits), then the published mark. */
#define SECTION(s, what, number) (((what) | ((number) << 2)) << (4 * (s)))
#define WHAT(bytes, s)   (((bytes) >> (4 * (s))) & 3)
#define NUMBER(bytes, s) (((bytes) >> (4 * (s) + 2)) & 3)
#define MARK(bytes)      (((bytes) >> 8) & 15)
#define EVENTS(bytes)    ((bytes) & 255)

mtype:phase = {NONE, CLAIMING, CLAIMED, OWNED, SETTLING, RELEASING, RELEASED}
mtype:call = {UNUSED, SENT, ANSWERED, REFUSED, UNSURE}
mtype:verdict = {HELD, AGAIN, SEQUENCE, OTHER, FREE}
mtype:kind = {COMMIT, CLAIM, RELEASE}

typedef Commit {
    mtype:call state = UNUSED;
    mtype:verdict verdict = FREE;
    bool uncertain; /* a reply was lost: from here on only repeated */
    unsigned bytes : 12;
    unsigned sequence : 4;
    unsigned stored : 4;
    unsigned skipped : 2 /* a bit a session */
}

typedef Node {
    mtype:phase phase = NONE;
    bool settle, release_sent;
    bit ahead; /* which of two calls on the wire was sent first */
    unsigned incarnation : 3 = 1;
    unsigned fence : 3;
    unsigned heard : 3; /* the highest fence that it knows to be spent */
    unsigned sequence : 4;
    unsigned committed : 4;
    unsigned published : 4;
    byte waiting[COMMITS_MAX];              /* by commit: events that are to leave */
    byte input[SESSIONS], events[SESSIONS]; /* the sessions in memory: only active inputs are known */
    bool flying[SESSIONS];                  /* a section of it is in a commit */
    Commit flight[IN_FLIGHT]                /* oldest first */
}

typedef Lease {
    bool expired;
    unsigned owner : 2;
    unsigned incarnation : 3;
    unsigned fence : 3;
    unsigned sequence : 4;
    unsigned published : 4;
    unsigned began : 4;
    short digest[COMMITS_MAX]; /* by commit, 1 + its bytes: of this fence only */
    byte skipped[COMMITS_MAX]
}

/* A call whose sender does not wait for it any more. */
typedef Late {
    bool used;
    bool wired; /* its connection lives: what is sent after it is executed after it */
    mtype:kind kind = COMMIT;
    unsigned owner : 2;
    unsigned incarnation : 3;
    unsigned fence : 3;
    unsigned sequence : 4; /* of a release: its mark */
    unsigned bytes : 12
}

Node node[NODES];
Late late[LATE_MAX];
byte faults = FAULTS, handovers = HANDOVERS, repeats = REPEATS;

/* The store. */
Lease lease;
byte stored_input[SESSIONS], stored_events[SESSIONS];
byte outbox[COMMITS_MAX]; /* by commit */

/* What publishers and watchers have heard. */
bool answered[SESSIONS];     /* accepted, or deduplicated */
byte heard[SESSIONS];        /* the highest event number, all below it too */
byte heard_in[SESSIONS * 3]; /* by number: the commit that it came with */

/* What only the properties know. */
byte highest_fence, holder, holder_incarnation; /* of the last claim that was granted */
byte writer;                                    /* who has committed under the highest fence; 0: nobody */
byte admitted[SESSIONS], finished[SESSIONS];    /* how often a commit said so */
bool begun;                                     /* sessions are alike: that of the first input is called 0 */

/* Results of the inlines below; 0 outside of a step. */
mtype:verdict verdict = FREE;
byte stored, skipped, i, q, s;
short bytes;
bool found;

/* --- what is the case --- */

#define MINE(n)   (lease.owner == n + 1 && lease.incarnation == node[n].incarnation)
#define HOLDS(n)  (MINE(n) && lease.fence == node[n].fence)
#define CLAIMABLE (lease.owner == 0 || lease.expired)
#define OURS(n)   (node[n].phase == CLAIMED || node[n].phase == OWNED || node[n].phase == SETTLING)

#define FLIES(n, k)   (node[n].flight[k].state != UNUSED)
#define ON_WIRE(n, k) (FLIES(n, k) && node[n].flight[k].state != UNSURE)

/* Calls are executed, and answers read, in the order of sending; what is uncertain goes again, oldest first. */
#if IN_FLIGHT == 1
#define EXECUTABLE(n, k) (node[n].flight[k].state == SENT)
#define NONE_FLIES(n)    (!FLIES(n, 0))
#define ANY_UNSURE(n)    (node[n].flight[0].state == UNSURE)
#define TURN(n, k)       (FLIES(n, k) && node[n].flight[k].state != SENT)
#else
#define BEHIND(n, k)     (ON_WIRE(n, (1 - k)) && node[n].ahead == 1 - k)
#define EXECUTABLE(n, k) \
    (node[n].flight[k].state == SENT && !(node[n].flight[1 - k].state == SENT && node[n].ahead == 1 - k))
#define NONE_FLIES(n) (!FLIES(n, 0) && !FLIES(n, 1))
#define ANY_UNSURE(n) (node[n].flight[0].state == UNSURE || node[n].flight[1].state == UNSURE)
#define OLDEST(n, k)  (k == 0 || node[n].flight[0].state != UNSURE)
#define TURN(n, k)                                                                                                     \
    ((ON_WIRE(n, k) && node[n].flight[k].state != SENT && !BEHIND(n, k)) ||                                            \
     (node[n].flight[k].state == UNSURE && OLDEST(n, k)))
#endif
