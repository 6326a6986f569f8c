/* What every bus must do, on each transport: a real hub in this process, real endpoints, and strangers on raw sockets.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "bus/endpoint.h"
#include "bus/hub.h"
#include "node/core/limits.h"
#include "tests/lib/t.h"

#define REDIAL_MS        3000      /* as a node does that does not hear itself */
#define WAIT_MS          20000     /* bound of every wait */
#define QUIET_NS         60000000L /* the library needs 50 ms of silence before a subscriber may be closed */
#define WATCHDOG_SECONDS 120

struct fixture {
    struct hub *hub;
    struct bus_url url;
    char folder[32];
    enum bus_scheme scheme;
};

/* An endpoint and what it has heard. */
struct peer {
    struct endpoint *endpoint;
    int wake_fd;
    size_t frames, bytes;
    unsigned long long next; /* number expected next, of frames made by numbered() */
    size_t out_of_order;
    bool hello, heartbeat;
};

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* --- peers --- */

static void wake(void *user)
{
    const struct peer *peer = user;
    uint64_t one = 1;
    assert_int_equal(write(peer->wake_fd, &one, sizeof one), sizeof one);
}

static void on_frame(void *user, struct span frame)
{
    struct peer *peer = user;
    unsigned long long number;
    if (frame.bytes > 3 && memcmp(frame.at, "hb/", 3) == 0) {
        peer->heartbeat = true;
        return;
    }
    if (frame.bytes > 5 && memcmp(frame.at, "hello", 5) == 0) {
        peer->hello = true;
        return;
    }
    peer->frames++;
    peer->bytes += frame.bytes;
    const char *body = memchr(frame.at, '\0', frame.bytes);
    char text[32] = "";
    if (body)
        snprintf(text, sizeof text, "%.*s", (int)(frame.at + frame.bytes - body - 1), body + 1);
    if (sscanf(text, "%llu", &number) == 1 && number != peer->next++)
        peer->out_of_order++;
}

static void take(struct peer *peer, uint64_t wait_ms)
{
    uint64_t woken;
    struct pollfd ready = {.fd = peer->wake_fd, .events = POLLIN};
    if (poll(&ready, 1, (int)wait_ms) > 0)
        assert_int_equal(read(peer->wake_fd, &woken, sizeof woken), sizeof woken);
    while (endpoint_drain(peer->endpoint, on_frame, peer, 100))
        ;
}

/* Until the peer has heard so many frames. */
static void expect_frames(struct peer *peer, size_t frames)
{
    for (uint64_t until_ms = now_ms() + WAIT_MS; peer->frames < frames && now_ms() < until_ms;)
        take(peer, 100);
    assert_int_equal(peer->frames, frames);
}

static void send_text(struct peer *peer, const char *topic, const char *body)
{
    char frame[64];
    int bytes = snprintf(frame, sizeof frame, "%s%c%s", topic, '\0', body);
    assert_true(bytes > 0 && (size_t)bytes < sizeof frame);
    assert_true(endpoint_publish(peer->endpoint, (struct span){frame, (size_t)bytes}));
}

static void send_number(struct peer *peer, const char *topic, unsigned long long number)
{
    char body[32];
    snprintf(body, sizeof body, "%llu ", number);
    send_text(peer, topic, body);
}

