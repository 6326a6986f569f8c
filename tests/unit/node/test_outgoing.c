/* What waits to leave: only under a safe lease, never for a lost partition, together where it can, and told once it has
 * left. */
#include "tests/lib/t.h"

#include "codec/message.h"
#include "codec/topic.h"
#include "node/outgoing.h"

struct world {
    struct test_mem memory;
    struct outgoing out;
    enum may may[4]; /* by partition */
    char topics[16][TOPIC_BYTES_MAX + 1];
    size_t items[16], frames, starts, injections;
    uint64_t published[4];
};

static enum may may(void *self, uint32_t partition, uint64_t fence)
{
    struct world *w = self;
    return fence == 7 ? w->may[partition] : IS_GONE;
}

static void publish(void *self, struct span frame)
{
    struct world *w = self;
    struct span topic, map;
    struct message_head head;
    struct batch_reader reader = {.left = 1};
    assert_int_equal(frame_split(frame, &topic, &map), MK_ERR_OK);
    memcpy(w->topics[w->frames], topic.at, topic.bytes);
    assert_int_equal(message_head_read(map, &head, NULL), MK_ERR_OK);
    if (head.type == MK_BATCH)
        assert_int_equal(batch_open(map, &reader, NULL), MK_ERR_OK);
    w->items[w->frames++] = reader.left;
}

static void start(void *self, struct span session, const struct mk_id *run)
{
    struct world *w = self;
    (void)session;
    (void)run;
    w->starts++;
}

static void inject(void *self, struct span session, const struct mk_id *run, const struct mk_id *input)
{
    struct world *w = self;
    (void)session;
    w->injections += run->bytes == 2 && input->bytes == 1;
}

static void published(void *self, uint32_t partition, uint64_t fence, uint64_t sequence)
{
    struct world *w = self;
    (void)fence;
    w->published[partition] = sequence;
}

static void setup(struct world *w)
{
    *w = (struct world){.frames = 0};
    test_mem_init(&w->memory);
    outgoing_init(&w->out, &w->memory.mem, 4096);
}

static void flush(struct world *w)
{
    struct outgoing_sink sink = {w, may, publish, start, inject, published, 1};
    outgoing_flush(&w->out, &sink);
}

static void teardown(struct world *w)
{
    outgoing_fini(&w->out);
    assert_int_equal(w->memory.live, 0);
}

static struct outgoing_item *event(struct world *w, uint32_t partition, uint64_t sequence, const char *session,
                                   size_t filler)
{
    static char bytes[4096];
    struct buf buf = {0};
    struct mk_effect effect = {
        .session = span_of(session), .name = MK_RUNTIME_NOTICE, .seq = sequence, .epoch = {bytes, filler}};
    memset(bytes, 'x', sizeof bytes);
    effect_pack(&buf, SPAN_LIT("e"), &effect);
    struct outgoing_item *item = outgoing_add(&w->out, OUT_EVENT);
    item->partition = partition;
    item->fence = 7;
    item->sequence = sequence;
    session_id_set(&item->session, span_of(session));
    item->message = blob_new(&w->memory.mem, buf_span(&buf));
    buf_fini(&buf);
    return item;
}

static void to(struct outgoing_item *item, const char *client)
{
    id_set(&item->to[item->to_count++], span_of(client));
}

static void test_outgoing__one_event_goes_on_its_sessions_topic_and_many_together(void **state)
{
    (void)state;
    struct world w;
    setup(&w);
    to(event(&w, 0, 1, "a", 0), "c1");
    flush(&w);
    assert_int_equal(w.frames, 2);
    assert_string_equal(w.topics[0], "ev/a");
    assert_string_equal(w.topics[1], "re/c1");
    event(&w, 0, 2, "a", 0);
    event(&w, 1, 1, "b", 0);
    flush(&w);
    assert_int_equal(w.frames, 3);
    assert_string_equal(w.topics[2], "ev/*");
    assert_int_equal(w.items[2], 2);
    assert_int_equal(w.published[0], 2);
    assert_int_equal(w.published[1], 1);
    teardown(&w);
}

static void test_outgoing__under_an_unsafe_lease_everything_waits_in_order(void **state)
{
    (void)state;
    struct world w;
    setup(&w);
    w.may[1] = MUST_WAIT;
    event(&w, 1, 1, "a", 0);
    event(&w, 0, 5, "b", 0);
    struct outgoing_item *run = outgoing_add(&w.out, OUT_RUN);
    run->partition = 1;
    run->fence = 7;
    struct outgoing_item *inject = outgoing_add(&w.out, OUT_INJECT);
    inject->partition = 1;
    inject->fence = 7;
    id_set(&inject->run, SPAN_LIT("r1"));
    id_set(&inject->input, SPAN_LIT("i"));
    flush(&w);
    assert_int_equal(w.frames, 1);
    assert_int_equal(w.starts, 0);
    assert_int_equal(w.injections, 0);
    assert_int_equal(w.out.waiting, 3);
    assert_int_equal(w.published[1], 0);
    w.may[1] = MAY_LEAVE;
    event(&w, 1, 2, "a", 0);
    flush(&w);
    assert_int_equal(w.frames, 2);
    assert_int_equal(w.items[1], 2);
    assert_int_equal(w.starts, 1);
    assert_int_equal(w.injections, 1);
    assert_int_equal(w.published[1], 2);
    assert_int_equal(w.out.waiting, 0);
    teardown(&w);
}

static void test_outgoing__what_belongs_to_a_lost_partition_never_leaves(void **state)
{
    (void)state;
    struct world w;
    setup(&w);
    w.may[2] = IS_GONE;
    event(&w, 2, 1, "a", 0);
    struct outgoing_item *old = event(&w, 0, 1, "b", 0);
    old->fence = 6; /* another life of the partition */
    flush(&w);
    assert_int_equal(w.frames, 0);
    assert_int_equal(w.out.waiting, 0);
    teardown(&w);
}

static void test_outgoing__frames_keep_within_their_bound(void **state)
{
    (void)state;
    struct world w;
    setup(&w);
    for (uint64_t i = 1; i <= 6; i++)
        event(&w, 0, i, "a", 1500);
    flush(&w);
    assert_int_equal(w.frames, 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(w.items[i], 2);
    teardown(&w);
}

static void test_outgoing__more_clients_than_frames_are_all_served(void **state)
{
    (void)state;
    struct world w;
    setup(&w);
    for (size_t i = 0; i < 10; i++) {
        char client[] = "c0";
        client[1] = (char)('0' + i);
        struct outgoing_item *item = outgoing_add(&w.out, OUT_ANSWER);
        struct buf buf = {0};
        struct mk_result result = {.re = SPAN_LIT("x"), .ok = true};
        struct message_from from = {.ts = 1};
        result_pack(&buf, SPAN_LIT("r"), &from, &result);
        item->message = blob_new(&w.memory.mem, buf_span(&buf));
        buf_fini(&buf);
        to(item, client);
    }
    flush(&w);
    assert_int_equal(w.frames, 10);
    assert_string_equal(w.topics[9], "re/c9");
    teardown(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outgoing__one_event_goes_on_its_sessions_topic_and_many_together),
        cmocka_unit_test(test_outgoing__under_an_unsafe_lease_everything_waits_in_order),
        cmocka_unit_test(test_outgoing__what_belongs_to_a_lost_partition_never_leaves),
        cmocka_unit_test(test_outgoing__frames_keep_within_their_bound),
        cmocka_unit_test(test_outgoing__more_clients_than_frames_are_all_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
