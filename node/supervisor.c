#include "node/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "node/processes.h"
#include "node/supervisor_impl.h"

#define PASS_MS    10    /* between two looks at what was killed and is still there */
#define GIVE_UP_MS 5000  /* a killed process that stays so long will not go */
#define OTHER_FDS  512   /* of the node */
#define LAST_MS    10000 /* the same, when all of them are to go */

uint64_t supervisor_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

size_t supervisor_children(const struct executor_name *names, size_t count)
{
    size_t children = 0;
    for (size_t i = 0; i < count; i++)
        children += names[i].children;
    return children;
}

/* --- reports --- */

static bool send_report(struct supervising *sup, const struct supervisor_report *report, const int *fds)
{
    struct iovec bytes = {(void *)(uintptr_t)report, sizeof *report};
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(3 * sizeof(int))];
    } control = {{0}};
    struct msghdr message = {.msg_iov = &bytes, .msg_iovlen = 1};
    if (fds) {
        message.msg_control = control.room;
        message.msg_controllen = sizeof control.room;
        control.head = (struct cmsghdr){CMSG_LEN(3 * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.head), fds, 3 * sizeof(int));
    }
    return sendmsg(sup->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0 || errno != EAGAIN;
}

static bool tell_started(struct supervising *sup, struct slot_child *slot)
{
    struct supervisor_report report = {.type = REPORT_STARTED,
                                       .child = (uint32_t)(slot - sup->slots),
                                       .life = slot->life,
                                       .pid = slot->error ? 0 : slot->pid,
                                       .error = slot->error};
    if (!send_report(sup, &report, slot->error ? NULL : slot->fds))
        return false;
    for (size_t i = 0; i < 3 && !slot->error; i++)
        close(slot->fds[i]);
    slot->tell_started = false;
    return true;
}

static bool tell_ended(struct supervising *sup, struct slot_child *slot)
{
    struct supervisor_report report = {.type = REPORT_ENDED,
                                       .child = (uint32_t)(slot - sup->slots),
                                       .life = slot->life,
                                       .pid = slot->pid,
                                       .status = slot->status,
                                       .why = slot->why,
                                       .left = slot->left};
    if (!send_report(sup, &report, NULL))
        return false;
    slot->tell_ended = false;
    slot->state = SLOT_CHILD_NONE;
    return true;
}

/* False: the socket is full, the rest waits until it is not. */
static bool tell(struct supervising *sup)
{
    for (size_t i = 0; i < sup->count; i++) {
        struct slot_child *slot = &sup->slots[i];
        if ((slot->tell_started && !tell_started(sup, slot)) || (slot->tell_ended && !tell_ended(sup, slot)))
            return false;
    }
    return true;
}

/* --- ends --- */

static void end_child(struct slot_child *slot, enum child_why why)
{
    if (slot->state != SLOT_CHILD_ALIVE)
        return;
    slot->state = SLOT_CHILD_ENDING;
    slot->why = why;
    slot->left = 0;
    slot->give_up_ms = supervisor_now_ms() + GIVE_UP_MS;
    kill(-slot->pid, SIGKILL);
    kill(slot->pid, SIGKILL); /* it may not have its group yet */
}

