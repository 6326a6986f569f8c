/* One node for a trace: the real driver and core over the shipped scripts in memory, a bus that ends here, an executor
 * that waits for the trace's verdicts, and a clock that moves when it is told to. */
#ifndef MEERKAT_TESTS_TRACES_WORLD_H
#define MEERKAT_TESTS_TRACES_WORLD_H

#include <jansson.h>
#include <stdbool.h>

#include "node/core/session.h"

#define WORLD_SESSION "s"

struct world;

/* durable: the store survives its node; else both are one process. live_boundary: the executor takes inputs into a turn
 * while it is applied, and never refuses one. The first node is
 * not started yet. Ends the process when there is no memory. */
struct world *world_new(bool durable, bool live_boundary);
void world_free(struct world *world);

void world_start(struct world *world); /* a new life on the same store, until it is ready */
void world_crash(struct world *world); /* kill -9: the node, and what its executor had begun */
bool world_alive(const struct world *world);

/* Puts a message on the bus: class "in" or "ctl"; takes the reference. Nobody hears it while no node lives. */
void world_send(struct world *world, const char *class, json_t *message);

/* All that is at hand, and every timer that is due within a few seconds of virtual time. */
void world_settle(struct world *world);

/* What was said to `re/<client>` since the last call, in order: {"to": client, "message": {...}}. Takes it away. */
json_t *world_heard(struct world *world);

/* What the executor was asked since the last call, in order, in the traces' form but with our ids of runs. */
json_t *world_asked(struct world *world);

/* The executor's apply returns. False: it has nothing to return from, or the word is not known. */
bool world_finish(struct world *world, const char *with);

/* The session in the node's memory; NULL: not there. For what the wire does not show. */
const struct session *world_session(const struct world *world);

#endif
