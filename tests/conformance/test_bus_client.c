/* libmeerkat against a node that the test plays itself, through a real hub: retries, batches, ends, the window. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "bus/endpoint.h"
#include "bus/hub.h"
#include "bus/meerkat.h"
#include "codec/message.h"
#include "node/core/crc16.h"
#include "tests/lib/t.h"

#define WAIT_MS          15000
#define WATCHDOG_SECONDS 120

/* What the played node does with an input. */
enum manner {
    COMPLETES,
    ADMITS_ONLY,
    SILENT,
    REJECTS_FINAL,
    REJECTS_PASSING, /* overloaded, until it has refused twice */
    ABANDONS,
    DEDUPLICATES /* answers with the completion of an older id */
};

struct fixture {
    struct hub *hub;
    struct bus_url url;
    char bus[BUS_URL_PAIR_BYTES];
    struct endpoint *node;
    struct mk_client *client;
    enum manner manner;
    unsigned deaf; /* how many frames are ignored first */
    bool moves;    /* another owner comes when the last of them was */
    uint64_t fence, moved_ms;
    uint32_t partitions; /* of the played cluster */
    unsigned frames, batches, items, repeats;
    char last_topic[TOPIC_BYTES_MAX + 1];
    uint64_t next_ps, gaps;
    bool beats;
    /* the client's answers */
    unsigned admitted, ended, collected;
    enum mk_end end;
    char outcome[40], reason[40], advice[MK_ERROR_BYTES];
    bool final, deduplicated;
    unsigned ends[4];
};

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* --- the played node --- */

static void reply(struct fixture *f, struct span to, void (*pack)(struct buf *out, void *arg), void *arg)
{
    char text[TOPIC_BYTES_MAX + 1];
    struct buf frame = {0};
    struct topic topic = {.class = TOPIC_RE, .name = to};
    buf_append(&frame, text, topic_write(text, sizeof text, &topic));
    pack(&frame, arg);
    assert_false(frame.failed);
    assert_true(endpoint_publish(f->node, buf_span(&frame)));
    buf_fini(&frame);
}

static const struct message_from from = {.node = {"n1", 2}, .fence = 7, .ts = 1};

static void pack_admission(struct buf *out, void *arg)
{
    admission_pack(out, SPAN_LIT("a1"), &from, arg);
}

static void pack_completion(struct buf *out, void *arg)
{
    completion_pack(out, SPAN_LIT("c1"), arg);
}

static struct mk_completion completion_of(const struct mk_input *in, struct span id, enum mk_outcome outcome)
{
    return (struct mk_completion){.session = in->session,
                                  .input = id,
                                  .outcome = outcome,
                                  .result = in->body,
                                  .seq = 1,
                                  .fence = 7,
                                  .generation = 1,
                                  .node = {"n1", 2},
                                  .epoch = {"e1", 2},
                                  .ts = 1};
}

static void answer_input(struct fixture *f, const struct mk_input *in)
{
    struct mk_admission admission = {.re = in->h.id,
                                     .session = in->session,
                                     .outcome = MK_ACCEPTED,
                                     .durability = MK_DURABLE,
                                     .phase = SPAN_LIT("queued")};
    struct mk_completion completion =
        completion_of(in, in->h.id, f->manner == ABANDONS ? MK_ABANDONED_WITH_ERROR : MK_COMPLETED);
    bool rejects = f->manner == REJECTS_FINAL || (f->manner == REJECTS_PASSING && f->items <= 2);
    struct buf old = {0};
    if (f->manner == SILENT)
        return;
    if (rejects) {
        admission.outcome = MK_REJECTED;
        admission.reason = f->manner == REJECTS_FINAL ? MK_ERR_ID_CONFLICT : MK_ERR_OVERLOADED;
        admission.final = f->manner == REJECTS_FINAL;
        admission.detail = SPAN_LIT("because of the test");
    }
    if (f->manner == DEDUPLICATES) {
        completion.input = SPAN_LIT("older");
        completion_pack(&old, SPAN_LIT("c1"), &completion);
        admission.outcome = MK_DEDUPLICATED;
        admission.existing = SPAN_LIT("older");
        admission.completion = buf_span(&old);
    }
    reply(f, in->reply_to, pack_admission, &admission);
    buf_fini(&old);
    if (!rejects && (f->manner == COMPLETES || f->manner == REJECTS_PASSING || f->manner == ABANDONS))
        reply(f, in->reply_to, pack_completion, &completion);
}