/* A peer that hears itself through the hub, so that nothing of what follows is lost. */
static void peer_open(struct peer *peer, const struct fixture *f, const char *prefix, size_t queue_frames)
{
    struct endpoint_options options = {.hubs = {.list = {f->url}, .count = 1},
                                       .frame_bytes_max = FRAME_BYTES_DEFAULT,
                                       .queue_frames_max = queue_frames,
                                       .wake = wake,
                                       .wake_user = peer};
    struct mk_note note = {{0}};
    char hello[32];
    memset(peer, 0, sizeof *peer);
    peer->wake_fd = eventfd(0, EFD_CLOEXEC);
    if (endpoint_open(&peer->endpoint, &options, &note) != MK_ERR_OK)
        fail_msg("%s", note.text);
    snprintf(hello, sizeof hello, "hello%d", peer->wake_fd);
    assert_int_equal(endpoint_subscribe(peer->endpoint, (struct span){hello, strlen(hello) + 1}, NULL), MK_ERR_OK);
    uint64_t redial_ms = now_ms() + REDIAL_MS;
    for (uint64_t until_ms = now_ms() + WAIT_MS; !peer->hello && now_ms() < until_ms;) {
        if (now_ms() > redial_ms) {
            endpoint_redial(peer->endpoint);
            redial_ms += REDIAL_MS;
        }
        send_text(peer, hello, "x");
        take(peer, 50);
    }
    assert_true(peer->hello);
    if (prefix)
        assert_int_equal(endpoint_subscribe(peer->endpoint, span_of(prefix), NULL), MK_ERR_OK);
}

static void pause_for_silence(void)
{
    nanosleep(&(struct timespec){.tv_nsec = QUIET_NS}, NULL);
}

static void peer_close(struct peer *peer)
{
    endpoint_close(peer->endpoint);
    close(peer->wake_fd);
}

/* --- the hub --- */

static void listen_url(struct fixture *f, char *text, size_t room)
{
    if (f->scheme == BUS_TCP)
        snprintf(text, room, "tcp://127.0.0.1:0");
    else if (f->scheme == BUS_IPC)
        snprintf(text, room, "ipc://%s/hub", f->folder);
    else
        snprintf(text, room, "inproc://hub%p", (void *)f);
}

