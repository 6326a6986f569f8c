#include "bus/client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "node/core/crc16.h"

#define DRAIN_FRAMES 4096 /* heard in one poll, so that sending has its turn */

static uint64_t clock_ms(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t client__now_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC);
}

uint64_t client__unix_ms(void)
{
    return clock_ms(CLOCK_REALTIME);
}

void client__random_id(struct mk_id *out)
{
    uint8_t chance[16];
    char text[2 * sizeof chance + 1];
    if (getrandom(chance, sizeof chance, 0) != (ssize_t)sizeof chance)
        abort(); /* the kernel has no chance to give: nothing is safe then */
    for (size_t i = 0; i < sizeof chance; i++)
        snprintf(text + 2 * i, 3, "%02x", chance[i]);
    id_set(out, span_of(text));
}

/* --- opening --- */

static void wake(void *user)
{
    const struct mk_client *client = user;
    uint64_t one = 1;
    ssize_t n = write(client->wake_fd, &one, sizeof one);
    (void)n; /* full: it is readable already */
}

static enum mk_err read_partitions(struct mk_client *client, uint32_t given)
{
    const char *text = getenv("MEERKAT_PARTITIONS");
    char *end = NULL;
    client->partitions = given ? given : PARTITIONS_DEFAULT;
    if (!given && text && *text) {
        unsigned long value = strtoul(text, &end, 10);
        client->partitions = *end || value > PARTITIONS_MAX ? 0 : (uint32_t)value;
    }
    if (client->partitions == 0 || client->partitions > PARTITIONS_MAX)
        return err_set(&client->note, MK_ERR_INVALID_FIELD, "partitions %s: wanted 1 to %d", given ? "given" : text,
                       PARTITIONS_MAX);
    return MK_ERR_OK;
}

static enum mk_err read_id(struct mk_client *client, const char *given)
{
    client__random_id(&client->id);
    client__random_id(&client->probe);
    if (!given)
        return MK_ERR_OK;
    if (!session_id_valid(span_of(given)) || !id_set(&client->id, span_of(given)))
        return err_set(&client->note, MK_ERR_INVALID_FIELD, "client id `%.80s`: wanted 1..%d bytes of [A-Za-z0-9._:-]",
                       given, MESSAGE_ID_BYTES_MAX);
    return MK_ERR_OK;
}

static enum mk_err subscribe(struct mk_client *client)
{
    char text[TOPIC_BYTES_MAX + 1];
    struct topic mine = {.class = TOPIC_RE, .name = id_span(&client->id)};
    size_t bytes = topic_write(text, sizeof text, &mine);
    enum mk_err err = endpoint_subscribe(client->endpoint, (struct span){text, bytes}, &client->note);
    return err ? err : endpoint_subscribe(client->endpoint, SPAN_LIT("hb/"), &client->note);
}

static enum mk_err configure(struct mk_client *client, const struct mk_client_options *options)
{
    const char *bus = options->bus ? options->bus : getenv("MEERKAT_BUS");
    bus = bus && *bus ? bus : BUS_URL_DEFAULT;
    client->frame_bytes_max = options->frame_bytes_max ? options->frame_bytes_max : FRAME_BYTES_DEFAULT;
    client->window = options->window ? options->window : MK_CLIENT_WINDOW_MAX;
    if (client->window > MK_CLIENT_WINDOW_MAX)
        return err_set(&client->note, MK_ERR_INVALID_FIELD, "window %zu: wanted 1 to %d", client->window,
                       MK_CLIENT_WINDOW_MAX);
    snprintf(client->hubs, sizeof client->hubs, "%s", bus);
    enum mk_err err = read_partitions(client, options->partitions);
    if (!err)
        err = read_id(client, options->client_id);
    if (err)
        return err;
    struct endpoint_options to = {.frame_bytes_max = client->frame_bytes_max, .wake = wake, .wake_user = client};
    err = bus_urls_parse(span_of(bus), &to.hubs, &client->note);
    if (!err && !pending_table_init(&client->table, client->window))
        err = err_set(&client->note, MK_ERR_OVERLOADED, "no memory for a client");
    if (!err)
        err = endpoint_open(&client->endpoint, &to, &client->note);
    return err ? err : subscribe(client);
}

