/* What the supervisor's files share. supervisor.c: the process, its orders, ends; supervisor_spawn.c: how a child is
 * started. */
#ifndef MEERKAT_NODE_SUPERVISOR_IMPL_H
#define MEERKAT_NODE_SUPERVISOR_IMPL_H

#include "node/processes.h"
#include "node/supervisor.h"

#define CHILD_VARIABLE "MEERKAT_EXECUTOR_CHILD" /* in every child's environment: child.life */

enum slot_child_state { SLOT_CHILD_NONE, SLOT_CHILD_ALIVE, SLOT_CHILD_ENDING };

struct slot_child {
    enum slot_child_state state;
    uint32_t life;
    pid_t pid;       /* also of its group and session */
    int fds[3];      /* the node's ends, until they are sent */
    bool busy, over; /* over: it has ended, and was not taken away yet */
    enum child_why why;
    int status, error;
    uint32_t left;                 /* processes of it, at the last look */
    uint64_t give_up_ms;           /* ENDING */
    bool tell_started, tell_ended; /* reports to be sent */
};

struct supervising {
    int fd, signals, timer;
    pid_t pid;
    const struct supervisor_options *options;
    struct slot_child *slots;
    size_t count;
    uint64_t until_ms;
    struct processes processes;
    size_t hidden; /* nobody's processes that were still there at the last look: whose they were is not known */
};

uint64_t supervisor_now_ms(void);

/* Starts the slot's command in a session and group of its own, with three pipes and nothing else of ours. 0, or an
 * errno: nothing was started. */
int supervisor_spawn(const struct supervising *sup, struct slot_child *slot);

/* 0, 1 and 2 are /dev/null, /dev/null and what was there. */
void supervisor_close_all_but(int fd);

#endif
