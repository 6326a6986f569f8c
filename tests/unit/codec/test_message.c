#include "tests/lib/t.h"

#include "codec/message.h"
#include "codec/pack.h"

#include <stdio.h>
#include <stdlib.h>

#define FIXED(literal)                                                                                                 \
    {                                                                                                                  \
        literal, sizeof literal - 1                                                                                    \
    } /* in a table */

static void same(struct span a, struct span b)
{
    assert_int_equal(span_given(a), span_given(b));
    assert_int_equal(a.bytes, b.bytes);
    if (a.bytes)
        assert_memory_equal(a.at, b.at, a.bytes);
}

static const struct mk_header numbered = {
    .id = FIXED("m-1"), .ts = 1700000000000, .pub = FIXED("p-1"), .pe = 3, .ps = 9};
static const struct message_from from = {.node = FIXED("n1"), .fence = 17, .ts = 5};

static void same_header(const struct mk_header *a, const struct mk_header *b)
{
    same(a->id, b->id);
    same(a->pub, b->pub);
    assert_int_equal(a->ts, b->ts);
    assert_int_equal(a->pe, b->pe);
    assert_int_equal(a->ps, b->ps);
}

/* --- building one wrong message: the keys that every input or command needs, and one more --- */

struct builder {
    struct buf out;
    struct map_pack map;
};

static void begin(struct builder *b, const char *type, const char *but)
{
    *b = (struct builder){0};
    map_open(&b->map, &b->out);
    if (strcmp(but, "v"))
        map_u64(&b->map, "v", 1);
    if (strcmp(but, "t"))
        map_text(&b->map, "t", span_of(type));
    if (strcmp(but, "id"))
        map_text(&b->map, "id", SPAN_LIT("m-1"));
    if (strcmp(but, "session"))
        map_text(&b->map, "session", SPAN_LIT("s1"));
    if (!strcmp(type, "command") && strcmp(but, "op"))
        map_text(&b->map, "op", SPAN_LIT("state"));
}

static enum mk_err verdict(struct span map, struct mk_note *note)
{
    struct message_head head;
    struct mk_input input;
    struct mk_command command;
    enum mk_err err = message_head_read(map, &head, note);
    if (!err && head.type == MK_INPUT)
        return input_read(map, &input, note);
    return !err && head.type == MK_COMMAND ? command_read(map, &command, note) : err;
}

static enum mk_err end(struct builder *b, struct mk_note *note)
{
    map_close(&b->map);
    enum mk_err err = verdict(buf_span(&b->out), note);
    buf_fini(&b->out);
    return err;
}

static enum mk_err with_raw(const char *type, const char *key, struct span raw, struct mk_note *note)
{
    struct builder b;
    begin(&b, type, key);
    map_raw(&b.map, key, raw);
    return end(&b, note);
}

static enum mk_err with_text(const char *type, const char *key, size_t bytes)
{
    char text[REASON_BYTES_MAX + 2];
    struct builder b;
    memset(text, 'x', sizeof text);
    begin(&b, type, key);
    map_text(&b.map, key, span_bytes(text, bytes));
    return end(&b, NULL);
}

/* --- round trips --- */

static struct mk_input full_input(void)
{
    return (struct mk_input){
        .h = numbered,
        .session = FIXED("s:1"),
        .kind = MK_PEER_REQUEST,
        .body = FIXED("\x92\x01\xa1x"),
        .durability = MK_EPHEMERAL,
        .origin = MK_PEER,
        .handling = MK_HANDLING_STEER,
        .idem = FIXED("idem"),
        .supersede = FIXED("sup"),
        .corr = FIXED("corr"),
        .after = FIXED("after"),
        .reply_to = FIXED("re"),
        .executor = FIXED("counter"),
        .born = 11,
        .deadline_ms = 12,
        .wake = false,
        .transcript_eligible = true,
        .operator_eligible = false,
        .peer_id = FIXED("pid"),
        .peer_name = FIXED("pname"),
        .request_id = FIXED("rid"),
        .intent = FIXED("intent"),
        .status = MK_STATUS_FAILED,
        .event_type = FIXED("ev"),
        .step_id = FIXED("step"),
        .operation_id = FIXED("op"),
        .continuation = MK_WORKGRAPH_ATTENTION,
    };
}

static void same_input(const struct mk_input *a, const struct mk_input *b)
{
    const struct span left[] = {a->session,    a->body,     a->idem,       a->supersede, a->corr,
                                a->after,      a->reply_to, a->executor,   a->peer_id,   a->peer_name,
                                a->request_id, a->intent,   a->event_type, a->step_id,   a->operation_id};
    const struct span right[] = {b->session,    b->body,     b->idem,       b->supersede, b->corr,
                                 b->after,      b->reply_to, b->executor,   b->peer_id,   b->peer_name,
                                 b->request_id, b->intent,   b->event_type, b->step_id,   b->operation_id};
    same_header(&a->h, &b->h);
    for (size_t i = 0; i < sizeof left / sizeof *left; i++)
        same(left[i], right[i]);
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->durability, b->durability);
    assert_int_equal(a->origin, b->origin);
    assert_int_equal(a->handling, b->handling);
    assert_int_equal(a->status, b->status);
    assert_int_equal(a->continuation, b->continuation);
    assert_int_equal(a->born, b->born);
    assert_int_equal(a->deadline_ms, b->deadline_ms);
    assert_int_equal(a->wake, b->wake);
    assert_int_equal(a->transcript_eligible, b->transcript_eligible);
    assert_int_equal(a->operator_eligible, b->operator_eligible);
}

static void round_trip_input(const struct mk_input *in)
{
    struct buf out = {0};
    struct message_head head;
    struct mk_input read;
    input_pack(&out, in);
    assert_int_equal(message_head_read(buf_span(&out), &head, NULL), MK_ERR_OK);
    assert_int_equal(head.type, MK_INPUT);
    same_header(&head.h, &in->h);
    same(head.reply_to, in->reply_to);
    same(head.session, in->session);
    assert_int_equal(input_read(buf_span(&out), &read, NULL), MK_ERR_OK);
    same_input(in, &read);
    buf_fini(&out);
}

static void test_message__an_input_comes_back_as_it_was(void **state)
{
    struct mk_input full = full_input();
    struct mk_input least = {.h = {.id = SPAN_LIT("i")},
                             .session = SPAN_LIT("s"),
                             .origin = MK_EXTERNAL,
                             .wake = true,
                             .transcript_eligible = true,
                             .operator_eligible = true};
    (void)state;
    round_trip_input(&full);
    round_trip_input(&least);
    for (unsigned kind = 0; kind < MK_KIND_COUNT; kind++) {
        least.kind = (enum mk_kind)kind;
        least.handling = MK_HANDLING_QUEUE;
        round_trip_input(&least);
    }
    for (unsigned origin = 0; origin < MK_ORIGIN_COUNT; origin++) {
        least.origin = (enum mk_origin)origin;
        round_trip_input(&least);
    }
    for (unsigned durability = 0; durability < MK_DURABILITY_COUNT; durability++) {
        least.durability = (enum mk_durability)durability;
        round_trip_input(&least);
    }
}

