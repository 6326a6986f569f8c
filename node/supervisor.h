/* The supervisor: a process of its own, forked before the node has a thread, that starts the executors' children and
 * sees to it that none outlives its reason: it ends them all when the node dies, and those that run something when the
 * node has not said in time that its leases are good (design section 5, rule 12). It owns every child's processes: it
 * is their subreaper, and a child's end is told only when nothing that the child had started is left.
 *
 * Node and supervisor talk over a pair of unix sockets (SEQPACKET): orders one way, reports the other. Both are this
 * very program: the structs are the wire. */
#ifndef MEERKAT_NODE_SUPERVISOR_H
#define MEERKAT_NODE_SUPERVISOR_H

#include <sys/types.h>

#include "node/core/err.h"
#include "node/executor_name.h"

enum order_type {
    ORDER_SPAWN, /* start this child. Answered by REPORT_STARTED, and later by REPORT_ENDED if it was */
    ORDER_KILL,  /* end it, with all that it started */
    ORDER_BUSY,  /* busy: it has a run, which is not to outlive the leases */
    ORDER_FEED   /* until_ms */
};

struct supervisor_order {
    enum order_type type;
    uint32_t child; /* 0, 1, 2...: the children of the first name, then those of the next */
    uint32_t life;  /* chosen with ORDER_SPAWN; what names another life of the child is ignored */
    bool busy;
    uint64_t until_ms; /* by CLOCK_BOOTTIME; UINT64_MAX: nothing is at stake */
};

enum report_type {
    REPORT_STARTED, /* with three descriptors: its stdin, stdout, stderr; or error is an errno, and there are none */
    REPORT_ENDED
};

enum child_why {
    WHY_ITSELF,
    WHY_ORDER,
    WHY_FEED /* it had a run when the node's leases ran out */
};

struct supervisor_report {
    enum report_type type;
    uint32_t child, life;
    int pid, error;
    int status; /* as waitpid gives it */
    enum child_why why;
    uint32_t left; /* processes of it that did not end; there is no more that can be done about them */
};

struct supervisor {
    int fd; /* the node's end: reports are read from it, orders written to it; not blocking */
    pid_t pid;
};

struct supervisor_options {
    const struct executor_name *names;
    size_t name_count;
    struct span node;
    void *secret; /* wiped in the supervisor, which has no use for it; NULL: none */
    size_t secret_bytes;
};

/* Starts it, unless no name is a command: fd -1 then, pid 0. To be called before there is a thread.
 *   errors   REFUSED: the system has no process or descriptor to give */
enum mk_err supervisor_start(struct supervisor *out, const struct supervisor_options *options, struct mk_note *note);

size_t supervisor_children(const struct executor_name *names, size_t count); /* of all names together */

#endif
