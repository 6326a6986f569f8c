/* Private to bus/: what one thread sets up, the bus library's threads use in callbacks, and one thread frees. The
 * library's own locks keep the three apart; the gate says so in C11's terms, where we and our tools can see it, and
 * aborts should the library not keep its word. */
#ifndef MEERKAT_BUS_GATE_H
#define MEERKAT_BUS_GATE_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>

struct bus__gate {
    atomic_bool open;
    atomic_uint inside; /* callbacks under way */
};

/* Everything is set up: the last step before the library may call back. */
static inline void bus__gate_open(struct bus__gate *gate)
{
    atomic_store_explicit(&gate->open, true, memory_order_release);
}

/* The first step of a callback: it sees all that was set up. */
static inline void bus__gate_enter(struct bus__gate *gate)
{
    bool open = atomic_load_explicit(&gate->open, memory_order_acquire);
    assert(open);
    (void)open;
    atomic_fetch_add_explicit(&gate->inside, 1, memory_order_relaxed);
}

/* The callback's last use of the thing. */
static inline void bus__gate_leave(struct bus__gate *gate)
{
    atomic_fetch_sub_explicit(&gate->inside, 1, memory_order_release);
}

/* The library has promised to call back no more: all that callbacks did is seen, and the thing may be freed. */
static inline void bus__gate_close(struct bus__gate *gate)
{
    unsigned inside = atomic_load_explicit(&gate->inside, memory_order_acquire);
    assert(inside == 0);
    (void)inside;
}

#endif