static void test_message__a_command_comes_back_as_it_was(void **state)
{
    struct mk_command in = {.h = numbered,
                            .session = SPAN_LIT("s1"),
                            .reply_to = SPAN_LIT("re"),
                            .run = SPAN_LIT("r"),
                            .born = 6,
                            .deadline_ms = 7};
    struct mk_command out;
    (void)state;
    in.args = (struct mk_args){.id = SPAN_LIT("id"),
                               .idem = SPAN_LIT("idem"),
                               .run = SPAN_LIT("run"),
                               .reason = SPAN_LIT(""),
                               .executor = SPAN_LIT("e"),
                               .epoch = SPAN_LIT("ep"),
                               .incarnation = SPAN_LIT("inc"),
                               .kind = SPAN_LIT("k"),
                               .cursor = SPAN_LIT("cu"),
                               .intents = {SPAN_LIT("a"), SPAN_LIT("b")},
                               .intent_count = 2,
                               .from = 1,
                               .limit = 2,
                               .sequence = 3,
                               .running = true,
                               .active_inputs = true};
    for (unsigned op = 0; op < MK_OP_COUNT; op++) {
        struct buf bytes = {0};
        in.op = (enum mk_op)op;
        command_pack(&bytes, &in);
        assert_int_equal(verdict(buf_span(&bytes), NULL), MK_ERR_OK);
        assert_int_equal(command_read(buf_span(&bytes), &out, NULL), MK_ERR_OK);
        assert_int_equal(out.op, in.op);
        same_header(&in.h, &out.h);
        const struct span left[] = {in.session,    in.reply_to,         in.run,         in.args.id,
                                    in.args.idem,  in.args.run,         in.args.reason, in.args.executor,
                                    in.args.epoch, in.args.incarnation, in.args.kind,   in.args.intents[1],
                                    in.args.cursor};
        const struct span right[] = {out.session,    out.reply_to,         out.run,         out.args.id,
                                     out.args.idem,  out.args.run,         out.args.reason, out.args.executor,
                                     out.args.epoch, out.args.incarnation, out.args.kind,   out.args.intents[1],
                                     out.args.cursor};
        for (size_t i = 0; i < sizeof left / sizeof *left; i++)
            same(left[i], right[i]);
        assert_int_equal(out.args.intent_count, 2);
        assert_int_equal(out.args.from + 10 * out.args.limit + 100 * out.args.sequence, 321);
        assert_int_equal(out.deadline_ms, 7);
        assert_int_equal(out.born, 6);
        assert_true(out.args.running && out.args.active_inputs);
        buf_fini(&bytes);
    }
}

static void test_message__an_unknown_operation_keeps_its_text(void **state)
{
    struct mk_command out, in = {.h = numbered, .op = MK_OP_COUNT, .op_text = SPAN_LIT("dance")};
    struct buf bytes = {0};
    (void)state;
    command_pack(&bytes, &in);
    assert_int_equal(command_read(buf_span(&bytes), &out, NULL), MK_ERR_OK);
    assert_int_equal(out.op, MK_OP_COUNT);
    assert_span_equal(out.op_text, "dance");
    assert_false(span_given(out.session));
    buf_fini(&bytes);
}

static void test_message__an_admission_comes_back_as_it_was(void **state)
{
    (void)state;
    for (unsigned outcome = 0; outcome < MK_ADMITTED_COUNT; outcome++) {
        for (unsigned durability = 0; durability < MK_DURABILITY_COUNT; durability++) {
            struct buf bytes = {0};
            struct mk_admission out, in = {.re = SPAN_LIT("i"),
                                           .session = SPAN_LIT("s"),
                                           .outcome = (enum mk_admitted)outcome,
                                           .final = outcome == MK_REJECTED,
                                           .existing = SPAN_LIT("x"),
                                           .completion = SPAN_LIT("\x80"),
                                           .reason = MK_ERR_NOT_READY,
                                           .detail = SPAN_LIT(""),
                                           .phase = SPAN_LIT("queued"),
                                           .durability = (enum mk_durability)durability,
                                           .partitions = 16};
            admission_pack(&bytes, SPAN_LIT("id"), &from, &in);
            assert_int_equal(verdict(buf_span(&bytes), NULL), MK_ERR_OK);
            assert_int_equal(admission_read(buf_span(&bytes), &out, NULL), MK_ERR_OK);
            same(in.re, out.re);
            same(in.session, out.session);
            same(in.existing, out.existing);
            same(in.completion, out.completion);
            same(in.detail, out.detail);
            same(in.phase, out.phase);
            assert_int_equal(in.outcome, out.outcome);
            assert_int_equal(in.final, out.final);
            assert_int_equal(in.reason, out.reason);
            assert_int_equal(in.durability, out.durability);
            assert_int_equal(in.partitions, out.partitions);
            buf_fini(&bytes);
        }
    }
}

static void test_message__a_completion_comes_back_as_it_was(void **state)
{
    (void)state;
    for (unsigned outcome = 0; outcome < MK_OUTCOME_COUNT; outcome++) {
        struct buf bytes = {0};
        struct mk_completion out, in = {.session = SPAN_LIT("s"),
                                        .input = SPAN_LIT("i"),
                                        .outcome = (enum mk_outcome)outcome,
                                        .result = SPAN_LIT("\x05"),
                                        .reason = SPAN_LIT("why"),
                                        .error = MK_ERR_EXECUTOR_FAILED,
                                        .error_message = SPAN_LIT("no"),
                                        .aggregate = SPAN_LIT("j"),
                                        .has_receipt = outcome % 2,
                                        .receipt = {.run = SPAN_LIT("r"), .sequence = 3, .boundary = MK_IMMEDIATE},
                                        .seq = 4,
                                        .fence = UINT64_MAX,
                                        .generation = 2,
                                        .node = SPAN_LIT("n"),
                                        .epoch = SPAN_LIT("e"),
                                        .ts = 9};
        completion_pack(&bytes, SPAN_LIT("id"), &in);
        assert_int_equal(verdict(buf_span(&bytes), NULL), MK_ERR_OK);
        assert_int_equal(completion_read(buf_span(&bytes), &out, NULL), MK_ERR_OK);
        const struct span left[] = {in.session,   in.input,       in.result, in.reason, in.error_message,
                                    in.aggregate, in.receipt.run, in.node,   in.epoch};
        const struct span right[] = {out.session,   out.input,       out.result, out.reason, out.error_message,
                                     out.aggregate, out.receipt.run, out.node,   out.epoch};
        for (size_t i = 0; i < sizeof left / sizeof *left; i++)
            same(left[i], right[i]);
        assert_int_equal(in.outcome, out.outcome);
        assert_int_equal(in.error, out.error);
        assert_int_equal(in.has_receipt, out.has_receipt);
        assert_int_equal(out.receipt.sequence, in.has_receipt ? 3 : 0);
        assert_true(out.seq == 4 && out.fence == UINT64_MAX && out.generation == 2 && out.ts == 9);
        buf_fini(&bytes);
    }
}