static enum mk_client_error error_of(enum mk_err err)
{
    if (err == MK_ERR_OK)
        return MK_CLIENT_OK;
    if (err == MK_ERR_OVERLOADED)
        return MK_CLIENT_NO_MEMORY;
    return err == MK_ERR_REFUSED ? MK_CLIENT_REFUSED : MK_CLIENT_INVALID;
}

enum mk_client_error mk_client_open(struct mk_client **out, const struct mk_client_options *options,
                                    char error[MK_ERROR_BYTES])
{
    *out = NULL;
    struct mk_client *client = calloc(1, sizeof *client);
    if (!client) {
        snprintf(error, MK_ERROR_BYTES, "no memory for a client");
        return MK_CLIENT_NO_MEMORY;
    }
    client->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    enum mk_err err = client->wake_fd < 0
                          ? err_set(&client->note, MK_ERR_REFUSED, "no file descriptor: %s", strerror(errno))
                          : configure(client, options);
    if (err) {
        snprintf(error, MK_ERROR_BYTES, "%s", client->note.text);
        mk_client_close(client);
        return error_of(err);
    }
    client->batch.pub = id_span(&client->id);
    client->batch.pe = client__unix_ms();
    client->batch.frame_bytes_max = client->frame_bytes_max;
    *out = client;
    return MK_CLIENT_OK;
}

void mk_client_close(struct mk_client *client)
{
    if (!client)
        return;
    endpoint_leave(client->endpoint);
    if (client->wake_fd >= 0)
        close(client->wake_fd);
    if (client->table.buckets)
        pending_table_fini(&client->table);
    batch_fini(&client->batch);
    buf_fini(&client->scratch);
    free(client);
}

/* --- answering --- */

void client__tell(struct mk_client *client, struct pending *pending, struct mk_answer *answer)
{
    answer->id = pending->id.text;
    answer->session = pending->session;
    answer->admitted = pending->admitted;
    answer->deduplicated = pending->deduplicated;
    answer->advice = answer->advice ? answer->advice : "";
    client->answers++;
    if (pending->on_answer)
        pending->on_answer(pending->user, answer);
}

void client__end(struct mk_client *client, struct pending *pending, struct mk_answer *answer)
{
    answer->kind = MK_ANSWER_END;
    pending_take(&client->table, pending);
    client__tell(client, pending, answer);
    pending_free(pending);
}

void client__expire(struct mk_client *client, struct pending *pending)
{
    struct mk_answer answer = {.end = MK_END_UNKNOWN};
    if (pending->gather && pending->items) {
        answer = (struct mk_answer){.end = MK_END_DONE, .outcome = bytes_of(SPAN_LIT("ok"))};
    } else if (pending->reason != MK_ERR_OK && !pending->admitted) {
        const char *code = mk_err_code(pending->reason);
        answer = (struct mk_answer){.end = MK_END_REFUSED,
                                    .outcome = bytes_of(SPAN_LIT("rejected")),
                                    .reason = bytes_of(span_of(code)),
                                    .detail = bytes_of(span_of(pending->detail))};
    } else {
        answer.advice = client__advice(client, pending);
    }
    client__end(client, pending, &answer);
}

/* --- running --- */

static void probe(struct mk_client *client, uint64_t now_ms)
{
    char text[TOPIC_BYTES_MAX + 1];
    struct topic mine = {.class = TOPIC_RE, .name = id_span(&client->id)};
    struct mk_result hello = {.re = id_span(&client->probe), .ok = true};
    struct message_from from = {.node = id_span(&client->id), .ts = client__unix_ms()};
    buf_reset(&client->scratch);
    buf_append(&client->scratch, text, topic_write(text, sizeof text, &mine));
    result_pack(&client->scratch, id_span(&client->probe), &from, &hello);
    if (!client->scratch.failed)
        endpoint_publish(client->endpoint, buf_span(&client->scratch));
    client->probe_due_ms = now_ms + PROBE_MS;
    if (client->redial_due_ms && client->redial_due_ms <= now_ms)
        endpoint_redial(client->endpoint);
    if (client->redial_due_ms <= now_ms)
        client->redial_due_ms = now_ms + REDIAL_MS;
}