static void pack_result(struct buf *out, void *arg)
{
    result_pack(out, SPAN_LIT("r1"), &from, arg);
}

static void answer_command(struct fixture *f, const struct mk_command *in)
{
    struct mk_result ok = {.re = in->h.id, .session = in->session, .ok = true};
    struct mk_result no = {
        .re = in->h.id, .error = MK_ERR_NOT_READY, .message = SPAN_LIT("no"), .phase = SPAN_LIT("idle")};
    reply(f, in->reply_to, pack_result, in->op == MK_OP_RETIRE ? &no : &ok);
}

static void hear_item(struct fixture *f, struct span item, const struct topic *topic)
{
    struct message_head head;
    struct mk_note note = {{0}};
    struct mk_input input;
    struct mk_command command;
    assert_int_equal(message_head_read(item, &head, &note), MK_ERR_OK);
    if (head.type == MK_COMMAND) {
        assert_int_equal(command_read(item, &command, &note), MK_ERR_OK);
        answer_command(f, &command);
        return;
    }
    if (input_read(item, &input, &note) != MK_ERR_OK)
        fail_msg("%s", note.text);
    uint32_t partition = partition_of(input.session, f->partitions);
    if (!topic->any_partition && topic->partition != partition)
        return; /* a real node answers wrong_partition; the client learns from heartbeats alone here */
    f->items++;
    f->repeats += input.born != 0;
    answer_input(f, &input);
}

static void count_ps(struct fixture *f, const struct mk_header *h, enum topic_class class)
{
    if (class != TOPIC_IN)
        return;
    f->gaps += h->ps != f->next_ps;
    f->next_ps = h->ps + 1;
}

static void on_frame(void *user, struct span frame)
{
    struct fixture *f = user;
    struct span text, map, item;
    struct topic topic;
    struct message_head head;
    struct batch_reader batch;
    assert_int_equal(frame_split(frame, &text, &map), MK_ERR_OK);
    assert_int_equal(topic_parse(text, &topic), MK_ERR_OK);
    if (topic.class == TOPIC_HB)
        return;
    snprintf(f->last_topic, sizeof f->last_topic, "%.*s", SPAN_ARGS(text));
    assert_int_equal(message_head_read(map, &head, NULL), MK_ERR_OK);
    f->frames++;
    count_ps(f, &head.h, topic.class);
    if (f->deaf) {
        f->deaf--;
        if (!f->deaf && f->moves) {
            f->fence++;
            f->moved_ms = now_ms();
        }
        return;
    }
    if (head.type != MK_BATCH) {
        hear_item(f, map, &topic);
        return;
    }
    f->batches++;
    assert_int_equal(batch_open(map, &batch, NULL), MK_ERR_OK);
    while (batch_next(&batch, &item))
        hear_item(f, item, &topic);
}

static void beat(struct fixture *f)
{
    char text[TOPIC_BYTES_MAX + 1];
    struct buf frame = {0};
    struct topic topic = {.class = TOPIC_HB, .name = SPAN_LIT("n1")};
    const struct mk_owned owned = {.partition = partition_of(SPAN_LIT("s1"), f->partitions),
                                   .history = SPAN_LIT("h"),
                                   .fence = f->fence,
                                   .sequence = 1};
    const struct mk_heartbeat in = {.node = SPAN_LIT("n1"),
                                    .incarnation = SPAN_LIT("i1"),
                                    .phase = SPAN_LIT("ready"),
                                    .partitions_total = f->partitions,
                                    .owned = &owned,
                                    .owned_count = 1};
    buf_append(&frame, text, topic_write(text, sizeof text, &topic));
    heartbeat_pack(&frame, SPAN_LIT("b1"), 1, &in);
    assert_true(endpoint_publish(f->node, buf_span(&frame)));
    buf_fini(&frame);
}

/* --- the client --- */

static void copy(char *out, size_t room, struct mk_bytes text)
{
    snprintf(out, room, "%.*s", (int)text.bytes, text.at ? (const char *)text.at : "");
}

static void on_answer(void *user, const struct mk_answer *answer)
{
    struct fixture *f = user;
    f->admitted += answer->kind == MK_ANSWER_ADMITTED;
    f->collected += answer->kind == MK_ANSWER_ITEM;
    if (answer->kind != MK_ANSWER_END)
        return;
    f->ended++;
    f->ends[answer->end]++;
    f->end = answer->end;
    f->final = answer->final;
    f->deduplicated = answer->deduplicated;
    copy(f->outcome, sizeof f->outcome, answer->outcome);
    copy(f->reason, sizeof f->reason, answer->reason);
    snprintf(f->advice, sizeof f->advice, "%s", answer->advice);
}

