/* Random command sequences: short lives of one to three sessions on one or two nodes. Each step is an input, an
 * operation, the end of a run, time, a fault, a crash or a hand-over; each answer is held against a small model of what
 * the session's clients may see (sequence_model.c), on top of every invariant that load is checked with.
 *
 *   sequence.c        the steps, the rest at the end, what is printed
 *   sequence_draw.c   what a step sends: inputs, commands, and their repeats
 *   sequence_model.c  the life of a session as its answers tell it; by a table of its own (sequence_phases.c)
 *   sequence_told.c   what results say, held against what was known
 *   sequence_cover.c  what was reached: a run that does not reach everything has tested nothing */
#ifndef MEERKAT_TESTS_SIM_SEQUENCE_H
#define MEERKAT_TESTS_SIM_SEQUENCE_H

#include "codec/message.h"
#include "tests/sim/invariants.h"

#define SEQUENCE_SESSIONS_MAX 3
#define SEQUENCE_STEPS_MAX    40
#define SEQUENCE_LATE_MS_MAX  50 /* of a deadline that had passed when its operation was sent */

/* --- what was reached, over all sequences --- */

/*    id           what a step does */
#define SEQUENCE_STEPS(X)                                                                                              \
    X(INPUT, "an input")                                                                                               \
    X(WRONG_INPUT, "an input that breaks a rule")                                                                      \
    X(COMMAND, "an operation")                                                                                         \
    X(WRONG_COMMAND, "an operation with wrong arguments")                                                              \
    X(LATE_COMMAND, "an operation past its deadline")                                                                  \
    X(REPEAT, "a former id again")                                                                                     \
    X(CONFLICT, "a former id with another content")                                                                    \
    X(GARBAGE, "garbage")                                                                                              \
    X(NODE_COMMAND, "an operation of a node")                                                                          \
    X(DEAF, "executors hear no cancel, or do again")                                                                   \
    X(STALE_RESULT, "the result of a run that is over")                                                                \
    X(TIME, "time passes")                                                                                             \
    X(STORE_FAULT, "a fault of the store")                                                                             \
    X(BUS_FAULT, "a frame is lost or late")                                                                            \
    X(CRASH, "a crash")                                                                                                \
    X(RESTART, "a node starts again")                                                                                  \
    X(LEAVE, "a node is asked to leave")                                                                               \
    X(PAUSE, "a node pauses")

enum sequence_step {
#define X(id, text) STEP_##id,
    SEQUENCE_STEPS(X)
#undef X
        STEP_COUNT
};

/*    id            where the node dies */
#define SEQUENCE_CRASHES(X)                                                                                            \
    X(AT_REST, "at rest")                                                                                              \
    X(BETWEEN_EVENTS, "between two events")                                                                            \
    X(BEHIND_COMMIT, "behind a commit, before its reply")                                                              \
    X(BEHIND_REPLY, "behind a commit and its reply")                                                                   \
    X(IN_A_TURN, "inside a turn")                                                                                      \
    X(IN_A_RUN, "while a run goes on")                                                                                 \
    X(BEHIND_RUN, "behind a run, before its commit")                                                                   \
    X(IN_HANDOVER, "while it hands over")

enum sequence_crash {
#define X(id, text) CRASH_##id,
    SEQUENCE_CRASHES(X)
#undef X
        CRASH_COUNT
};

/* What clients see of a session, by what the store holds of it when an answer is given. */
enum sequence_phase {
    SEEN_ABSENT,
    SEEN_IDLE,
    SEEN_ATTACHED,
    SEEN_RUNNING,
    SEEN_RETIRED,
    SEEN_STOPPED,
    SEEN_DESTROYED,
    SEEN_COUNT
};

