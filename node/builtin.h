/* The executors that are always there, as pure logic: what a run returns, and after how long. Who calls it keeps the
 * time and honours cancels (node/executor.c, the simulator).
 *
 *   echo     result = body
 *   counter  adds the body's integer (1 if it is none) to its durable state; result {value: n}
 *   sleep    body = milliseconds; result = body
 *   fail     body {fail: n}: fails the first n attempts, then echoes; {die: true}: always
 *
 * Every input of a run has a result of its own. */
#ifndef MEERKAT_NODE_BUILTIN_H
#define MEERKAT_NODE_BUILTIN_H

#include "codec/buf.h"
#include "node/core/port.h"

enum builtin { BUILTIN_ECHO, BUILTIN_COUNTER, BUILTIN_SLEEP, BUILTIN_FAIL, BUILTIN_COUNT };

const char *builtin_name(enum builtin builtin);
enum builtin builtin_parse(struct span name); /* BUILTIN_COUNT when there is none of that name */

/* What a run returns. Owned by the caller; `done` points into the rest. */
struct builtin_run {
    uint64_t delay_ms; /* from the start of the run to its end */
    struct run_done done;
    struct buf bytes; /* results one after the other, then the state */
    struct span results[RUN_INPUTS_MAX];
    char message[96];
};

/* Fills `out`, which is zero or was released; keeps nothing of the request. Without memory the run fails, `overloaded`.
 */
void builtin_apply(struct builtin_run *out, enum builtin builtin, const struct run_request *request);

/* The run was cut short instead: RUN_CANCELLED or RUN_STOPPED, no result, no state. */
void builtin_cut_short(struct builtin_run *run, enum run_end end);

void builtin_release(struct builtin_run *run);

#endif