/* Sends the whole queue. What the bus does not take counts as sent: it is repeated in time. */
static void flush(struct mk_client *client, uint64_t now_ms)
{
    struct mk_id id;
    size_t taken = 0;
    while (TAILQ_FIRST(&client->table.queue)) {
        client__random_id(&id);
        struct batch_now now = {client__unix_ms(), id_span(&id)};
        struct span frame = batch_frame(&client->batch, &client->table, client->partitions, now, &taken);
        if (frame.bytes)
            endpoint_publish(client->endpoint, frame);
        for (size_t i = 0; i < taken; i++) {
            struct pending *first = TAILQ_FIRST(&client->table.queue);
            client->repeats += first->sends > 0;
            pending_sent(&client->table, first, now_ms, now.unix_ms);
        }
    }
}

static void send_due(struct mk_client *client, uint64_t now_ms)
{
    if (!client->ready && client->probe_due_ms <= now_ms)
        probe(client, now_ms);
    if (!client->ready)
        return;
    pending_enqueue_due(&client->table, now_ms);
    flush(client, now_ms);
}

uint64_t mk_client_due_ms(const struct mk_client *client)
{
    uint64_t now_ms = client__now_ms();
    uint64_t due_ms = pending_due_ms(&client->table);
    if (client->ready && TAILQ_FIRST(&client->table.queue))
        return 0;
    if (!client->ready && client->probe_due_ms < due_ms)
        due_ms = client->probe_due_ms;
    if (due_ms == UINT64_MAX)
        return due_ms;
    return due_ms > now_ms ? due_ms - now_ms : 0;
}

static void wait_for_frames(const struct mk_client *client, uint64_t timeout_ms)
{
    uint64_t due_ms = mk_client_due_ms(client);
    uint64_t wait_ms = due_ms < timeout_ms ? due_ms : timeout_ms;
    struct pollfd ready = {.fd = client->wake_fd, .events = POLLIN};
    poll(&ready, 1, wait_ms > INT32_MAX ? INT32_MAX : (int)wait_ms);
}

static void on_frame(void *user, struct span frame)
{
    client__hear(user, frame);
}

size_t mk_client_poll(struct mk_client *client, uint64_t timeout_ms)
{
    uint64_t woken;
    client->answers = 0;
    send_due(client, client__now_ms());
    wait_for_frames(client, timeout_ms);
    ssize_t n = read(client->wake_fd, &woken, sizeof woken); /* before draining, or a wake would be lost */
    (void)n;
    if (endpoint_drain(client->endpoint, on_frame, client, DRAIN_FRAMES))
        wake(client);
    for (struct pending *p; (p = pending_expired(&client->table, client__now_ms()));)
        client__expire(client, p);
    send_due(client, client__now_ms()); /* what the callbacks have queued */
    return client->answers;
}

bool mk_client_await_ready(struct mk_client *client, uint64_t timeout_ms)
{
    uint64_t until_ms = client__now_ms() + timeout_ms;
    for (uint64_t now_ms; !client->ready && (now_ms = client__now_ms()) < until_ms;)
        mk_client_poll(client, until_ms - now_ms);
    return client->ready;
}

bool mk_client_ready(const struct mk_client *client)
{
    return client->ready;
}

int mk_client_fd(const struct mk_client *client)
{
    return client->wake_fd;
}

size_t mk_client_unanswered(const struct mk_client *client)
{
    return client->table.count;
}

const char *mk_client_id(const struct mk_client *client)
{
    return client->id.text;
}

const char *mk_client_error_text(const struct mk_client *client)
{
    return client->note.text;
}
