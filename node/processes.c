#include "node/processes.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ENVIRONMENT_BYTES (1u << 18) /* looked at */
#define PASS_MS           5

void processes_fini(struct processes *processes)
{
    free(processes->list);
    *processes = (struct processes){NULL, 0, 0};
}

/* --- one process --- */

static size_t read_file(const char *path, char *out, size_t room)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t bytes = 0;
    ssize_t got = 0;
    while (fd >= 0 && bytes < room - 1 && (got = read(fd, out + bytes, room - 1 - bytes)) > 0)
        bytes += (size_t)got;
    if (fd >= 0)
        close(fd);
    out[bytes] = '\0';
    return bytes;
}

/* "pid (name) state ppid pgrp session ...", where the name may hold anything. False: it is gone. */
static bool read_process(pid_t pid, struct process *out)
{
    char path[64], text[512], state;
    int parent, group, session;
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    if (!read_file(path, text, sizeof text))
        return false;
    const char *rest = strrchr(text, ')');
    if (!rest || sscanf(rest + 1, " %c %d %d %d", &state, &parent, &group, &session) != 4)
        return false;
    *out = (struct process){pid, parent, group, session, state == 'Z' || state == 'X'};
    return true;
}

bool process_environment(pid_t pid, const char *name, char *value, size_t room)
{
    char path[64];
    char *text = malloc(ENVIRONMENT_BYTES);
    size_t length = strlen(name), bytes;
    bool found = false;
    if (!text)
        return false;
    snprintf(path, sizeof path, "/proc/%ld/environ", (long)pid);
    bytes = read_file(path, text, ENVIRONMENT_BYTES);
    for (const char *at = text; at < text + bytes && !found; at += strlen(at) + 1) {
        found = strncmp(at, name, length) == 0 && at[length] == '=';
        if (found)
            snprintf(value, room, "%s", at + length + 1);
    }
    free(text);
    return found;
}

/* --- all of them --- */

static bool add(struct processes *processes, const struct process *process)
{
    if (processes->count == processes->room) {
        size_t room = processes->room ? 2 * processes->room : 256;
        struct process *list = realloc(processes->list, room * sizeof *list);
        if (!list)
            return false;
        processes->list = list;
        processes->room = room;
    }
    processes->list[processes->count++] = *process;
    return true;
}

static int by_pid(const void *a, const void *b)
{
    pid_t x = ((const struct process *)a)->pid, y = ((const struct process *)b)->pid;
    return (x > y) - (x < y);
}

const struct process *processes_find(const struct processes *processes, pid_t pid)
{
    const struct process wanted = {.pid = pid};
    return processes->count ? bsearch(&wanted, processes->list, processes->count, sizeof wanted, by_pid) : NULL;
}

/* The list is not of one moment: a parent may have gone before it was its turn. Then its child has another one by now.
 */
static void find_parents(struct processes *processes)
{
    for (size_t i = 0; i < processes->count; i++) {
        struct process *process = &processes->list[i];
        for (size_t tries = 0; tries < 3 && process->parent && !processes_find(processes, process->parent); tries++)
            read_process(process->pid, process);
    }
}

static bool read_all(struct processes *processes)
{
    DIR *folder = opendir("/proc");
    bool whole = folder != NULL;
    processes->count = 0;
    for (const struct dirent *entry; whole && (entry = readdir(folder));) {
        struct process process;
        long pid = strtol(entry->d_name, NULL, 10);
        if (pid > 0 && read_process((pid_t)pid, &process))
            whole = add(processes, &process);
    }
    if (folder)
        closedir(folder);
    if (whole && processes->count)
        qsort(processes->list, processes->count, sizeof *processes->list, by_pid);
    find_parents(processes);
    return whole;
}

/* Pids come back: what looks like a ring has no root, and is left out. */
static bool is_below(const struct processes *processes, const struct process *process, pid_t root)
{
    for (size_t steps = 0; process && steps <= processes->count; steps++) {
        if (process->parent == root)
            return true;
        process = processes_find(processes, process->parent);
    }
    return false;
}

bool processes_below(struct processes *processes, pid_t root)
{
    if (!read_all(processes))
        return false;
    bool *below = calloc(processes->count + 1, sizeof *below);
    size_t kept = 0;
    if (!below)
        return false;
    for (size_t i = 0; i < processes->count; i++)
        below[i] = is_below(processes, &processes->list[i], root);
    for (size_t i = 0; i < processes->count; i++)
        if (below[i])
            processes->list[kept++] = processes->list[i];
    processes->count = kept;
    free(below);
    return true;
}

bool processes_end_all(uint64_t bound_ms)
{
    struct processes left = {NULL, 0, 0};
    bool known = false;
    for (uint64_t waited = 0; waited < bound_ms; waited += PASS_MS) {
        while (waitpid(-1, NULL, WNOHANG) > 0)
            continue;
        known = processes_below(&left, getpid());
        if (known && !left.count)
            break;
        for (size_t i = 0; known && i < left.count; i++)
            kill(left.list[i].pid, SIGKILL);
        poll(NULL, 0, PASS_MS); /* for them to go */
    }
    bool none = known && !left.count;
    processes_fini(&left);
    return none;
}
