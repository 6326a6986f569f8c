/* What a session may be, as a set, and where operations lead it: the table of the sequences' model. */
#ifndef MEERKAT_TESTS_SIM_SEQUENCE_PHASES_H
#define MEERKAT_TESTS_SIM_SEQUENCE_PHASES_H

#include "tests/sim/sequence.h"

/* What a session may be. Bare: no executor. Kept: unregistered while retired or stopped, its record stays. */
enum base {
    ABSENT,
    KEPT_RETIRED,
    KEPT_STOPPED,
    BARE_IDLE,
    IDLE,
    BARE_ATTACHED,
    ATTACHED,
    STOPPING,
    BARE_RETIRED,
    RETIRED,
    STOPPED,
    DESTROYED,
    BASE_COUNT
};

#define BIT(base) (1u << (base))
#define ANYTHING  (BIT(BASE_COUNT) - 1)

bool phases_modelled(enum mk_op op);
/* The operation succeeded, or was refused so; 0: neither may be. is_leaving: an unregister may wait for its run. */
unsigned phases_after(const struct life *life, enum mk_op op, bool ok, enum mk_err err, bool is_leaving);
/* The same of an input that is accepted, or rejected not_ready or destroyed. */
unsigned phases_after_input(const struct life *life, const struct mk_admission *a, bool is_leaving);
unsigned phases_by_themselves(const struct life *life, unsigned set); /* what may have happened since */
unsigned phases_showing(unsigned set, struct span phase);             /* those of the set that show this phase */
const char *phases_text(struct sim *s, unsigned set);

bool life_asked(const struct life *life, uint64_t ops); /* one of this set of operations was sent */
#define OP(op) (1ull << MK_OP_##op)

#endif