static void test_message__an_effect_comes_back_as_it_was(void **state)
{
    struct test_mem mem;
    (void)state;
    test_mem_init(&mem);
    struct mk_doc *doc = doc_new(&mem.mem);
    struct mk_effect in = {.session = SPAN_LIT("s"),
                           .data = doc,
                           .seq = 1,
                           .fence = 2,
                           .generation = 3,
                           .node = SPAN_LIT("n"),
                           .epoch = SPAN_LIT("e"),
                           .ts = 4};
    doc_map(doc);
    doc_put_u64(doc, "n", 300);
    doc_put_bool(doc, "y", true);
    doc_put_text(doc, "gone", (struct span){NULL, 0});
    doc_end(doc);
    for (unsigned name = 0; name < MK_EFFECT_NAME_COUNT; name++) {
        struct buf bytes = {0};
        struct effect_in out;
        in.name = (enum mk_effect_name)name;
        in.event_name = SPAN_LIT("lamp_lit");
        effect_pack(&bytes, SPAN_LIT("id"), &in);
        assert_int_equal(verdict(buf_span(&bytes), NULL), MK_ERR_OK);
        assert_int_equal(effect_read(buf_span(&bytes), &out, NULL), MK_ERR_OK);
        same(out.name, name == MK_EXECUTOR_EVENT ? in.event_name : span_of(mk_effect_name_name(in.name)));
        same(out.data, SPAN_LIT("\x83\xa1n\xcd\x01\x2c\xa1y\xc3\xa4gone\xc0"));
        assert_true(out.seq == 1 && out.fence == 2 && out.generation == 3 && out.ts == 4);
        buf_fini(&bytes);
    }
    doc_free(doc);
    assert_int_equal(mem.live, 0);
}

static void test_message__an_effect_without_data_has_an_empty_map_and_raw_data_stay(void **state)
{
    struct buf bytes = {0};
    struct effect_in out;
    struct mk_effect in = {.session = SPAN_LIT("s"), .name = MK_RUNTIME_RETIRED};
    (void)state;
    effect_pack(&bytes, SPAN_LIT("id"), &in);
    assert_int_equal(effect_read(buf_span(&bytes), &out, NULL), MK_ERR_OK);
    same(out.data, SPAN_LIT("\x80"));
    buf_reset(&bytes);
    in.data_raw = SPAN_LIT("\xa1z");
    effect_pack(&bytes, SPAN_LIT("id"), &in);
    assert_int_equal(effect_read(buf_span(&bytes), &out, NULL), MK_ERR_OK);
    same(out.data, SPAN_LIT("\xa1z"));
    buf_fini(&bytes);
}

static void test_message__a_result_says_every_error(void **state)
{
    (void)state;
    for (unsigned err = 0; err < MK_ERR_COUNT; err++) {
        struct buf bytes = {0};
        struct result_in out;
        struct mk_result in = {.re = SPAN_LIT("c"),
                               .session = SPAN_LIT("s"),
                               .ok = err == MK_ERR_OK,
                               .error = (enum mk_err)err,
                               .final = mk_err_final((enum mk_err)err),
                               .phase = SPAN_LIT("idle")};
        result_pack(&bytes, SPAN_LIT("id"), &from, &in);
        assert_int_equal(verdict(buf_span(&bytes), NULL), MK_ERR_OK);
        assert_int_equal(result_read(buf_span(&bytes), &out, NULL), MK_ERR_OK);
        assert_int_equal(out.ok, in.ok);
        assert_int_equal(out.error, in.error);
        assert_int_equal(out.final, in.final);
        same(out.re, in.re);
        same(out.session, in.session);
        if (err) {
            same(out.message, span_of(mk_err_text(in.error)));
            same(out.error_code, span_of(mk_err_code(in.error)));
            same(out.phase, in.phase);
        }
        buf_fini(&bytes);
    }
}

static void test_message__a_doc_that_failed_or_is_open_fails_the_packing(void **state)
{
    struct mk_doc failed = {.failed = true}, open = {.depth = 1};
    struct buf bytes = {0};
    (void)state;
    doc_pack(&bytes, &failed);
    assert_true(bytes.failed);
    buf_reset(&bytes);
    doc_pack(&bytes, &open);
    assert_true(bytes.failed);
    buf_fini(&bytes);
}

/* --- heartbeats --- */

static void test_message__a_node_says_what_it_owns(void **state)
{
    static const struct mk_owned owned[] = {{0, FIXED("h-1"), 5, 6}, {0xabc, FIXED("h-2"), UINT64_MAX, 0}};
    struct mk_heartbeat out, in = {.node = SPAN_LIT("n"),
                                   .incarnation = SPAN_LIT("x"),
                                   .phase = SPAN_LIT("working"),
                                   .partitions_total = 4096,
                                   .owned = owned,
                                   .owned_count = 2,
                                   .sessions = 7,
                                   .load = 8};
    struct heartbeat_lists lists;
    struct mk_owned each;
    struct buf bytes = {0};
    (void)state;
    heartbeat_pack(&bytes, SPAN_LIT("id"), 1, &in);
    assert_int_equal(verdict(buf_span(&bytes), NULL), MK_ERR_OK);
    assert_int_equal(heartbeat_read(buf_span(&bytes), &out, &lists, NULL), MK_ERR_OK);
    same(out.node, in.node);
    same(out.incarnation, in.incarnation);
    same(out.phase, in.phase);
    assert_false(out.hub);
    assert_true(out.partitions_total == 4096 && out.sessions == 7 && out.load == 8);
    for (size_t i = 0; i < 2; i++) {
        assert_true(owned_next(&lists.owned, &each));
        same(each.history, owned[i].history);
        assert_int_equal(each.partition, owned[i].partition);
        assert_int_equal(each.fence, owned[i].fence);
        assert_int_equal(each.sequence, owned[i].sequence);
    }
    assert_false(owned_next(&lists.owned, &each));
    buf_fini(&bytes);
}

