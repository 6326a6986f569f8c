/* What the invariants have seen so far; shared by invariants.c (the store, starts, the end) and invariants_said.c (what
 * nodes say). Written by invariants.c, but `published` and `accepted`, which are invariants_said.c's. */
#ifndef MEERKAT_TESTS_SIM_INVARIANTS_H
#define MEERKAT_TESTS_SIM_INVARIANTS_H

#include "codec/record.h"
#include "tests/sim/sim.h"

/* Who commits: under one fence one life of one node, and fences only rise. */
struct commit_line {
    uint64_t fence, sequence;
    struct span node, incarnation;
};

/* A lease as it was after the last execution. */
struct seen_lease {
    struct span history, node, incarnation;
    uint64_t fence, sequence, published, expires_ms;
};

struct seen_event {
    struct seen_session *session;
    struct span bytes;
    uint64_t seq, commit;
    bool published;
};

struct seen_partition {
    struct seen_lease lease;
    struct seen_event **events; /* in the order of the outbox */
    size_t count, room;
    size_t marked; /* this many lie at or below the published mark */
    struct commit_line line;
    uint64_t moves; /* changes of owner */
    bool unread;    /* its owner cannot know: the claim was executed when nobody waited for its answer any more */
    struct {
        uint64_t at_us, life, sessions;
        size_t node;
        bool unsure; /* its answer was lost: the node knows the sessions that it had in memory */
    } released;      /* last */
};

struct seen_session {
    struct span name;
    uint32_t partition;
    struct seen_event **events; /* event n at n - 1 */
    size_t count, room;
    uint64_t completions, starts;
    uint64_t counter;                  /* a counter's value, as its completions say */
    bool may_forget;                   /* a command was sent that may take the executor's state away */
    uint64_t last_done[2];             /* by lane: order of the input completed last */
    struct mk_id run;                  /* the one recorded last */
    struct span carried[INJECTED_MAX]; /* ids of the inputs that were injected and that the head names, in order */
    size_t carried_count;
    uint64_t carried_attempts[INJECTED_MAX];
    bool committed, gave_up; /* since the head was seen: a run, or one that was given up for its nodes' deaths */
    bool may_end;            /* a command was sent that may end the session */
    struct commit_line line;
    bool waits;       /* it has stored inputs that ask to be run */
    uint64_t idle_us; /* since when it waits and no run of it goes on; 0: it does not */
    bool beside_run;  /* meanwhile one went on in its partition, which may hold up a hand-over */
};

struct seen_input {
    bool durable, accepted, terminal, started, has_body;
    uint64_t seq, order, first_commit, body;
    enum lane lane;
    uint64_t amount;   /* what it adds to a counter */
    uint64_t failures; /* of runs with it */
    bool injected;
};

struct seen_run {
    uint64_t attempt, fence, inputs,
        commit;     /* inputs: a hash of their ids in order; commit: where it was recorded first */
    bool cancelled; /* somebody was answered that it was asked to end */
    struct span incarnation;
    uint64_t injections; /* receipts of what was injected into it */
};

struct sent_commit {
    uint64_t hash;
    bool uncertain; /* a reply was lost: only a byte-identical repeat is allowed */
    bool settled;   /* definitely not written: the sequence may be used for another */
};

/* What a node said of a partition in its last heartbeat. */
enum said { SAID_OFFERED = 1, SAID_RELEASED = 2, SAID_EXPECTING = 4, SAID_SUSPENDED = 8 };

struct checks {
    bool blind; /* a story where the store forgets: what was seen is not what is there */
    struct seen_partition partitions[SIM_PARTITIONS_MAX];
    struct map sessions, inputs, keys, runs,
        commits;           /* session; session/id; session/key; session/run; node/fence/sequence */
    struct map last_words; /* names that are done, by their field of hash t: what is remembered of them */
    struct map letters;    /* session and number of the completion: the dead letter, as it is stored */
    uint64_t in_flight[SIM_NODES_MAX][2]; /* commits by node and group, of this life */
    uint64_t life[SIM_NODES_MAX], said_life[SIM_NODES_MAX];
    uint8_t said[SIM_NODES_MAX][SIM_PARTITIONS_MAX];
};

struct seen_session *checks_session(struct sim *s, struct span name);
struct seen_input *checks_input(struct sim *s, struct span session, struct span id);

/* What the store remembers of a name. False: nothing. */
bool checks_fact(struct sim *s, struct span session, enum fact_kind kind, struct span name, struct fact_record *out);

/* invariants_cluster.c: a commit was applied; to the partition, and to one session of it. */
void checks_line(struct sim *s, uint32_t partition, const struct seen_lease *is);
void checks_session_line(struct sim *s, struct seen_session *session);
void checks_moved(struct sim *s, const struct sim_call *call, uint32_t partition, const struct seen_lease *was,
                  const struct seen_lease *is);

void checks_release_lost(struct sim *s, const struct sim_call *call); /* its answer */
uint32_t checks_key_partition(struct span key);

/* invariants_heard.c: what a node says in a heartbeat, and whether it was in its last one. */
void checks_heartbeat(struct sim *s, const struct sim_node *node, struct span map);

/* invariants_stored.c: the operations of one section, just executed: code, field, value each. */
void checks_section(struct sim *s, uint32_t partition, const struct span *ops, size_t count);
/* The dead letters that a commit behind number `after` left: of so many inputs it was the end. */
void checks_letters(struct sim *s, uint32_t partition, uint64_t after, size_t abandoned);
/* What `dead` answered. */
void checks_dead(struct sim *s, const struct mk_command *asked, struct span data);

/* invariants_injected.c: a completion that was just written; the head of a session and its rows; a start. */
void checks_receipt(struct sim *s, struct seen_session *session, const struct mk_completion *c);
void checks_carried(struct sim *s, struct seen_session *session, const struct session_record *head,
                    const struct input_record *rows);
bool checks_is_carried(const struct session_record *head, uint64_t seq);
void checks_carries(struct sim *s, const struct seen_session *session, const struct run_request *request);
void checks_offered(struct sim *s, struct span session, struct span run, struct span input);

/* Only an owner whose lease has not run out speaks for a session, and starts runs. */
void checks_owner(struct sim *s, const struct sim_node *node, struct span session, const char *does);

#endif
