/* What results tell, held against what was known when the question was sent. */
#ifndef MEERKAT_TESTS_SIM_SEQUENCE_TOLD_H
#define MEERKAT_TESTS_SIM_SEQUENCE_TOLD_H

#include "tests/sim/sequence.h"

/* Values of a map: absent, or 0, when they are not there. raw: the whole value, absent when it is nil. */
struct span told_text(struct span map, const char *name);
uint64_t told_number(struct span map, const char *name);
struct span told_raw(struct span map, const char *name);

bool told_too_late(const struct mk_command *command); /* its deadline had passed when it was sent */
bool told_final_rightly(struct sim *s, struct span session, enum mk_err err, bool of_input);
/* The data of a success. */
void told_data(struct sequence *q, const struct mk_command *command, const struct note *note, struct span data);

#endif