/* Lets both play until everything is answered. */
static void play(struct fixture *f)
{
    uint64_t beat_ms = 0;
    for (uint64_t until_ms = now_ms() + WAIT_MS; mk_client_unanswered(f->client) && now_ms() < until_ms;) {
        if (f->beats && now_ms() >= beat_ms) {
            beat(f);
            beat_ms = now_ms() + 200;
        }
        mk_client_poll(f->client, 5);
        endpoint_drain(f->node, on_frame, f, 1000);
    }
    assert_int_equal(mk_client_unanswered(f->client), 0);
}

static struct mk_send input_of(struct fixture *f, const char *session)
{
    return (struct mk_send){.session = session,
                            .body = {"\x07", 1},
                            .await_completion = true,
                            .timeout_ms = 8000,
                            .on_answer = on_answer,
                            .user = f};
}

static void send_one(struct fixture *f, struct mk_send send)
{
    if (mk_client_send(f->client, &send) != MK_CLIENT_OK)
        fail_msg("%s", mk_client_error_text(f->client));
}

/* --- set up --- */

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    char text[64], error[MK_ERROR_BYTES] = "";
    struct mk_note note = {{0}};
    assert_non_null(f);
    f->partitions = 256;
    f->next_ps = 1;
    f->fence = 7;
    f->beats = true;
    snprintf(text, sizeof text, "inproc://client%p", (void *)f);
    struct hub_options options = {.id = SPAN_LIT("h1"), .frame_bytes_max = FRAME_BYTES_DEFAULT};
    assert_int_equal(bus_url_parse(span_of(text), &options.listen, &note), MK_ERR_OK);
    assert_int_equal(hub_open(&f->hub, &options, &note), MK_ERR_OK);
    f->url = *hub_url(f->hub);
    bus_url_write(f->bus, sizeof f->bus, &f->url);
    struct endpoint_options to = {.hubs = {.list = {f->url}, .count = 1}, .frame_bytes_max = FRAME_BYTES_DEFAULT};
    assert_int_equal(endpoint_open(&f->node, &to, &note), MK_ERR_OK);
    assert_int_equal(endpoint_subscribe(f->node, SPAN_LIT("in/"), NULL), MK_ERR_OK);
    assert_int_equal(endpoint_subscribe(f->node, SPAN_LIT("ctl/"), NULL), MK_ERR_OK);
    assert_int_equal(endpoint_subscribe(f->node, SPAN_LIT("node/"), NULL), MK_ERR_OK);
    struct mk_client_options as = {.bus = f->bus, .client_id = "c1"};
    if (mk_client_open(&f->client, &as, error) != MK_CLIENT_OK)
        fail_msg("%s", error);
    assert_true(mk_client_await_ready(f->client, WAIT_MS));
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    mk_client_close(f->client);
    endpoint_quiet(f->node);
    hub_quiet(f->hub);
    nanosleep(&(struct timespec){.tv_nsec = 60000000L}, NULL); /* the library needs silence before it closes */
    endpoint_close(f->node);
    hub_close(f->hub);
    free(f);
    return 0;
}

/* --- cases --- */

static void test_client__an_input_is_admitted_then_completed(void **state)
{
    struct fixture *f = *state;
    send_one(f, input_of(f, "s1"));
    play(f);
    assert_int_equal(f->admitted, 1);
    assert_int_equal(f->ended, 1);
    assert_int_equal(f->end, MK_END_DONE);
    assert_string_equal(f->outcome, "completed");
    assert_string_equal(f->last_topic, "in/0078/s1"); /* CRC-16/XMODEM of "s1" mod 256 */
}

static void test_client__what_is_queued_leaves_in_one_batch(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 100; i++)
        send_one(f, input_of(f, i % 2 ? "s1" : "s2"));
    play(f);
    assert_int_equal(f->ends[MK_END_DONE], 100);
    assert_int_equal(f->batches, 1);
    assert_int_equal(f->frames, 1);
    assert_string_equal(f->last_topic, "in/*/*");
    for (int i = 0; i < 3; i++)
        send_one(f, input_of(f, "s1"));
    play(f);
    assert_string_equal(f->last_topic, "in/0078/*");
    assert_int_equal(f->gaps, 0);
}