static void test_message__a_node_says_what_it_hands_over_expects_and_suspends(void **state)
{
    static const struct mk_handing handing[] = {
        {0, FIXED("n2"), false, 5}, {0xabc, FIXED(""), true, UINT64_MAX}, {0xffff, FIXED("n3"), true, 0}};
    static const uint32_t expecting[] = {7, 0, 0xffff}, suspended[] = {300};
    struct mk_heartbeat out, in = {.node = SPAN_LIT("n"),
                                   .handing = handing,
                                   .handing_count = 3,
                                   .expecting = expecting,
                                   .expecting_count = 3,
                                   .suspended = suspended,
                                   .suspended_count = 1};
    struct heartbeat_lists lists;
    struct mk_handing each;
    uint32_t partition;
    struct buf bytes = {0};
    (void)state;
    heartbeat_pack(&bytes, SPAN_LIT("id"), 1, &in);
    assert_int_equal(verdict(buf_span(&bytes), NULL), MK_ERR_OK);
    assert_int_equal(heartbeat_read(buf_span(&bytes), &out, &lists, NULL), MK_ERR_OK);
    assert_true(!out.handing && !out.handing_count && !out.expecting && !out.suspended);
    for (size_t i = 0; i < 3; i++) {
        assert_true(handing_next(&lists.handing, &each));
        same(each.successor, handing[i].successor);
        assert_int_equal(each.partition, handing[i].partition);
        assert_int_equal(each.released, handing[i].released);
        assert_int_equal(each.fence, handing[i].fence);
        assert_true(partition_next(&lists.expecting, &partition));
        assert_int_equal(partition, expecting[i]);
    }
    assert_true(partition_next(&lists.suspended, &partition));
    assert_int_equal(partition, 300);
    assert_false(handing_next(&lists.handing, &each));
    assert_false(partition_next(&lists.expecting, &partition));
    assert_false(partition_next(&lists.suspended, &partition));
    buf_fini(&bytes);
}

static void test_message__empty_lists_of_a_heartbeat_are_not_said(void **state)
{
    struct mk_heartbeat out, in = {.node = SPAN_LIT("n")};
    struct heartbeat_lists lists;
    struct mk_handing each;
    uint32_t partition;
    struct buf bytes = {0};
    (void)state;
    heartbeat_pack(&bytes, SPAN_LIT("id"), 1, &in);
    static const char *const keys[] = {"handing", "expecting", "suspended"};
    for (size_t k = 0; k < 3; k++)
        for (size_t i = 0; i + strlen(keys[k]) <= bytes.bytes; i++)
            assert_memory_not_equal(bytes.at + i, keys[k], strlen(keys[k]));
    memset(&lists, 0xff, sizeof lists);
    assert_int_equal(heartbeat_read(buf_span(&bytes), &out, &lists, NULL), MK_ERR_OK);
    assert_false(handing_next(&lists.handing, &each));
    assert_false(partition_next(&lists.expecting, &partition));
    assert_false(partition_next(&lists.suspended, &partition));
    buf_fini(&bytes);
}

