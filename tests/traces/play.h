/* Plays one scenario of a trace file on a world and compares every step. play.c makes messages of operations and the
 * traces' words of the answers; look.c asks the node for the state, over the wire; compare.c holds both against the
 * trace; excuses.c is the table of what cannot be equal because we decided otherwise. */
#ifndef MEERKAT_TESTS_TRACES_PLAY_H
#define MEERKAT_TESTS_TRACES_PLAY_H

#include "tests/traces/world.h"

#define TEXT_BYTES 600

/* The first difference that nothing excuses. */
struct failure {
    bool failed;
    size_t step; /* from 1 */
    const char *op, *field;
    char input[80], want[TEXT_BYTES], got[TEXT_BYTES];
};

struct player {
    struct world *world;
    json_t *scenario; /* borrowed */
    size_t step;      /* from 0 */
    const char *op;
    unsigned asked;   /* commands and queries so far: their ids */
    json_t *inputs;   /* by name: {"waiter", "row": what the trace said last, "over": terminal in ours, "completed"} */
    json_t *runs;     /* our ids of runs -> the trace's names */
    json_t *renamed;  /* our ids of runs that a crash cut short: they go on, and may get another name */
    json_t *former;   /* names that such runs had before -> our id */
    json_t *answers;  /* what was said in this step, see world_heard */
    json_t *calls;    /* what the executor was asked and the trace has not said yet */
    bool crashed;     /* at least once */
    bool coming_back; /* since a crash, until the executor is attached again */
    bool stop_survived;  /* a stop waited for the run when its node crashed */
    bool left_storeless; /* unregistered, without a store */
    json_t *merged;      /* names of inputs that the source forgot to have coalesced when it crashed */
    const char *running; /* our id of the run that goes on, or NULL; borrowed from `state` */
    json_t *state;       /* as seen after the step before */
    struct failure failure;
};

/* The field's name as the table of excuses knows it; what is asked for and what there is. */
struct difference {
    const char *field, *input; /* input: of `inputs.*`, else "" */
    json_t *want, *got;
};

/* True: every step was as the trace says, or excused. */
bool play(json_t *scenario, struct failure *failure);

/* --- play.c --- */
/* Sends a command and lets it settle; returns the answer in the traces' words. New reference. */
json_t *play_command(struct player *player, const char *op, json_t *args);
json_t *play_answer(const struct player *player, const char *client); /* the message to it; borrowed, or NULL */

/* --- look.c --- */
/* The state in the form of a trace's `then`, with our ids of runs; `every`: terminal inputs too. New reference. */
json_t *look(struct player *player, bool every);

/* --- compare.c --- */
void compare_result(struct player *player, json_t *want, json_t *got);
void compare_state(struct player *player, json_t *then, json_t *state);
void compare_end(struct player *player);

/* --- excuses.c --- */
bool excused(const struct player *player, const struct difference *difference);
void excuses_print(void);

#endif