static void test_client__a_lost_input_is_repeated_with_its_id_and_birth(void **state)
{
    struct fixture *f = *state;
    f->deaf = 2;
    struct mk_send send = input_of(f, "s1");
    send.id = "mine";
    send_one(f, send);
    assert_int_equal(mk_client_send(f->client, &send), MK_CLIENT_INVALID); /* the id is under way */
    play(f);
    assert_int_equal(f->frames, 3);
    assert_int_equal(f->repeats, 1);
    assert_int_equal(f->gaps, 0); /* every frame has a number of its own */
    assert_int_equal(f->end, MK_END_DONE);
}

/* Four times in vain, then by its schedule in two seconds; but the next heartbeat has a higher fence. */
static void test_client__what_a_new_owner_never_heard_is_repeated_at_once(void **state)
{
    struct fixture *f = *state;
    f->deaf = 4;
    f->moves = true;
    send_one(f, input_of(f, "s1"));
    play(f);
    assert_int_equal(f->end, MK_END_DONE);
    assert_int_equal(f->frames, 5);
    assert_true(now_ms() - f->moved_ms < 1500);
    assert_int_equal(f->gaps, 0);
}

/* As a drain is: the answer takes its time, and the repeats meanwhile ask the same. */
static void test_client__a_node_is_asked_with_one_id_until_it_answers(void **state)
{
    struct fixture *f = *state;
    const struct mk_arg incarnation = {"incarnation", "i1"};
    struct mk_order order = {
        .node = "n1", .op = "drain", .args = &incarnation, .arg_count = 1, .on_answer = on_answer, .user = f};
    f->deaf = 3;
    assert_int_equal(mk_client_order(f->client, &order), MK_CLIENT_OK);
    play(f);
    assert_int_equal(f->end, MK_END_DONE);
    assert_string_equal(f->last_topic, "node/n1");
    assert_int_equal(f->frames, 4);
    assert_int_equal(f->ended, 1);
}

static void test_client__a_final_rejection_ends_it_at_once(void **state)
{
    struct fixture *f = *state;
    f->manner = REJECTS_FINAL;
    send_one(f, input_of(f, "s1"));
    play(f);
    assert_int_equal(f->items, 1);
    assert_int_equal(f->end, MK_END_REFUSED);
    assert_true(f->final);
    assert_string_equal(f->reason, "id_conflict");
}

static void test_client__a_passing_rejection_is_repeated(void **state)
{
    struct fixture *f = *state;
    f->manner = REJECTS_PASSING;
    send_one(f, input_of(f, "s1"));
    play(f);
    assert_int_equal(f->items, 3);
    assert_int_equal(f->end, MK_END_DONE);
}

static void test_client__an_abandoned_input_failed_for_good(void **state)
{
    struct fixture *f = *state;
    f->manner = ABANDONS;
    send_one(f, input_of(f, "s1"));
    play(f);
    assert_int_equal(f->end, MK_END_FAILED);
    assert_string_equal(f->outcome, "abandoned_with_error");
}

static void test_client__a_known_one_ends_with_its_completion(void **state)
{
    struct fixture *f = *state;
    f->manner = DEDUPLICATES;
    send_one(f, input_of(f, "s1"));
    play(f);
    assert_int_equal(f->end, MK_END_DONE);
    assert_true(f->deduplicated);
}

static void test_client__silence_ends_as_unknown_and_says_what_is_known(void **state)
{
    struct fixture *f = *state;
    f->manner = SILENT;
    struct mk_send owned = input_of(f, "s1"), unowned = input_of(f, "s2");
    owned.timeout_ms = unowned.timeout_ms = 900;
    send_one(f, owned);
    play(f);
    assert_int_equal(f->end, MK_END_UNKNOWN);
    assert_non_null(strstr(f->advice, "repeating with the same id is safe"));
    send_one(f, unowned);
    play(f);
    assert_non_null(strstr(f->advice, "no node owns partition"));
    f->manner = ADMITS_ONLY;
    send_one(f, owned);
    play(f);
    assert_int_equal(f->end, MK_END_UNKNOWN);
    assert_non_null(strstr(f->advice, "accepted and durable"));
}

