/* What the files of commands share: session_command.c, session_register.c, session_life.c, session_control.c,
 * session_service.c. Private to them. Each op_ performs one operation of a session for which session_command found no
 * reason to refuse it, and answers it. */
#ifndef MEERKAT_CORE_SESSION_OPS_H
#define MEERKAT_CORE_SESSION_OPS_H

#include "node/core/session_impl.h"

typedef void operation_fn(const struct turn_of *turn, const struct mk_command *command);

/* --- session_register.c --- */
operation_fn op_register, op_attach, op_prepare_bindings, op_unregister, op_unregister_if_epoch;
/* Who unregisters the session is answered: it is over. */
void answer_left(const struct turn_of *turn, const struct leaving *leaving, bool retained, size_t abandoned);

/* --- session_life.c --- */
operation_fn op_retire, op_reset, op_recycle, op_recover, op_stop, op_destroy, op_abandon_retired;

/* --- session_control.c --- */
operation_fn op_interrupt, op_cancel_after_boundary, op_silent_intents, op_withdraw, op_wake, op_publish_event,
    op_ingest;

/* --- session_service.c --- */
operation_fn op_start_conversation_run, op_commit_service_turn;

/* --- session_command.c: answers. Each that returns one: NULL when there is no memory --- */

/* Ok, with a map of data that is open, and not remembered. */
struct answer *answer_plain(const struct turn_of *turn, struct span to, struct span re);
/* The command's id will be answered with this from now on; on the condition that it is new to the store (rule 6). */
void answer_remember(const struct turn_of *turn, struct span id, uint64_t digest, struct answer *answer);
void answer_put_phase(const struct turn_of *turn, struct answer *answer);
void answer_with_phase(const struct turn_of *turn, const struct mk_command *command);
void answer_with_count(const struct turn_of *turn, const struct mk_command *command, const char *what, size_t count);
/* True: whether this very command was performed before is not known, and is being asked. A refusal must not hide it. */
bool command_asked(const struct turn_of *turn, const struct mk_command *command);
uint64_t command_digest(const struct mk_command *command);
struct span command_run(const struct mk_command *command); /* the run that is meant; absent: none is named */

#endif
