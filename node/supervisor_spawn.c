#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "node/supervisor_impl.h"

#define SHELL          "/bin/sh"
#define OURS           "MEERKAT_"
#define VARIABLE_BYTES 160

extern char **environ;

void supervisor_close_all_but(int fd)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0) {
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
    }
    DIR *folder = opendir("/proc/self/fd");
    for (const struct dirent *entry; folder && (entry = readdir(folder));) {
        int each = (int)strtol(entry->d_name, NULL, 10);
        if (each > STDERR_FILENO && each != fd && each != dirfd(folder))
            close(each);
    }
    if (folder)
        closedir(folder);
}

/* --- its environment: the node's, without what is the node's own --- */

struct surroundings {
    char **variables;
    char node[VARIABLE_BYTES], name[VARIABLE_BYTES], child[VARIABLE_BYTES];
};

static const struct executor_name *name_of(const struct supervising *sup, size_t child)
{
    const struct executor_name *name = sup->options->names;
    while (child >= name->children)
        child -= name++->children;
    return name;
}

static bool surround(struct surroundings *out, const struct supervising *sup, const struct slot_child *slot)
{
    size_t count = 0, child = (size_t)(slot - sup->slots);
    while (environ[count])
        count++;
    out->variables = calloc(count + 4, sizeof *out->variables);
    if (!out->variables)
        return false;
    snprintf(out->node, sizeof out->node, OURS "NODE=%.*s", SPAN_ARGS(sup->options->node));
    snprintf(out->name, sizeof out->name, OURS "EXECUTOR_NAME=%s", name_of(sup, child)->name.text);
    snprintf(out->child, sizeof out->child, CHILD_VARIABLE "=%zu.%u", child, (unsigned)slot->life);
    count = 0;
    for (char **each = environ; *each; each++)
        if (strncmp(*each, OURS, sizeof OURS - 1) != 0)
            out->variables[count++] = *each;
    out->variables[count++] = out->node;
    out->variables[count++] = out->name;
    out->variables[count] = out->child;
    return true;
}

/* --- its descriptors --- */

struct pipes {
    int ends[3][2]; /* of stdin, stdout, stderr: to read, to write */
};

static void close_pipes(const struct pipes *pipes)
{
    for (size_t i = 0; i < 6; i++)
        if (pipes->ends[i / 2][i % 2] >= 0)
            close(pipes->ends[i / 2][i % 2]);
}

static bool open_pipes(struct pipes *pipes)
{
    bool open = true;
    *pipes = (struct pipes){{{-1, -1}, {-1, -1}, {-1, -1}}};
    for (size_t i = 0; i < 3 && open; i++) {
        int ends[2];
        open = pipe(ends) == 0;
        for (size_t e = 0; e < 2 && open; e++) {
            pipes->ends[i][e] = ends[e];
            fcntl(ends[e], F_SETFD, FD_CLOEXEC);
        }
    }
    return open;
}

/* --- the child, between fork and exec --- */

static void reset_signals(void)
{
    sigset_t none;
    for (int number = 1; number <= SIGRTMAX; number++)
        signal(number, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void become(pid_t supervisor, const struct pipes *pipes, const char *command,
                             const struct surroundings *around)
{
    char *argv[] = {(char[]){"sh"}, (char[]){"-c"}, (char *)(uintptr_t)command, NULL};
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != supervisor) /* it died before we had asked */
        _exit(127);
    dup2(pipes->ends[0][0], STDIN_FILENO);
    dup2(pipes->ends[1][1], STDOUT_FILENO);
    dup2(pipes->ends[2][1], STDERR_FILENO);
    reset_signals();
    execve(SHELL, argv, around->variables);
    _exit(127);
}

int supervisor_spawn(const struct supervising *sup, struct slot_child *slot)
{
    struct pipes pipes = {{{-1, -1}, {-1, -1}, {-1, -1}}};
    struct surroundings around = {NULL, "", "", ""};
    int error = 0;
    if (!surround(&around, sup, slot))
        return ENOMEM;
    if (!open_pipes(&pipes)) {
        error = errno;
        goto out;
    }
    slot->pid = fork();
    if (slot->pid == 0)
        become(sup->pid, &pipes, name_of(sup, (size_t)(slot - sup->slots))->command, &around);
    if (slot->pid < 0) {
        error = errno;
        goto out;
    }
    for (size_t i = 0; i < 3; i++) {
        size_t ours = i == 0; /* we write its stdin, and read the others */
        slot->fds[i] = pipes.ends[i][ours];
        pipes.ends[i][ours] = -1;
    }
out:
    close_pipes(&pipes);
    free(around.variables);
    return error;
}
