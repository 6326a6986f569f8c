/* The node's one thread: a libuv loop that gives the driver what came from the bus, the store and the executors, turn
 * by turn, and ends when it is told to. */
#ifndef MEERKAT_NODE_LOOP_H
#define MEERKAT_NODE_LOOP_H

#include "bus/endpoint.h"
#include "node/config.h"

enum { EXIT_STOPPED = 0, EXIT_FAULTY = 1, EXIT_USAGE = 2, EXIT_PREFLIGHT = 5 };

struct loop;

/* NULL: no memory, or no descriptors. Config and logger outlive the loop. supervisor: of the executors that are
 * commands; taken. */
struct loop *loop_new(const struct config *config, struct logger *logger, const struct supervisor *supervisor);

/* For endpoint_options.wake: may be called from any thread. */
void loop_wake(void *loop);

/* Serves until a signal or a fault ends it: opens store, executors, HTTP and driver, says when it is ready, leaves
 * gracefully. Returns the exit code; the reason of one that is not 0 has been said on stderr. Nothing is freed: the
 * process ends next, for the bus cannot be closed under traffic (bus/endpoint.h). `bus`: as the ready line is to name
 * it. */
int loop_run(struct loop *loop, struct endpoint *endpoint, const char *bus);

#endif