static void test_message__a_heartbeat_that_half_understands_a_hand_over_is_refused(void **state)
{
    static const struct {
        const char *key;
        struct span value;
        bool sound;
    } cases[] = {
        {"handing", FIXED("\x80"), true},
        {"handing", FIXED("\xc0"), true},
        {"handing",
         FIXED("\x81\xa4"
               "0001\x93\xa1n\xc2\x05"),
         true},
        {"handing",
         FIXED("\x81\xa4"
               "ffff\x93\xa0\xc3\x05"),
         true},
        {"handing", FIXED("\x90"), false},
        {"handing",
         FIXED("\x81\xa4"
               "0001\x92\xa1n\xc2"),
         false}, /* no fence */
        {"handing",
         FIXED("\x81\xa4"
               "0001\x94\xa1n\xc2\x05\x05"),
         false}, /* more than there is */
        {"handing",
         FIXED("\x81\xa4"
               "0001\x93\x01\xc2\x05"),
         false},
        {"handing",
         FIXED("\x81\xa4"
               "0001\x93\xa1n\x01\x05"),
         false},
        {"handing",
         FIXED("\x81\xa4"
               "0001\x93\xa1n\xc2\xff"),
         false},
        {"handing",
         FIXED("\x81\xa4"
               "0001\xa1n"),
         false},
        {"handing",
         FIXED("\x81\xa4"
               "00AA\x93\xa1n\xc2\x05"),
         false},
        {"handing",
         FIXED("\x81\xa3"
               "001\x93\xa1n\xc2\x05"),
         false},
        {"handing", FIXED("\x81\x01\x93\xa1n\xc2\x05"), false},
        {"handing",
         FIXED("\x82\xa4"
               "0001\x93\xa1n\xc2\x05\xa4"
               "0002\xc0"),
         false}, /* a good one first */
        {"expecting", FIXED("\x90"), true},
        {"expecting", FIXED("\x92\x00\xcd\xff\xff"), true},
        {"expecting", FIXED("\x80"), false},
        {"expecting", FIXED("\x91\xff"), false},
        {"expecting",
         FIXED("\x91\xa1"
               "1"),
         false},
        {"expecting", FIXED("\x92\x00\xce\x00\x01\x00\x00"), false},
        {"suspended", FIXED("\x91\x07"), true},
        {"suspended", FIXED("\x07"), false},
        {"suspended", FIXED("\x92\x07\xc0"), false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct builder b;
        struct mk_heartbeat out;
        struct heartbeat_lists lists;
        struct mk_note note = {""};
        begin(&b, "heartbeat", "session");
        map_text(&b.map, "role", SPAN_LIT("node"));
        map_text(&b.map, "node", SPAN_LIT("n"));
        map_raw(&b.map, cases[i].key, cases[i].value);
        map_close(&b.map);
        assert_int_equal(verdict(buf_span(&b.out), NULL), MK_ERR_OK);
        enum mk_err err = heartbeat_read(buf_span(&b.out), &out, &lists, &note);
        if (err != (cases[i].sound ? MK_ERR_OK : MK_ERR_INVALID_FIELD))
            fail_msg("case %zu of %s: %s", i, cases[i].key, mk_err_code(err));
        if (err)
            assert_memory_equal(note.text, cases[i].key, strlen(cases[i].key));
        buf_fini(&b.out);
    }
}

static void test_message__a_heartbeat_that_is_refused_has_no_lists(void **state)
{
    struct builder b;
    struct mk_heartbeat out;
    struct heartbeat_lists lists;
    (void)state;
    begin(&b, "heartbeat", "session");
    map_text(&b.map, "role", SPAN_LIT("node")); /* and no node */
    map_close(&b.map);
    memset(&lists, 0xff, sizeof lists);
    assert_int_equal(heartbeat_read(buf_span(&b.out), &out, &lists, NULL), MK_ERR_MISSING_FIELD);
    assert_true(!lists.owned.left && !lists.handing.left && !lists.expecting.left && !lists.suspended.left);
    buf_fini(&b.out);
}

static void test_message__the_most_partitions_fit_a_heartbeat_and_a_frame(void **state)
{
    struct mk_owned *owned = calloc(PARTITIONS_MAX, sizeof *owned);
    struct mk_handing *handing = calloc(PARTITIONS_MAX, sizeof *handing);
    uint32_t *numbers = calloc(PARTITIONS_MAX + 1, sizeof *numbers);
    char name[MESSAGE_ID_BYTES_MAX];
    memset(name, 'n', sizeof name);
    struct mk_heartbeat out, in = {.node = SPAN_LIT("n"),
                                   .partitions_total = PARTITIONS_MAX,
                                   .owned = owned,
                                   .owned_count = PARTITIONS_MAX,
                                   .handing = handing,
                                   .handing_count = PARTITIONS_MAX,
                                   .expecting = numbers,
                                   .expecting_count = PARTITIONS_MAX,
                                   .suspended = numbers,
                                   .suspended_count = PARTITIONS_MAX};
    struct heartbeat_lists lists;
    struct mk_owned each;
    struct buf bytes = {0};
    uint32_t count = 0, number;
    (void)state;
    assert_true(owned && handing && numbers);
    for (uint32_t i = 0; i < PARTITIONS_MAX; i++) {
        owned[i] = (struct mk_owned){i, SPAN_LIT("0123456789abcdef0123456789abcdef"), UINT64_MAX, UINT64_MAX};
        handing[i] = (struct mk_handing){i, span_bytes(name, sizeof name), true, UINT64_MAX};
        numbers[i] = i;
    }
    heartbeat_pack(&bytes, SPAN_LIT("id"), 1, &in);
    assert_true(bytes.bytes < FRAME_BYTES_DEFAULT);
    assert_int_equal(verdict(buf_span(&bytes), NULL), MK_ERR_OK);
    assert_int_equal(heartbeat_read(buf_span(&bytes), &out, &lists, NULL), MK_ERR_OK);
    while (owned_next(&lists.owned, &each))
        assert_int_equal(each.partition, count++);
    assert_int_equal(count, PARTITIONS_MAX);
    for (count = 0; partition_next(&lists.suspended, &number); count++)
        assert_int_equal(number, count);
    assert_int_equal(count, PARTITIONS_MAX);
    in.expecting_count++; /* one more than there can be */
    buf_reset(&bytes);
    heartbeat_pack(&bytes, SPAN_LIT("id"), 1, &in);
    assert_int_equal(heartbeat_read(buf_span(&bytes), &out, &lists, NULL), MK_ERR_INVALID_FIELD);
    free(owned);
    free(handing);
    free(numbers);
    buf_fini(&bytes);
}

static void test_message__an_owned_entry_of_another_form_is_stepped_over(void **state)
{
    struct builder b;
    struct mk_heartbeat out;
    struct heartbeat_lists lists;
    struct mk_owned each;
    (void)state;
    begin(&b, "heartbeat", "session");
    map_text(&b.map, "role", SPAN_LIT("node"));
    map_text(&b.map, "node", SPAN_LIT("n"));
    /* a key that is an array, three wrong values, wrong digits, a good one at the end */
    map_raw(&b.map, "owned",
            SPAN_LIT("\x86\x92\xa4"
                     "0001\x93\xa1h\x01\x02\x05\xa4"
                     "0002\xc0\xa4"
                     "0003\x92\xa1h\x01\xa4"
                     "0004\x93\xa1h\x01\xff"
                     "\xa4"
                     "00AA\x93\xa1h\x01\x02\xa4"
                     "0006\x93\xa1h\x03\x04"));
    map_close(&b.map);
    assert_int_equal(verdict(buf_span(&b.out), NULL), MK_ERR_OK);
    assert_int_equal(heartbeat_read(buf_span(&b.out), &out, &lists, NULL), MK_ERR_OK);
    assert_true(owned_next(&lists.owned, &each));
    assert_true(each.partition == 6 && each.fence == 3 && each.sequence == 4);
    assert_false(owned_next(&lists.owned, &each));
    buf_fini(&b.out);
}

static void test_message__a_hub_says_its_counters(void **state)
{
    struct mk_heartbeat out,
        in = {.hub = true, .node = SPAN_LIT("h"), .frames_in = 1, .frames_out = 2, .dropped = 3, .bytes_in = 4};
    struct heartbeat_lists lists;
    struct mk_owned each;
    struct buf bytes = {0};
    (void)state;
    heartbeat_pack(&bytes, SPAN_LIT("id"), 1, &in);
    assert_int_equal(heartbeat_read(buf_span(&bytes), &out, &lists, NULL), MK_ERR_OK);
    assert_true(out.hub && out.frames_in == 1 && out.frames_out == 2 && out.dropped == 3 && out.bytes_in == 4);
    assert_false(owned_next(&lists.owned, &each));
    buf_fini(&bytes);
}

/* --- batches --- */

static void test_message__the_items_of_a_batch_are_whole_messages_in_order(void **state)
{
    struct mk_input in = full_input();
    struct buf bytes = {0};
    struct message_head head;
    struct batch_reader reader;
    struct span item;
    (void)state;
    batch_head_pack_numbered(&bytes, &numbered, 3);
    for (uint64_t i = 0; i < 3; i++) {
        in.born = i + 1;
        input_pack(&bytes, &in);
    }
    assert_int_equal(message_head_read(buf_span(&bytes), &head, NULL), MK_ERR_OK);
    assert_int_equal(head.type, MK_BATCH);
    same_header(&head.h, &numbered);
    assert_int_equal(batch_open(buf_span(&bytes), &reader, NULL), MK_ERR_OK);
    for (uint64_t i = 0; i < 3; i++) {
        struct mk_input out;
        assert_true(batch_next(&reader, &item));
        assert_int_equal(message_head_read(item, &head, NULL), MK_ERR_OK);
        assert_int_equal(input_read(item, &out, NULL), MK_ERR_OK);
        assert_int_equal(out.born, i + 1);
    }
    assert_false(batch_next(&reader, &item));
    buf_fini(&bytes);
}

static enum mk_err open_batch_of(size_t items)
{
    struct buf bytes = {0};
    struct message_head head;
    struct batch_reader reader;
    struct span item;
    batch_head_pack(&bytes, SPAN_LIT("b"), 0, items);
    for (size_t i = 0; i < items; i++)
        buf_append(&bytes, "\xc0", 1);
    assert_int_equal(message_head_read(buf_span(&bytes), &head, NULL), MK_ERR_OK);
    enum mk_err err = batch_open(buf_span(&bytes), &reader, NULL);
    size_t count = 0;
    while (!err && batch_next(&reader, &item))
        count++;
    assert_true(err || count == items);
    buf_fini(&bytes);
    return err;
}

static void test_message__a_batch_has_at_most_4096_items(void **state)
{
    (void)state;
    assert_int_equal(open_batch_of(0), MK_ERR_OK);
    assert_int_equal(open_batch_of(BATCH_ITEMS_MAX), MK_ERR_OK);
    assert_int_equal(open_batch_of(BATCH_ITEMS_MAX + 1), MK_ERR_TOO_LARGE);
}

/* --- what is refused --- */

static void test_message__an_input_cut_short_at_any_byte_is_malformed(void **state)
{
    struct mk_input in = full_input();
    struct buf bytes = {0};
    (void)state;
    input_pack(&bytes, &in);
    assert_int_equal(verdict(buf_span(&bytes), NULL), MK_ERR_OK);
    for (size_t i = 0; i < bytes.bytes; i++) {
        char *copy = malloc(i ? i : 1);
        assert_non_null(copy);
        memcpy(copy, bytes.at, i);
        assert_int_equal(verdict(span_bytes(copy, i), NULL), MK_ERR_MALFORMED);
        free(copy);
    }
    buf_append(&bytes, "\xc0", 1);
    assert_int_equal(verdict(buf_span(&bytes), NULL), MK_ERR_MALFORMED);
    buf_fini(&bytes);
}

static void test_message__every_required_key_is_missed_by_name(void **state)
{
    static const struct {
        const char *type, *key;
    } needed[] = {{"input", "v"},   {"input", "t"},   {"input", "id"},   {"input", "session"},
                  {"command", "v"}, {"command", "t"}, {"command", "id"}, {"command", "op"}};
    (void)state;
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        struct builder b;
        struct mk_note note = {""};
        begin(&b, needed[i].type, needed[i].key);
        assert_int_equal(end(&b, &note), MK_ERR_MISSING_FIELD);
        assert_memory_equal(note.text, needed[i].key, strlen(needed[i].key));
    }
}

