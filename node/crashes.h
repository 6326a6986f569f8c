/* When a child may be started again. One that answered, or that we ended, comes back at once; one that ended by itself,
 * or spoke no sense, without having answered a run, comes back after 100 ms, doubling up to 10 s. After several such
 * ends in a row it loops: nothing is to be expected of it. Pure. */
#ifndef MEERKAT_NODE_CRASHES_H
#define MEERKAT_NODE_CRASHES_H

#include <stdbool.h>
#include <stdint.h>

#define CRASH_WAIT_MIN_MS 100
#define CRASH_WAIT_MAX_MS 10000
#define CRASHES_LOOP      5 /* in a row */

struct crashes {
    uint32_t in_row;
    bool answered;   /* a run, since the child was started */
    uint64_t due_ms; /* it may be started from then on; 0: now */
};

void crashes_answered(struct crashes *crashes);

enum child_end {
    CHILD_ENDED_BY_US,    /* for no fault of its program: a cancel, a deadline, a lease */
    CHILD_ENDED_IDLE,     /* by itself, between two runs */
    CHILD_ENDED_MIDWAY,   /* by itself, during a run */
    CHILD_ENDED_SENSELESS /* it wrote what is no answer, or could not be started */
};

void crashes_ended(struct crashes *crashes, enum child_end end, uint64_t now_ms);
bool crashes_loop(const struct crashes *crashes);

#endif
