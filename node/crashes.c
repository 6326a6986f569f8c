#include "node/crashes.h"

void crashes_answered(struct crashes *crashes)
{
    crashes->answered = true;
    crashes->in_row = 0;
}

static uint64_t wait_ms(uint32_t in_row)
{
    uint64_t wait = CRASH_WAIT_MIN_MS;
    while (in_row-- > 1 && wait < CRASH_WAIT_MAX_MS)
        wait *= 2;
    return wait < CRASH_WAIT_MAX_MS ? wait : CRASH_WAIT_MAX_MS;
}

void crashes_ended(struct crashes *crashes, enum child_end end, uint64_t now_ms)
{
    bool fine = end == CHILD_ENDED_BY_US || (end == CHILD_ENDED_IDLE && crashes->answered);
    crashes->answered = false;
    if (!fine)
        crashes->in_row++;
    crashes->due_ms = fine ? now_ms : now_ms + wait_ms(crashes->in_row);
}

bool crashes_loop(const struct crashes *crashes)
{
    return crashes->in_row >= CRASHES_LOOP;
}