/* Looks, and takes nobody away: as long as a child was not taken away its number means it, and nobody else. */
static bool look_for_ends(struct supervising *sup)
{
    bool any = false;
    for (size_t i = 0; i < sup->count; i++) {
        struct slot_child *slot = &sup->slots[i];
        siginfo_t info = {0};
        if (slot->state == SLOT_CHILD_NONE || slot->over)
            continue;
        if (waitid(P_PID, (id_t)slot->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0)
            continue;
        slot->over = any = true;
        end_child(slot, WHY_ITSELF);
    }
    return any;
}

/* Everything that it had started is gone, or will not go. */
static void finish_child(struct slot_child *slot)
{
    if (slot->over)
        waitpid(slot->pid, &slot->status, WNOHANG);
    slot->tell_ended = true;
}

static struct slot_child *slot_of_pid(struct supervising *sup, pid_t pid)
{
    for (size_t i = 0; i < sup->count; i++)
        if (sup->slots[i].state != SLOT_CHILD_NONE && !sup->slots[i].tell_ended && sup->slots[i].pid == pid)
            return &sup->slots[i];
    return NULL;
}

/* Who ran away from its parent and its group still carries the name it was born with. */
static struct slot_child *slot_of_mark(struct supervising *sup, pid_t pid)
{
    char value[64];
    unsigned child, life;
    if (!process_environment(pid, CHILD_VARIABLE, value, sizeof value) || sscanf(value, "%u.%u", &child, &life) != 2)
        return NULL;
    struct slot_child *slot = child < sup->count ? &sup->slots[child] : NULL;
    return slot && slot->life == life && slot->state != SLOT_CHILD_NONE ? slot : NULL;
}

/* NULL: it hides. */
static struct slot_child *owner_of(struct supervising *sup, const struct process *process)
{
    const pid_t pid = process->pid;
    while (process) {
        struct slot_child *slot = slot_of_pid(sup, process->pid);
        slot = slot ? slot : slot_of_pid(sup, process->group);
        slot = slot ? slot : slot_of_pid(sup, process->session);
        if (slot)
            return slot;
        process = processes_find(&sup->processes, process->parent);
    }
    return slot_of_mark(sup, pid);
}

/* Who hides is nobody's any more, and goes too. */
static void sweep_one(struct supervising *sup, const struct process *process)
{
    if (process->zombie) {
        if (process->parent == sup->pid && !slot_of_pid(sup, process->pid))
            waitpid(process->pid, NULL, WNOHANG);
        return;
    }
    struct slot_child *slot = owner_of(sup, process);
    if (slot && slot->state != SLOT_CHILD_ENDING)
        return;
    bool could = kill(process->pid, SIGKILL) == 0;
    if (slot)
        slot->left++;
    else
        sup->hidden += could;
}

/* One pass over all that live below us. Returns whether another one is needed soon. */
static bool sweep(struct supervising *sup)
{
    bool again = false;
    uint64_t now_ms = supervisor_now_ms();
    sup->hidden = 0;
    for (size_t i = 0; i < sup->count; i++)
        sup->slots[i].left = 0;
    if (processes_below(&sup->processes, sup->pid))
        for (size_t i = 0; i < sup->processes.count; i++)
            sweep_one(sup, &sup->processes.list[i]);
    look_for_ends(sup);
    for (size_t i = 0; i < sup->count; i++) {
        struct slot_child *slot = &sup->slots[i];
        if (slot->state != SLOT_CHILD_ENDING || slot->tell_ended)
            continue;
        if ((slot->over && !slot->left && !sup->hidden) || now_ms >= slot->give_up_ms)
            finish_child(slot);
        else
            again = true;
    }
    return again;
}

/* --- orders --- */

static void set_timer(const struct supervising *sup)
{
    bool on = sup->until_ms != UINT64_MAX;
    struct itimerspec when = {.it_value = {(time_t)(sup->until_ms / 1000), (long)(sup->until_ms % 1000) * 1000000}};
    if (!on)
        when.it_value = (struct timespec){0, 0};
    else if (sup->until_ms == 0)
        when.it_value.tv_nsec = 1; /* all zero would mean never */
    timerfd_settime(sup->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

/* The leases are not good any more, as far as anybody told us. */
static void mind_the_leases(struct supervising *sup)
{
    if (supervisor_now_ms() < sup->until_ms)
        return;
    for (size_t i = 0; i < sup->count; i++)
        if (sup->slots[i].busy)
            end_child(&sup->slots[i], WHY_FEED);
}

static void spawn(struct supervising *sup, uint32_t child, uint32_t life)
{
    struct slot_child *slot = &sup->slots[child];
    if (slot->state != SLOT_CHILD_NONE || slot->tell_started)
        return;
    *slot = (struct slot_child){.life = life};
    slot->error = supervisor_spawn(sup, slot);
    slot->state = slot->error ? SLOT_CHILD_NONE : SLOT_CHILD_ALIVE;
    slot->tell_started = true;
}

static void obey(struct supervising *sup, const struct supervisor_order *order)
{
    if (order->type == ORDER_FEED) {
        sup->until_ms = order->until_ms;
        set_timer(sup);
        return;
    }
    if (order->child >= sup->count)
        return;
    struct slot_child *slot = &sup->slots[order->child];
    if (order->type == ORDER_SPAWN)
        spawn(sup, order->child, order->life);
    else if (slot->life == order->life && order->type == ORDER_KILL)
        end_child(slot, WHY_ORDER);
    else if (slot->life == order->life)
        slot->busy = order->busy;
}

/* False: the node is gone. */
static bool take_orders(struct supervising *sup)
{
    struct supervisor_order order;
    ssize_t got;
    while ((got = recv(sup->fd, &order, sizeof order, MSG_DONTWAIT)) == (ssize_t)sizeof order)
        obey(sup, &order);
    return got < 0 && (errno == EAGAIN || errno == EINTR);
}

/* --- the process --- */

static void drain(int fd)
{
    char bytes[sizeof(struct signalfd_siginfo)];
    while (read(fd, bytes, sizeof bytes) > 0)
        continue;
}

static void serve(struct supervising *sup)
{
    bool again = false, all_told = true, node_lives = true;
    while (node_lives) {
        struct pollfd fds[] = {{sup->fd, (short)(POLLIN | (all_told ? 0 : POLLOUT)), 0},
                               {sup->signals, POLLIN, 0},
                               {sup->timer, POLLIN, 0}};
        if (poll(fds, 3, again ? PASS_MS : -1) < 0 && errno != EINTR)
            break;
        if (fds[0].revents)
            node_lives = take_orders(sup);
        if (fds[2].revents)
            drain(sup->timer);
        bool died = fds[1].revents != 0;
        if (died) {
            drain(sup->signals);
            look_for_ends(sup);
        }
        mind_the_leases(sup);
        bool ending = again || died;
        for (size_t i = 0; i < sup->count && !ending; i++)
            ending = sup->slots[i].state == SLOT_CHILD_ENDING && !sup->slots[i].tell_ended;
        again = ending && sweep(sup);
        all_told = tell(sup);
    }
}

/* Nothing of the node's but the socket, and a terminal's Ctrl-C is not for us: the node decides when to leave. */
static void settle(struct supervising *sup)
{
    sigset_t all;
    setsid();
    prctl(PR_SET_NAME, "meerkat-super");
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    supervisor_close_all_but(sup->fd);
    sigemptyset(&all);
    sigaddset(&all, SIGCHLD);
    sup->signals = signalfd(-1, &all, SFD_NONBLOCK | SFD_CLOEXEC);
    sup->timer = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
}

static _Noreturn void run(int fd, const struct supervisor_options *options)
{
    struct supervising sup = {.fd = fd,
                              .pid = getpid(),
                              .options = options,
                              .count = supervisor_children(options->names, options->name_count),
                              .until_ms = UINT64_MAX};
    settle(&sup);
    sup.slots = calloc(sup.count, sizeof *sup.slots);
    if (sup.slots && sup.signals >= 0 && sup.timer >= 0)
        serve(&sup);
    for (size_t i = 0; i < sup.count && sup.slots; i++)
        end_child(&sup.slots[i], WHY_ORDER);
    processes_end_all(LAST_MS);
    _exit(0);
}

/* Three descriptors a child, in the node only: its children have what the node was given. */
static void make_room(size_t children)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)(3 * children + OTHER_FDS);
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    setrlimit(RLIMIT_NOFILE, &limit);
}

enum mk_err supervisor_start(struct supervisor *out, const struct supervisor_options *options, struct mk_note *note)
{
    int pair[2];
    *out = (struct supervisor){.fd = -1};
    if (!supervisor_children(options->names, options->name_count))
        return MK_ERR_OK;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
        return err_set(note, MK_ERR_REFUSED, "no socket for the supervisor: %s", strerror(errno));
    pid_t pid = fork();
    if (pid == 0) {
        if (options->secret)
            memset(options->secret, 0, options->secret_bytes);
        close(pair[0]);
        run(pair[1], options);
    }
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        return err_set(note, MK_ERR_REFUSED, "no process for the supervisor: %s", strerror(errno));
    }
    make_room(supervisor_children(options->names, options->name_count));
    /* Should the supervisor die before us, what it looked after comes to us, to be ended. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    *out = (struct supervisor){.fd = pair[0], .pid = pid};
    return MK_ERR_OK;
}