static void test_message__a_text_one_byte_beyond_its_bound_is_refused(void **state)
{
    static const struct {
        const char *type, *key;
        size_t most;
        enum mk_err wanted;
    } bounds[] = {
        {"input", "id", 64, MK_ERR_TOO_LARGE},        {"input", "session", 128, MK_ERR_INVALID_FIELD},
        {"input", "pub", 64, MK_ERR_TOO_LARGE},       {"input", "idem", 64, MK_ERR_TOO_LARGE},
        {"input", "supersede", 64, MK_ERR_TOO_LARGE}, {"input", "corr", 64, MK_ERR_TOO_LARGE},
        {"input", "after", 64, MK_ERR_TOO_LARGE},     {"input", "reply_to", 64, MK_ERR_TOO_LARGE},
        {"input", "executor", 64, MK_ERR_TOO_LARGE},  {"input", "peer_id", 64, MK_ERR_TOO_LARGE},
        {"input", "peer_name", 64, MK_ERR_TOO_LARGE}, {"input", "request_id", 64, MK_ERR_TOO_LARGE},
        {"input", "intent", 64, MK_ERR_TOO_LARGE},    {"input", "event_type", 64, MK_ERR_TOO_LARGE},
        {"input", "step_id", 64, MK_ERR_TOO_LARGE},   {"input", "operation_id", 64, MK_ERR_TOO_LARGE},
        {"command", "op", 64, MK_ERR_TOO_LARGE},      {"command", "reply_to", 64, MK_ERR_TOO_LARGE},
        {"command", "run", 64, MK_ERR_TOO_LARGE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
        assert_int_equal(with_text(bounds[i].type, bounds[i].key, 0), MK_ERR_INVALID_FIELD);
        assert_int_equal(with_text(bounds[i].type, bounds[i].key, 1), MK_ERR_OK);
        assert_int_equal(with_text(bounds[i].type, bounds[i].key, bounds[i].most), MK_ERR_OK);
        assert_int_equal(with_text(bounds[i].type, bounds[i].key, bounds[i].most + 1), bounds[i].wanted);
    }
}

static enum mk_err with_argument(const char *key, size_t bytes)
{
    char text[REASON_BYTES_MAX + 2];
    struct builder b;
    struct map_pack args;
    memset(text, 'x', sizeof text);
    begin(&b, "command", "");
    map_key(&b.map, "args");
    map_open(&args, &b.out);
    map_text(&args, key, span_bytes(text, bytes));
    map_close(&args);
    return end(&b, NULL);
}

static void test_message__an_argument_one_byte_beyond_its_bound_is_too_large(void **state)
{
    static const struct {
        const char *key;
        size_t most;
    } bounds[] = {{"id", 64},       {"idem", 64},  {"run", 64},         {"reason", REASON_BYTES_MAX},
                  {"executor", 64}, {"epoch", 64}, {"incarnation", 64}, {"kind", 64}};
    (void)state;
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
        assert_int_equal(with_argument(bounds[i].key, bounds[i].most), MK_ERR_OK);
        assert_int_equal(with_argument(bounds[i].key, bounds[i].most + 1), MK_ERR_TOO_LARGE);
    }
}

static enum mk_err with_intents(size_t count, size_t bytes)
{
    char text[MESSAGE_ID_BYTES_MAX + 1], array[3] = {'\xdc', 0, (char)count};
    struct builder b;
    struct map_pack args;
    memset(text, 'x', sizeof text);
    begin(&b, "command", "");
    map_key(&b.map, "args");
    map_open(&args, &b.out);
    map_key(&args, "intents");
    buf_append(&b.out, array, 3);
    for (size_t i = 0; i < count; i++) {
        char head[2] = {'\xd9', (char)bytes};
        buf_append(&b.out, head, 2);
        buf_append(&b.out, text, bytes);
    }
    map_close(&args);
    return end(&b, NULL);
}

static void test_message__intents_have_their_bounds(void **state)
{
    (void)state;
    assert_int_equal(with_intents(SILENT_INTENTS_MAX, 1), MK_ERR_OK);
    assert_int_equal(with_intents(SILENT_INTENTS_MAX + 1, 1), MK_ERR_INVALID_FIELD);
    assert_int_equal(with_intents(1, MESSAGE_ID_BYTES_MAX), MK_ERR_OK);
    assert_int_equal(with_intents(1, MESSAGE_ID_BYTES_MAX + 1), MK_ERR_INVALID_FIELD);
}