static void test_client__without_a_node_it_says_so(void **state)
{
    struct fixture *f = *state;
    f->manner = SILENT;
    f->beats = false;
    struct mk_send send = input_of(f, "s1");
    send.timeout_ms = 400;
    send_one(f, send);
    play(f);
    assert_non_null(strstr(f->advice, "no node is heard"));
}

static void test_client__heartbeats_correct_the_partitions(void **state)
{
    struct fixture *f = *state;
    struct mk_view view;
    f->partitions = 16;
    send_one(f, input_of(f, "s1")); /* 78 at first, which nobody takes */
    play(f);
    assert_int_equal(f->end, MK_END_DONE);
    assert_string_equal(f->last_topic, "in/0008/s1");
    mk_client_view(f->client, &view);
    assert_int_equal(view.partitions, 16);
    assert_true(view.repeats >= 1);
}

static void test_client__commands_end_with_their_result(void **state)
{
    struct fixture *f = *state;
    struct mk_order order = {.session = "s1", .op = "state", .on_answer = on_answer, .user = f};
    assert_int_equal(mk_client_order(f->client, &order), MK_CLIENT_OK);
    play(f);
    assert_int_equal(f->end, MK_END_DONE);
    order.op = "retire";
    assert_int_equal(mk_client_order(f->client, &order), MK_CLIENT_OK);
    play(f);
    assert_int_equal(f->end, MK_END_REFUSED);
    assert_string_equal(f->reason, "not_ready");
    order = (struct mk_order){
        .node = "*", .op = "sessions", .gather = true, .timeout_ms = 500, .on_answer = on_answer, .user = f};
    assert_int_equal(mk_client_order(f->client, &order), MK_CLIENT_OK);
    play(f);
    assert_int_equal(f->collected, 1); /* not repeated once answered */
    assert_int_equal(f->end, MK_END_DONE);
    assert_string_equal(f->last_topic, "node/*");
}

static void test_client__its_window_is_bounded(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < MK_CLIENT_WINDOW_MAX; i++)
        send_one(f, input_of(f, "s1"));
    struct mk_send more = input_of(f, "s1");
    assert_int_equal(mk_client_send(f->client, &more), MK_CLIENT_FULL);
    play(f);
    assert_int_equal(f->ends[MK_END_DONE], MK_CLIENT_WINDOW_MAX);
    send_one(f, more);
    play(f);
}

static void test_client__wrong_arguments_are_refused_with_a_sentence(void **state)
{
    struct fixture *f = *state;
    struct mk_send send = input_of(f, "a b");
    const struct mk_arg arg = {"from", "x"};
    struct mk_order order = {.session = "s1", .op = "events", .args = &arg, .arg_count = 1};
    assert_int_equal(mk_client_send(f->client, &send), MK_CLIENT_INVALID);
    assert_non_null(strstr(mk_client_error_text(f->client), "session `a b`"));
    send = input_of(f, "s1");
    send.kind = "nonsense";
    assert_int_equal(mk_client_send(f->client, &send), MK_CLIENT_INVALID);
    send = input_of(f, "s1");
    send.body = (struct mk_bytes){f, 2u << 20};
    assert_int_equal(mk_client_send(f->client, &send), MK_CLIENT_TOO_LARGE);
    assert_int_equal(mk_client_order(f->client, &order), MK_CLIENT_INVALID);
    assert_non_null(strstr(mk_client_error_text(f->client), "whole number"));
    assert_int_equal(mk_client_unanswered(f->client), 0);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_client__an_input_is_admitted_then_completed),
        CASE(test_client__what_is_queued_leaves_in_one_batch),
        CASE(test_client__a_lost_input_is_repeated_with_its_id_and_birth),
        CASE(test_client__what_a_new_owner_never_heard_is_repeated_at_once),
        CASE(test_client__a_node_is_asked_with_one_id_until_it_answers),
        CASE(test_client__a_final_rejection_ends_it_at_once),
        CASE(test_client__a_passing_rejection_is_repeated),
        CASE(test_client__an_abandoned_input_failed_for_good),
        CASE(test_client__a_known_one_ends_with_its_completion),
        CASE(test_client__silence_ends_as_unknown_and_says_what_is_known),
        CASE(test_client__without_a_node_it_says_so),
        CASE(test_client__heartbeats_correct_the_partitions),
        CASE(test_client__commands_end_with_their_result),
        CASE(test_client__its_window_is_bounded),
        CASE(test_client__wrong_arguments_are_refused_with_a_sentence),
    };
    alarm(WATCHDOG_SECONDS);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