struct cover {
    uint64_t steps[STEP_COUNT], crashes[CRASH_COUNT];
    uint64_t ops[MK_OP_COUNT][SEEN_COUNT], done[MK_OP_COUNT];
    uint64_t kinds[MK_KIND_COUNT][MK_ADMITTED_COUNT], handlings[MK_KIND_COUNT][MK_HANDLING_COUNT];
    uint64_t durabilities[MK_DURABILITY_COUNT], origins[MK_ORIGIN_COUNT];
    uint64_t ends[RUN_INTERNAL + 1], causes[CAUSE_COUNT], final_ends;
    uint64_t outcomes[MK_OUTCOME_COUNT];
    uint64_t struck[FAULT_COUNT];
    uint64_t judged, unjudged; /* answers that the model could say something of, and not */
};

void cover_print(const struct cover *cover, bool verbose);
const char *cover_crash_name(enum sequence_crash crash);
/* What was not reached and must be, printed; how much that is. */
size_t cover_missing(const struct cover *cover);

/* --- one sequence --- */

/* The life of a session as its answers tell it. Written by sequence_model.c. */
struct life {
    struct span name;
    size_t index;         /* of the simulation's sessions */
    unsigned may_be;      /* a set of enum base: what it may be now */
    uint64_t fence;       /* under which that was said */
    uint64_t asked;       /* operations sent so far, a set */
    struct span epoch;    /* the one heard last */
    struct span run;      /* the same */
    struct run_done last; /* of the run begun last */
    uint64_t counted[3];  /* abandoned, as results of reset, destroy and retire say */
    uint64_t counted_to;  /* the number of the last completion that was counted */
    uint64_t ended[3];    /* and as completions say */
};

struct sequence {
    struct sim *sim;
    struct cover *cover;
    struct life lives[SEQUENCE_SESSIONS_MAX];
    size_t sessions, first;               /* first: the index of the first one */
    size_t steps, step;                   /* how many, and the one going on */
    struct span told[SEQUENCE_STEPS_MAX]; /* for people */
    uint32_t trouble;                     /* per million: how often a step is a fault, a crash or a hand-over */
    bool settling;                        /* no new step comes */
    struct map notes;                     /* session/id: struct note */
    struct run_done stale;                /* of a run that is over; with its session */
    struct span stale_session;
};

/* What is known of an item beside what its client knows. Written by sequence_model.c. */
struct note {
    bool done;                          /* a mutating operation succeeded, and is remembered */
    bool admitted;                      /* an input was answered accepted */
    bool torn;                          /* it may have been performed by a former owner, and nobody said so */
    bool withdrawn;                     /* it will never run, somebody was told */
    bool over;                          /* its completion was said */
    bool gave_up;                       /* a run with it failed for good */
    unsigned ends;                      /* of runs with it: a set of enum run_end */
    uint64_t said;                      /* answers */
    uint64_t seq;                       /* of its completion */
    uint64_t sent_us, said_us, over_us; /* first sent; accepted; over */
    struct span data;                   /* of the success */
};

struct sequence *sequence_in(struct sim *s);
struct note *sequence_note(struct sequence *q, struct span session, struct span id);
struct life *sequence_life(struct sequence *q, struct span session); /* NULL: of no session of the sequence */
void sequence_tell(struct sequence *q, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* sequence_draw.c */
void draw_input_step(struct sequence *q, bool wrong);
enum draw { DRAW_RIGHT, DRAW_WRONG, DRAW_LATE };
void draw_command_step(struct sequence *q, enum draw how);
void draw_repeat_step(struct sequence *q, bool conflict);
void draw_node_command_step(struct sequence *q);
enum mk_op draw_missing(void); /* an operation that no step draws; MK_OP_COUNT: none */

/* sequence_model.c */
void model_start(struct sequence *q);
void model_said(struct sim *s, struct sim_node *node, enum mk_type type, struct span map);
void model_started(struct sequence *q, const struct run_request *request, const struct run_done *done);
void model_end(struct sequence *q);
enum sequence_phase model_seen(struct sim *s, struct span session);

/* --- all of them --- */

struct sequences {
    uint64_t count, from;
    bool verbose;
};

uint64_t sequences_run(const struct sequences *how, uint64_t *failed); /* the found ones first; how many passed */
bool sequences_run_one(uint64_t number, bool print);

#endif
