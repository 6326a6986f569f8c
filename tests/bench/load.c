/* The measured side: durable inputs with a body of so many bytes, sent through libmeerkat over the bus to echo
 * sessions, so many on their way at a time, each timed from the sending to its completion. */
#include "tests/bench/bench.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/meerkat.h"

#define SECONDS_MAX 120 /* of a round; a machine that needs longer has a fault, not a speed */

struct load {
    struct mk_client *client;
    struct flight *flights; /* in_flight of them */
    struct mk_bytes body;
    const char *prefix; /* of the sessions' names */
    uint64_t inputs, sessions, sent, failed;
    struct bench_times times;
};

/* One place in the window. */
struct flight {
    struct load *load;
    uint64_t sent_us;
};

static void send_next(struct flight *flight);

static void on_answer(void *user, const struct mk_answer *answer)
{
    struct flight *flight = user;
    struct load *load = flight->load;
    if (answer->kind != MK_ANSWER_END)
        return;
    if (answer->end == MK_END_DONE)
        load->times.us[load->times.count++] = bench_now_us() - flight->sent_us;
    else if (load->failed++ == 0)
        fprintf(stderr, "bench: an input of %s failed: %.*s %s\n", answer->session, (int)answer->reason.bytes,
                answer->reason.bytes ? (const char *)answer->reason.at : "", answer->advice);
    if (load->sent < load->inputs)
        send_next(flight);
}

static void send_next(struct flight *flight)
{
    struct load *load = flight->load;
    char session[128];
    snprintf(session, sizeof session, "%s%llu", load->prefix, (unsigned long long)(load->sent % load->sessions));
    load->sent++;
    flight->sent_us = bench_now_us();
    struct mk_send send = {
        .session = session,
        .body = load->body,
        .await_completion = true,
        .timeout_ms = SECONDS_MAX * 1000,
        .on_answer = on_answer,
        .user = flight,
    };
    if (mk_client_send(load->client, &send) == MK_CLIENT_OK)
        return;
    load->failed++;
    fprintf(stderr, "bench: cannot send: %s\n", mk_client_error_text(load->client));
}

/* A msgpack string of so many bytes (str 16). NULL: no memory. */
static unsigned char *body_new(uint64_t bytes)
{
    unsigned char *body = malloc(bytes + 3);
    if (!body)
        return NULL;
    body[0] = 0xda;
    body[1] = (unsigned char)(bytes >> 8);
    body[2] = (unsigned char)bytes;
    memset(body + 3, 'x', bytes);
    return body;
}

static void run(struct load *load, uint64_t in_flight)
{
    for (uint64_t i = 0; i < in_flight && load->sent < load->inputs; i++) {
        load->flights[i] = (struct flight){.load = load};
        send_next(&load->flights[i]);
    }
    uint64_t end = bench_now_us() + SECONDS_MAX * 1000000ull;
    while (mk_client_unanswered(load->client) && bench_now_us() < end)
        mk_client_poll(load->client, 1000);
}

int bench_load(int argc, char **argv)
{
    if (argc != 6)
        return 2;
    uint64_t in_flight = bench_number(argv[3]), body_bytes = bench_number(argv[4]);
    struct load load = {.prefix = argv[5], .inputs = bench_number(argv[1]), .sessions = bench_number(argv[2])};
    if (!load.inputs || !load.sessions || !in_flight || in_flight > MK_CLIENT_WINDOW_MAX || body_bytes > UINT16_MAX) {
        fprintf(stderr, "bench: in flight 1..%d, body up to %d bytes\n", MK_CLIENT_WINDOW_MAX, UINT16_MAX);
        return 2;
    }
    char error[MK_ERROR_BYTES] = "no memory";
    int code = 1;
    unsigned char *body = body_new(body_bytes);
    load.body = (struct mk_bytes){body, body_bytes + 3};
    load.flights = calloc(in_flight, sizeof *load.flights);
    load.times.us = calloc(load.inputs, sizeof *load.times.us);
    struct mk_client_options options = {.bus = argv[0]};
    if (!body || !load.flights || !load.times.us || mk_client_open(&load.client, &options, error) != MK_CLIENT_OK) {
        fprintf(stderr, "bench: %s\n", error);
        goto out;
    }
    if (!mk_client_await_ready(load.client, 10000)) {
        fprintf(stderr, "bench: the bus %s does not answer\n", argv[0]);
        goto out;
    }
    uint64_t began = bench_now_us();
    run(&load, in_flight);
    uint64_t us = bench_now_us() - began;
    struct mk_view view;
    mk_client_view(load.client, &view);
    printf("us=%llu completed=%zu failed=%llu repeats=%llu p50_us=%llu p99_us=%llu\n", (unsigned long long)us,
           load.times.count, (unsigned long long)load.failed, (unsigned long long)view.repeats,
           (unsigned long long)bench_percentile(&load.times, 50),
           (unsigned long long)bench_percentile(&load.times, 99));
    code = load.times.count == load.inputs ? 0 : 1;
out:
    mk_client_close(load.client);
    free(load.times.us);
    free(load.flights);
    free(body);
    return code;
}
