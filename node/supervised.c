#include "node/supervised.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "node/processes.h"

#define SILENCE_MS 20000 /* it answers an order at once, but for a child that does not go: five seconds */
#define END_ALL_MS 2000

struct supervised {
    struct supervised_options options;
    uv_poll_t poll;
    uv_timer_t silence;
    struct supervisor_order *orders; /* waiting for the socket */
    size_t order_count, order_room;
    size_t awaited; /* reports that must come */
    bool warned;    /* the silence is looked at twice: we may have slept ourselves */
    bool lost;
    int closing;
};

/* --- the end --- */

static void lose(struct supervised *supervised, const char *why)
{
    if (supervised->lost)
        return;
    supervised->lost = true;
    uv_poll_stop(&supervised->poll);
    uv_timer_stop(&supervised->silence);
    kill(supervised->options.supervisor.pid, SIGKILL);
    processes_end_all(END_ALL_MS);
    supervised->options.on_lost(supervised->options.user, why);
}

static void on_silence(uv_timer_t *timer)
{
    struct supervised *supervised = timer->data;
    if (!supervised->awaited)
        return;
    if (supervised->warned)
        lose(supervised, "the supervisor of the executors does not answer");
    else
        uv_timer_start(timer, on_silence, SILENCE_MS / 10, 0);
    supervised->warned = true;
}

static void await(struct supervised *supervised, bool more)
{
    supervised->warned = false;
    if (more)
        supervised->awaited++;
    else
        uv_timer_stop(&supervised->silence);
    if (supervised->awaited && !uv_is_active((uv_handle_t *)&supervised->silence))
        uv_timer_start(&supervised->silence, on_silence, SILENCE_MS, 0);
}

/* --- reports --- */

/* Copies the descriptors out; false: there are none. */
static bool take_fds(struct msghdr *message, int fds[3])
{
    struct cmsghdr *head = CMSG_FIRSTHDR(message);
    if (!head || head->cmsg_type != SCM_RIGHTS || head->cmsg_len < CMSG_LEN(sizeof(int)))
        return false;
    size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    int got[3] = {-1, -1, -1};
    memcpy(got, CMSG_DATA(head), (count < 3 ? count : 3) * sizeof(int));
    if (count >= 3) {
        memcpy(fds, got, sizeof got);
        return true;
    }
    for (size_t i = 0; i < count; i++)
        close(got[i]); /* this process could not hold all of them */
    return false;
}

static bool receive(struct supervised *supervised)
{
    struct supervisor_report report;
    struct iovec bytes = {&report, sizeof report};
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(3 * sizeof(int))];
    } control;
    struct msghdr message = {
        .msg_iov = &bytes, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room};
    int fds[3];
    ssize_t got = recvmsg(supervised->options.supervisor.fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (got != (ssize_t)sizeof report) {
        lose(supervised, "the supervisor of the executors has died");
        return false;
    }
    bool open = take_fds(&message, fds);
    if (supervised->awaited)
        supervised->awaited--;
    await(supervised, false);
    if (report.type == REPORT_STARTED && !report.error && !open)
        report.error = EMFILE;
    supervised->options.on_report(supervised->options.user, &report, open ? fds : NULL);
    return !supervised->lost && !supervised->closing;
}

/* --- orders --- */

static bool send_order(struct supervised *supervised, const struct supervisor_order *order)
{
    ssize_t sent = send(supervised->options.supervisor.fd, order, sizeof *order, MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent >= 0 || errno != EAGAIN; /* another error: its end will be read */
}

static void on_socket(uv_poll_t *poll, int status, int events);

static void listen_for(struct supervised *supervised)
{
    int events = UV_READABLE | (supervised->order_count ? UV_WRITABLE : 0);
    uv_poll_start(&supervised->poll, events, on_socket);
}

static void send_waiting(struct supervised *supervised)
{
    size_t sent = 0;
    while (sent < supervised->order_count && send_order(supervised, &supervised->orders[sent]))
        sent++;
    if (!sent)
        return;
    supervised->order_count -= sent;
    memmove(supervised->orders, supervised->orders + sent, supervised->order_count * sizeof *supervised->orders);
    listen_for(supervised);
}

static void on_socket(uv_poll_t *poll, int status, int events)
{
    struct supervised *supervised = poll->data;
    (void)events;
    if (status < 0) {
        lose(supervised, "the socket of the executors' supervisor has failed");
        return;
    }
    while (receive(supervised))
        continue;
    if (!supervised->lost && !supervised->closing)
        send_waiting(supervised);
}

static void queue(struct supervised *supervised, const struct supervisor_order *order)
{
    if (supervised->order_count == supervised->order_room) {
        size_t room = supervised->order_room ? 2 * supervised->order_room : 64;
        struct supervisor_order *orders = realloc(supervised->orders, room * sizeof *orders);
        if (!orders)
            abort();
        supervised->orders = orders;
        supervised->order_room = room;
    }
    supervised->orders[supervised->order_count++] = *order;
    listen_for(supervised);
}

void supervised_order(struct supervised *supervised, const struct supervisor_order *order)
{
    if (supervised->lost)
        return;
    if (order->type == ORDER_SPAWN || order->type == ORDER_KILL)
        await(supervised, true);
    if (supervised->order_count || !send_order(supervised, order))
        queue(supervised, order);
}

bool supervised_clear(const struct supervised *supervised)
{
    return !supervised->order_count;
}

/* --- life --- */

struct supervised *supervised_open(uv_loop_t *loop, const struct supervised_options *options)
{
    struct supervised *supervised = calloc(1, sizeof *supervised);
    if (!supervised)
        return NULL;
    supervised->options = *options;
    uv_poll_init(loop, &supervised->poll, options->supervisor.fd);
    uv_timer_init(loop, &supervised->silence);
    supervised->poll.data = supervised->silence.data = supervised;
    listen_for(supervised);
    return supervised;
}

static void on_closed(uv_handle_t *handle)
{
    struct supervised *supervised = handle->data;
    if (--supervised->closing)
        return;
    close(supervised->options.supervisor.fd);
    free(supervised->orders);
    free(supervised);
}

void supervised_close(struct supervised *supervised)
{
    supervised->closing = 2;
    uv_close((uv_handle_t *)&supervised->poll, on_closed);
    uv_close((uv_handle_t *)&supervised->silence, on_closed);
}
