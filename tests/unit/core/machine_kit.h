/* What the machine's tests share: makers of machines and inputs, and a look at effects. */
#ifndef MEERKAT_TESTS_MACHINE_KIT_H
#define MEERKAT_TESTS_MACHINE_KIT_H

#include "node/core/machine.h"
#include "tests/lib/t.h"

static inline struct mk_id id(const char *text)
{
    struct mk_id made;
    assert_true(id_set(&made, span_of(text)));
    return made;
}

static inline struct binding bound_at(uint64_t fence, uint64_t generation)
{
    return (struct binding){.runtime = true,
                            .has_fence = true,
                            .has_generation = true,
                            .fence = fence,
                            .generation = generation,
                            .epoch = id("e1")};
}

static inline struct binding without_fence(struct binding b)
{
    b.has_fence = false;
    b.fence = 0;
    return b;
}

/* A registered session in a phase; Running has run r1 from Attached. */
static inline struct machine at(enum phase phase)
{
    struct machine m = {.phase = phase, .registered = true, .binding = bound_at(5, 3)};
    if (phase == PHASE_RUNNING) {
        m.current_run = id("r1");
        m.pre_run = PHASE_ATTACHED;
    }
    return m;
}

static inline struct machine running_over(enum phase pre_run)
{
    struct machine m = at(PHASE_RUNNING);
    m.pre_run = pre_run;
    return m;
}

static inline struct machine_input input(enum machine_input_type type)
{
    return (struct machine_input){.type = type, .same_session = true, .binding = bound_at(5, 3), .run = id("r1")};
}

static inline bool apply(struct machine *m, enum machine_input_type type, struct machine_effects *fx)
{
    struct machine_input in = input(type);
    return machine_apply(m, &in, fx);
}

static inline void assert_effects(const struct machine_effects *fx, size_t count, const enum machine_effect *wanted)
{
    assert_int_equal(fx->count, count);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(machine_effect_name(fx->list[i]), machine_effect_name(wanted[i]));
}

#define EFFECTS(fx, ...)                                                                                               \
    assert_effects(fx, sizeof((enum machine_effect[]){__VA_ARGS__}) / sizeof(enum machine_effect),                     \
                   (enum machine_effect[]){__VA_ARGS__})

#endif
