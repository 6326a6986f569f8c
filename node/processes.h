/* What /proc says of the processes below one: for killing whatever a child has started, also what left its group. */
#ifndef MEERKAT_NODE_PROCESSES_H
#define MEERKAT_NODE_PROCESSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct process {
    pid_t pid, parent, group, session;
    bool zombie; /* over; only its parent can make it go */
};

struct processes {
    struct process *list; /* ascending pid */
    size_t count, room;
};

void processes_fini(struct processes *processes);

/* Fills the list with all that descend from `root`, itself left out. False: no memory, or no /proc. */
bool processes_below(struct processes *processes, pid_t root);

const struct process *processes_find(const struct processes *processes, pid_t pid); /* NULL: not in the list */

/* The value of a variable in the environment that the process was started with; false: not there, or not to be read. */
bool process_environment(pid_t pid, const char *name, char *value, size_t room);

/* Kills and reaps everything below this process until nothing is left, or so long. Returns whether nothing is. */
bool processes_end_all(uint64_t bound_ms);

#endif
