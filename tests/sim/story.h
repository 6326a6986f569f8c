/* What stories are told with: each runs with several seeds, which decide what comes first where things happen at once.
 */
#ifndef MEERKAT_TESTS_SIM_STORY_H
#define MEERKAT_TESTS_SIM_STORY_H

#include "tests/sim/invariants.h"

#define ONE SPAN_LIT("\x01") /* msgpack 1 */

struct story {
    const char *name;
    size_t nodes;
    void (*run)(struct sim *s);
};

/* Tells each so many times, with the configuration that `config` fills in, its nodes apart. How many passed; adds to
 * *failed. */
size_t stories_tell(const struct story *stories, size_t count, void (*config)(struct sim_config *), size_t tellings,
                    const struct telling *how, size_t *failed);

/* All of these break the story when what they wait for does not come in 30 s. */
void story_await(struct sim *s, const struct item *item);                        /* its definite answer */
void story_await_as(struct sim *s, const struct item *item, const char *answer); /* and it is this one */
void story_await_said(struct sim *s, const char *text);                          /* a line of the trace, from now on */
void story_await_true(struct sim *s, bool (*done)(struct sim *s), const char *what);

void story_first_input(struct sim *s, const char *session); /* sent and answered */
void story_expect(struct sim *s, const char *what, uint64_t is, uint64_t wanted);
void story_expect_answer(struct sim *s, const struct item *item, const char *answer);
void story_expect_completions(struct sim *s, const char *session, uint64_t wanted);
size_t story_owner(struct sim *s, const char *session); /* index of the node */
size_t story_owned(struct sim *s, size_t node);         /* partitions, by the store */
const char *story_neighbour(struct sim *s);             /* another counter in the partition of counter-0 */
void story_cut_client(struct sim *s, bool cut);

/* --- several nodes --- */

#define STORY_TELLINGS   4
#define STORY_SESSIONS   24
#define STORY_PARTITIONS 16
#define STORY_LEASE_MS   1000
#define STORY_LEASE      (STORY_LEASE_MS * MILLISECOND)
#define STORY_FINISH_MS  800
#define STORY_LOAD_MAX   4096

void story_config_cluster(struct sim_config *c);
void story_settle(struct sim *s);          /* every partition is with its wanted owner */
uint64_t story_moves(const struct sim *s); /* changes of owner so far, of all partitions */
size_t story_richest(struct sim *s);       /* the node that owns most */

/* Inputs to STORY_SESSIONS sessions of one executor, round and round. */
struct story_load {
    struct item *items[STORY_LOAD_MAX];
    size_t count;
    const char *executor;
    struct span body;
    uint64_t until_us;
};

struct story_load *story_load_new(struct sim *s, const char *executor, struct span body);
const char *story_session(struct sim *s, const char *executor, size_t index);
void story_send_for(struct sim *s, struct story_load *load, uint64_t us); /* one each 25 ms */
void story_send_round(struct sim *s, struct story_load *load);            /* one to each session, now */
void story_await_all(struct sim *s, const struct story_load *load);       /* each is completed */
/* Nobody had to send anything twice, and nothing was refused. */
void story_expect_smooth(struct sim *s, const struct story_load *load);
/* All is completed, nothing waits, nothing is missing, and every partition is where it should be. */
void story_end(struct sim *s, const struct story_load *load);

#endif