static void test_message__a_value_of_a_wrong_type_or_range_is_an_invalid_field(void **state)
{
    static const struct {
        const char *type, *key;
        struct span raw;
        enum mk_err wanted;
    } cases[] = {
        {"input", "v",
         FIXED("\xa1"
               "1"),
         MK_ERR_INVALID_FIELD},
        {"input", "t", FIXED("\x01"), MK_ERR_INVALID_FIELD},
        {"input", "id", FIXED("\x01"), MK_ERR_INVALID_FIELD},
        {"input", "ts", FIXED("\xff"), MK_ERR_INVALID_FIELD},
        {"input", "pe", FIXED("\xa1x"), MK_ERR_INVALID_FIELD},
        {"input", "ps", FIXED("\xca\x3f\x80\x00\x00"), MK_ERR_INVALID_FIELD},
        {"input", "session", FIXED("\xa1/"), MK_ERR_INVALID_FIELD},
        {"input", "session", FIXED("\xc0"), MK_ERR_MISSING_FIELD},
        {"input", "reply_to", FIXED("\xa1*"), MK_ERR_INVALID_FIELD},
        {"input", "reply_to",
         FIXED("\xa3"
               "a/b"),
         MK_ERR_INVALID_FIELD},
        {"input", "executor", FIXED("\xa1 "), MK_ERR_INVALID_FIELD},
        {"input", "kind",
         FIXED("\xa3"
               "ode"),
         MK_ERR_INVALID_FIELD},
        {"input", "kind", FIXED("\x00"), MK_ERR_INVALID_FIELD},
        {"input", "origin", FIXED("\xa1x"), MK_ERR_INVALID_FIELD},
        {"input", "handling", FIXED("\xa1x"), MK_ERR_INVALID_FIELD},
        {"input", "status", FIXED("\xa1x"), MK_ERR_INVALID_FIELD},
        {"input", "continuation", FIXED("\xa1x"), MK_ERR_INVALID_FIELD},
        {"input", "durability", FIXED("\xa1x"), MK_ERR_INVALID_FIELD},
        {"input", "durability", FIXED("\xa7missing"), MK_ERR_INVALID_FIELD},
        {"input", "durability", FIXED("\x00"), MK_ERR_INVALID_FIELD},
        {"input", "wake", FIXED("\x01"), MK_ERR_INVALID_FIELD},
        {"input", "born", FIXED("\xcf\x00\x10\x00\x00\x00\x00\x00\x00"), MK_ERR_OK}, /* 2^52 */
        {"input", "born", FIXED("\xcf\x00\x10\x00\x00\x00\x00\x00\x01"), MK_ERR_INVALID_FIELD},
        {"input", "deadline_ms", FIXED("\xcf\x00\x10\x00\x00\x00\x00\x00\x01"), MK_ERR_INVALID_FIELD},
        {"input", "visibility", FIXED("\xc3"), MK_ERR_INVALID_FIELD},
        {"input", "visibility", FIXED("\x81\xa8operator\x01"), MK_ERR_INVALID_FIELD},
        {"input", "visibility", FIXED("\xc0"), MK_ERR_OK},
        {"command", "op", FIXED("\x01"), MK_ERR_INVALID_FIELD},
        {"command", "args", FIXED("\x90"), MK_ERR_INVALID_FIELD},
        {"command", "args", FIXED("\xc0"), MK_ERR_OK},
        {"command", "args",
         FIXED("\x81\xa4"
               "from\xff"),
         MK_ERR_INVALID_FIELD},
        {"command", "args", FIXED("\x81\xa7running\x01"), MK_ERR_INVALID_FIELD},
        {"command", "args", FIXED("\x81\xa7intents\xa1x"), MK_ERR_INVALID_FIELD},
        {"command", "args", FIXED("\x81\xa7intents\x91\x01"), MK_ERR_INVALID_FIELD},
        {"command", "born", FIXED("\xcf\x00\x10\x00\x00\x00\x00\x00\x01"), MK_ERR_INVALID_FIELD},
        {"command", "deadline_ms", FIXED("\xcf\x00\x10\x00\x00\x00\x00\x00\x01"), MK_ERR_INVALID_FIELD},
        {"input", "v", FIXED("\x02"), MK_ERR_UNSUPPORTED_VERSION},
        {"input", "v", FIXED("\x00"), MK_ERR_MISSING_FIELD},
        {"input", "t", FIXED("\xa1x"), MK_ERR_UNKNOWN_TYPE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum mk_err err = with_raw(cases[i].type, cases[i].key, cases[i].raw, NULL);
        if (err != cases[i].wanted)
            fail_msg("case %zu, %s: %s", i, cases[i].key, mk_err_code(err));
    }
}

static void test_message__the_version_is_judged_before_the_other_keys(void **state)
{
    struct builder b;
    (void)state;
    begin(&b, "input", "v");
    map_u64(&b.map, "v", 2);
    map_u64(&b.map, "ps", 1);
    map_bool(&b.map, "reply_to", true);
    assert_int_equal(end(&b, NULL), MK_ERR_UNSUPPORTED_VERSION);
}

static void test_message__a_refused_head_still_says_whom_to_answer(void **state)
{
    struct builder b;
    struct message_head head;
    (void)state;
    begin(&b, "input", "ts");
    map_text(&b.map, "ts", SPAN_LIT("noon"));
    map_text(&b.map, "reply_to", SPAN_LIT("cli-1"));
    map_close(&b.map);
    assert_int_equal(message_head_read(buf_span(&b.out), &head, NULL), MK_ERR_INVALID_FIELD);
    assert_int_equal(head.type, MK_INPUT);
    assert_span_equal(head.h.id, "m-1");
    assert_span_equal(head.reply_to, "cli-1");
    assert_span_equal(head.session, "s1");
    buf_fini(&b.out);
}

static void test_message__a_head_that_cannot_be_read_is_empty(void **state)
{
    struct message_head head = {.version = 9};
    (void)state;
    assert_int_equal(message_head_read(SPAN_LIT("\xc1"), &head, NULL), MK_ERR_MALFORMED);
    assert_int_equal(head.type, MK_TYPE_COUNT);
    assert_int_equal(head.version, 0);
    assert_false(span_given(head.h.id) || span_given(head.reply_to));
    assert_int_equal(message_head_read(SPAN_LIT("\x91\xc0"), &head, NULL), MK_ERR_MALFORMED);
}

/* --- rules of single keys --- */

static void read_with(const char *key, struct span raw, struct mk_input *out)
{
    static char frame[512];
    struct builder b;
    begin(&b, "input", key);
    map_raw(&b.map, key, raw);
    map_close(&b.map);
    memcpy(frame, b.out.at, b.out.bytes);
    assert_int_equal(input_read(span_bytes(frame, b.out.bytes), out, NULL), MK_ERR_OK);
    buf_fini(&b.out);
}

static void test_message__absent_keys_have_their_defaults(void **state)
{
    struct mk_input in;
    (void)state;
    read_with("unknown", SPAN_LIT("\x81\x01\x02"), &in);
    assert_int_equal(in.kind, MK_PROMPT);
    assert_int_equal(in.durability, MK_DURABLE);
    assert_int_equal(in.origin, MK_EXTERNAL);
    assert_int_equal(in.handling, MK_HANDLING_NONE);
    assert_int_equal(in.continuation, MK_ORDINARY);
    assert_true(in.wake && in.transcript_eligible && in.operator_eligible);
    assert_false(span_given(in.body));
    assert_true(in.born == 0 && in.deadline_ms == 0);
}

/* What a node makes of a body (a completion, in a page of events, in a batch) must be readable still. */
static void test_message__a_body_is_at_most_24_deep(void **state)
{
    char body[BODY_NESTING_MAX + 2];
    struct mk_note note = {""};
    (void)state;
    memset(body, '\x91', sizeof body);
    body[BODY_NESTING_MAX] = '\x01';
    assert_int_equal(with_raw("input", "body", span_bytes(body, BODY_NESTING_MAX + 1), NULL), MK_ERR_OK);
    body[BODY_NESTING_MAX] = '\x91';
    body[BODY_NESTING_MAX + 1] = '\x01';
    assert_int_equal(with_raw("input", "body", span_bytes(body, BODY_NESTING_MAX + 2), &note), MK_ERR_TOO_LARGE);
    assert_memory_equal(note.text, "body: ", 6);
}

static void test_message__a_nil_durability_is_missing(void **state)
{
    struct mk_input in;
    (void)state;
    read_with("durability", SPAN_LIT("\xc0"), &in);
    assert_int_equal(in.durability, MK_DURABILITY_MISSING);
}

static void test_message__external_events_and_continuations_are_queued_by_default(void **state)
{
    struct mk_input in;
    (void)state;
    read_with("kind",
              SPAN_LIT("\xae"
                       "external_event"),
              &in);
    assert_int_equal(in.handling, MK_HANDLING_QUEUE);
    read_with("kind",
              SPAN_LIT("\xac"
                       "continuation"),
              &in);
    assert_int_equal(in.handling, MK_HANDLING_QUEUE);
    read_with("kind",
              SPAN_LIT("\xac"
                       "peer_message"),
              &in);
    assert_int_equal(in.handling, MK_HANDLING_NONE);
}

static void test_message__one_side_of_the_visibility_leaves_the_other_open(void **state)
{
    struct mk_input in;
    (void)state;
    read_with("visibility", SPAN_LIT("\x81\xaatranscript\xc2"), &in);
    assert_false(in.transcript_eligible);
    assert_true(in.operator_eligible);
}

static void test_message__an_admission_without_durability_has_none(void **state)
{
    struct builder b;
    struct mk_admission out;
    (void)state;
    begin(&b, "admission", "");
    map_text(&b.map, "re", SPAN_LIT("i"));
    map_text(&b.map, "outcome", SPAN_LIT("rejected"));
    map_text(&b.map, "reason", SPAN_LIT("from_the_future"));
    map_close(&b.map);
    assert_int_equal(admission_read(buf_span(&b.out), &out, NULL), MK_ERR_OK);
    assert_int_equal(out.durability, MK_DURABILITY_MISSING);
    assert_int_equal(out.reason, MK_ERR_INTERNAL); /* a code that is not known */
    assert_false(out.final);
    buf_fini(&b.out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_message__an_input_comes_back_as_it_was),
        cmocka_unit_test(test_message__a_command_comes_back_as_it_was),
        cmocka_unit_test(test_message__an_unknown_operation_keeps_its_text),
        cmocka_unit_test(test_message__an_admission_comes_back_as_it_was),
        cmocka_unit_test(test_message__a_completion_comes_back_as_it_was),
        cmocka_unit_test(test_message__an_effect_comes_back_as_it_was),
        cmocka_unit_test(test_message__an_effect_without_data_has_an_empty_map_and_raw_data_stay),
        cmocka_unit_test(test_message__a_result_says_every_error),
        cmocka_unit_test(test_message__a_doc_that_failed_or_is_open_fails_the_packing),
        cmocka_unit_test(test_message__a_node_says_what_it_owns),
        cmocka_unit_test(test_message__a_node_says_what_it_hands_over_expects_and_suspends),
        cmocka_unit_test(test_message__empty_lists_of_a_heartbeat_are_not_said),
        cmocka_unit_test(test_message__a_heartbeat_that_half_understands_a_hand_over_is_refused),
        cmocka_unit_test(test_message__a_heartbeat_that_is_refused_has_no_lists),
        cmocka_unit_test(test_message__the_most_partitions_fit_a_heartbeat_and_a_frame),
        cmocka_unit_test(test_message__an_owned_entry_of_another_form_is_stepped_over),
        cmocka_unit_test(test_message__a_hub_says_its_counters),
        cmocka_unit_test(test_message__the_items_of_a_batch_are_whole_messages_in_order),
        cmocka_unit_test(test_message__a_batch_has_at_most_4096_items),
        cmocka_unit_test(test_message__an_input_cut_short_at_any_byte_is_malformed),
        cmocka_unit_test(test_message__every_required_key_is_missed_by_name),
        cmocka_unit_test(test_message__a_text_one_byte_beyond_its_bound_is_refused),
        cmocka_unit_test(test_message__an_argument_one_byte_beyond_its_bound_is_too_large),
        cmocka_unit_test(test_message__intents_have_their_bounds),
        cmocka_unit_test(test_message__a_value_of_a_wrong_type_or_range_is_an_invalid_field),
        cmocka_unit_test(test_message__the_version_is_judged_before_the_other_keys),
        cmocka_unit_test(test_message__a_refused_head_still_says_whom_to_answer),
        cmocka_unit_test(test_message__a_head_that_cannot_be_read_is_empty),
        cmocka_unit_test(test_message__absent_keys_have_their_defaults),
        cmocka_unit_test(test_message__a_body_is_at_most_24_deep),
        cmocka_unit_test(test_message__a_nil_durability_is_missing),
        cmocka_unit_test(test_message__external_events_and_continuations_are_queued_by_default),
        cmocka_unit_test(test_message__one_side_of_the_visibility_leaves_the_other_open),
        cmocka_unit_test(test_message__an_admission_without_durability_has_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