static int open_hub(void **state, enum bus_scheme scheme)
{
    struct fixture *f = calloc(1, sizeof *f);
    char text[BUS_URL_BYTES_MAX + 1];
    struct mk_note note = {{0}};
    struct hub_options options = {.id = SPAN_LIT("h1"), .frame_bytes_max = FRAME_BYTES_DEFAULT};
    assert_non_null(f);
    f->scheme = scheme;
    snprintf(f->folder, sizeof f->folder, "/tmp/mk-bus-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    listen_url(f, text, sizeof text);
    assert_int_equal(bus_url_parse(span_of(text), &options.listen, &note), MK_ERR_OK);
    if (hub_open(&f->hub, &options, &note) != MK_ERR_OK)
        fail_msg("%s", note.text);
    f->url = *hub_url(f->hub);
    *state = f;
    return 0;
}

static int open_tcp(void **state)
{
    return open_hub(state, BUS_TCP);
}

static int open_ipc(void **state)
{
    return open_hub(state, BUS_IPC);
}

static int open_inproc(void **state)
{
    return open_hub(state, BUS_INPROC);
}

static int close_hub(void **state)
{
    struct fixture *f = *state;
    char path[64];
    hub_quiet(f->hub);
    pause_for_silence();
    hub_close(f->hub);
    snprintf(path, sizeof path, "%s/hub", f->folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/hub.out", f->folder);
    unlink(path);
    rmdir(f->folder);
    free(f);
    return 0;
}

/* --- cases on every transport --- */

static void test_bus__frames_arrive_in_order_at_every_subscriber(void **state)
{
    struct peer one, two;
    peer_open(&one, *state, "in/", 0);
    peer_open(&two, *state, "in/", 0);
    for (unsigned i = 0; i < 1000; i++)
        send_number(&one, "in/0001/s", i);
    expect_frames(&one, 1000);
    expect_frames(&two, 1000);
    assert_int_equal(one.out_of_order + two.out_of_order, 0);
    pause_for_silence();
    peer_close(&one);
    peer_close(&two);
}

static void test_bus__a_burst_of_2000_arrives_whole(void **state)
{
    struct peer peer;
    peer_open(&peer, *state, "ev/", 0);
    for (unsigned i = 0; i < 2000; i++)
        send_number(&peer, "ev/s", i);
    expect_frames(&peer, 2000);
    assert_int_equal(peer.out_of_order, 0);
    pause_for_silence();
    peer_close(&peer);
}

static void test_bus__a_terminated_prefix_hears_one_topic_only(void **state)
{
    struct peer peer;
    peer_open(&peer, *state, NULL, 0);
    assert_int_equal(endpoint_subscribe(peer.endpoint, (struct span){"re/c1", 6}, NULL), MK_ERR_OK);
    send_number(&peer, "re/c10", 7);
    send_number(&peer, "re/c", 7);
    send_number(&peer, "re/c1", 0);
    expect_frames(&peer, 1);
    assert_int_equal(peer.out_of_order, 0);
    endpoint_unsubscribe(peer.endpoint, (struct span){"re/c1", 6});
    send_number(&peer, "re/c1", 1);
    assert_int_equal(endpoint_subscribe(peer.endpoint, SPAN_LIT("ev/"), NULL), MK_ERR_OK);
    pause_for_silence();
    peer_close(&peer);
}

static void test_bus__the_longest_frame_passes_and_a_longer_one_is_refused(void **state)
{
    struct peer peer;
    struct endpoint_status status;
    char *big = calloc(1, 8u << 20);
    assert_non_null(big);
    memcpy(big, "in/0001/s", 9);
    big[10] = 'x';
    peer_open(&peer, *state, "in/", 0);
    assert_true(endpoint_publish(peer.endpoint, (struct span){big, FRAME_BYTES_DEFAULT}));
    assert_false(endpoint_publish(peer.endpoint, (struct span){big, FRAME_BYTES_DEFAULT + 1}));
    assert_false(endpoint_publish(peer.endpoint, (struct span){big, 8u << 20}));
    expect_frames(&peer, 1);
    assert_int_equal(peer.bytes, FRAME_BYTES_DEFAULT);
    endpoint_status(peer.endpoint, &status);
    assert_int_equal(status.refused, 2);
    free(big);
    pause_for_silence();
    peer_close(&peer);
}

static void test_bus__a_frame_without_topic_is_refused_and_counted(void **state)
{
    struct fixture *f = *state;
    struct peer peer;
    struct hub_counts before, after;
    peer_open(&peer, f, "", 0);
    hub_counts(f->hub, &before);
    assert_true(endpoint_publish(peer.endpoint, SPAN_LIT("no zero byte in here")));
    assert_true(endpoint_publish(peer.endpoint, (struct span){"\0map", 4}));
    send_number(&peer, "in/0001/s", 0);
    send_number(&peer, "new/class", 1);
    expect_frames(&peer, 2);
    hub_counts(f->hub, &after);
    assert_int_equal(after.refused - before.refused, 2);
    assert_int_equal(after.by_class[TOPIC_IN] - before.by_class[TOPIC_IN], 1);
    assert_int_equal(after.frames_in - before.frames_in, 4);
    pause_for_silence();
    peer_close(&peer);
}

static void test_bus__the_hub_says_that_it_lives(void **state)
{
    struct peer peer;
    peer_open(&peer, *state, "hb/h1", 0);
    for (uint64_t until_ms = now_ms() + WAIT_MS; !peer.heartbeat && now_ms() < until_ms;)
        take(&peer, 100);
    assert_true(peer.heartbeat);
    pause_for_silence();
    peer_close(&peer);
}

static void test_bus__a_full_queue_drops_the_newest_and_counts(void **state)
{
    struct peer reader, writer;
    struct endpoint_status status;
    peer_open(&reader, *state, "in/", 10);
    peer_open(&writer, *state, "ev/", 0);
    for (unsigned i = 0; i < 50; i++)
        send_number(&writer, "in/0001/s", i);
    uint64_t until_ms = now_ms() + WAIT_MS;
    do {
        endpoint_status(reader.endpoint, &status);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    } while (status.waiting + status.dropped < 50 && now_ms() < until_ms);
    assert_int_equal(status.waiting, 10);
    assert_int_equal(status.dropped, 40);
    expect_frames(&reader, 10);
    assert_int_equal(reader.out_of_order, 0);
    pause_for_silence();
    peer_close(&reader);
    peer_close(&writer);
}

static void test_bus__a_quiet_endpoint_is_never_woken(void **state)
{
    struct peer quiet, other;
    struct pollfd woken;
    peer_open(&quiet, *state, "in/", 0);
    peer_open(&other, *state, "in/", 0);
    take(&quiet, 0);
    endpoint_quiet(quiet.endpoint);
    for (unsigned i = 0; i < 100; i++)
        send_number(&quiet, "in/0001/s", i); /* it still publishes */
    expect_frames(&other, 100);
    woken = (struct pollfd){.fd = quiet.wake_fd, .events = POLLIN};
    assert_int_equal(poll(&woken, 1, 0), 0);
    assert_int_equal(endpoint_drain(quiet.endpoint, on_frame, &quiet, 10), 0);
    assert_int_equal(quiet.frames, 0);
    pause_for_silence();
    peer_close(&quiet);
    peer_close(&other);
}

/* --- strangers, on sockets that can be reached from outside --- */

static int stranger(const struct bus_end *end)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    struct sockaddr_in net = {.sin_family = AF_INET, .sin_port = htons((uint16_t)bus_end_port(end))};
    struct timeval patience = {.tv_usec = 200000}; /* a dead listener answers nothing */
    bool ipc = end->scheme == BUS_IPC;
    int fd = socket(ipc ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    snprintf(local.sun_path, sizeof local.sun_path, "%.*s", (int)sizeof local.sun_path - 1, bus_end_path(end));
    net.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, ipc ? (const struct sockaddr *)&local : (const struct sockaddr *)&net,
                ipc ? sizeof local : sizeof net) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* False: nobody reads there any more. */
static bool say(int fd, const void *bytes, size_t count)
{
    return fd >= 0 && send(fd, bytes, count, MSG_NOSIGNAL) == (ssize_t)count;
}

/* Greets as a publisher (32) or subscriber (33) does, and reads the answer. */
static void greet(int fd, char protocol)
{
    char in[8];
    const char out[8] = {0, 'S', 'P', 0, 0, protocol, 0, 0};
    say(fd, out, sizeof out);
    if (fd >= 0)
        assert_true(recv(fd, in, sizeof in, MSG_WAITALL) <= 8);
}

static void hang_up(int fd)
{
    if (fd >= 0)
        close(fd);
}

static void molest(const struct bus_end *end, char protocol)
{
    char noise[4096];
    unsigned seed = 12345;
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (char)((seed = seed * 1103515245u + 12345u) >> 16);
    hang_up(stranger(end)); /* connects and goes */
    int fd = stranger(end);
    say(fd, noise, sizeof noise); /* no greeting at all */
    hang_up(fd);
    fd = stranger(end);
    say(fd, "\0SP", 3); /* half a greeting */
    hang_up(fd);
    fd = stranger(end);
    greet(fd, 16); /* another protocol */
    hang_up(fd);
    fd = stranger(end);
    greet(fd, protocol);
    say(fd, noise, sizeof noise); /* a greeting, then noise: a length beyond every bound */
    hang_up(fd);
    fd = stranger(end);
    greet(fd, protocol); /* a proper peer that vanishes */
    hang_up(fd);
}

/* 3,000 frames without a topic, then a half one. */
static void flood(const struct bus_end *end)
{
    char frame[9 + 5] = {0};
    bool ipc = end->scheme == BUS_IPC; /* a byte more in front there */
    size_t head = ipc ? 9 : 8;
    int fd = stranger(end);
    greet(fd, 32);
    frame[0] = ipc ? 1 : 0;
    frame[head - 1] = 5;
    memcpy(frame + head, "noise", 5);
    for (int i = 0; i < 3000 && say(fd, frame, head + 5); i++)
        ;
    say(fd, frame, 6);
    hang_up(fd);
}

static void test_bus__strangers_do_not_stop_it(void **state)
{
    struct fixture *f = *state;
    struct peer before, after;
    peer_open(&before, f, "in/", 0);
    for (int i = 0; i < 3; i++) {
        molest(&f->url.in, 32);
        molest(&f->url.out, 33);
    }
    flood(&f->url.in);
    send_number(&before, "in/0001/s", 0); /* who was there goes on */
    expect_frames(&before, 1);
    peer_open(&after, f, "in/", 0); /* who comes is let in, at the latest when a dead listener was replaced */
    send_number(&after, "in/0001/s", 1);
    expect_frames(&before, 2);
    expect_frames(&after, 1);
    pause_for_silence();
    peer_close(&before);
    peer_close(&after);
}

/* --- opening --- */

static void test_hub__an_address_that_is_taken_is_refused(void **state)
{
    struct fixture *f = *state;
    struct hub *second = NULL;
    struct mk_note note = {{0}};
    struct hub_options options = {.id = SPAN_LIT("h2"), .listen = f->url, .frame_bytes_max = FRAME_BYTES_DEFAULT};
    assert_int_equal(hub_open(&second, &options, &note), MK_ERR_REFUSED);
    assert_null(second);
    assert_non_null(strstr(note.text, f->url.out.text));
}

static void test_hub__a_folder_open_to_others_is_refused(void **state)
{
    struct fixture *f = *state;
    struct hub *second = NULL;
    struct mk_note note = {{0}};
    char text[64];
    struct hub_options options = {.id = SPAN_LIT("h2"), .frame_bytes_max = FRAME_BYTES_DEFAULT};
    snprintf(text, sizeof text, "ipc://%s/other", f->folder);
    assert_int_equal(bus_url_parse(span_of(text), &options.listen, &note), MK_ERR_OK);
    assert_int_equal(chmod(f->folder, 0755), 0);
    assert_int_equal(hub_open(&second, &options, &note), MK_ERR_REFUSED);
    assert_non_null(strstr(note.text, "chmod 700"));
    assert_int_equal(chmod(f->folder, 0700), 0);
}

static void test_hub__a_file_is_not_taken_for_a_socket(void **state)
{
    struct fixture *f = *state;
    struct hub *second = NULL;
    struct mk_note note = {{0}};
    char text[64], path[64];
    struct hub_options options = {.id = SPAN_LIT("h2"), .frame_bytes_max = FRAME_BYTES_DEFAULT};
    snprintf(path, sizeof path, "%s/file.out", f->folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    snprintf(text, sizeof text, "ipc://%s/file", f->folder);
    assert_int_equal(bus_url_parse(span_of(text), &options.listen, &note), MK_ERR_OK);
    assert_int_equal(hub_open(&second, &options, &note), MK_ERR_REFUSED);
    assert_int_equal(access(path, F_OK), 0); /* still there */
    unlink(path);
}

#define ON(transport, test) cmocka_unit_test_setup_teardown(test, open_##transport, close_hub)
#define EVERYWHERE(test)    ON(tcp, test), ON(ipc, test), ON(inproc, test)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EVERYWHERE(test_bus__frames_arrive_in_order_at_every_subscriber),
        EVERYWHERE(test_bus__a_burst_of_2000_arrives_whole),
        EVERYWHERE(test_bus__a_terminated_prefix_hears_one_topic_only),
        EVERYWHERE(test_bus__the_longest_frame_passes_and_a_longer_one_is_refused),
        EVERYWHERE(test_bus__a_frame_without_topic_is_refused_and_counted),
        EVERYWHERE(test_bus__the_hub_says_that_it_lives),
        EVERYWHERE(test_bus__a_full_queue_drops_the_newest_and_counts),
        EVERYWHERE(test_bus__a_quiet_endpoint_is_never_woken),
        ON(tcp, test_bus__strangers_do_not_stop_it),
        ON(ipc, test_bus__strangers_do_not_stop_it),
        EVERYWHERE(test_hub__an_address_that_is_taken_is_refused),
        ON(ipc, test_hub__a_folder_open_to_others_is_refused),
        ON(ipc, test_hub__a_file_is_not_taken_for_a_socket),
    };
    alarm(WATCHDOG_SECONDS); /* the library's way to fail is to hang */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
