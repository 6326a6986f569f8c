#include "tests/lib/t.h"

#include "node/core/ledger.h"

#include <stdio.h>

struct bench {
    struct test_mem t;
    struct ledger ledger;
    uint64_t selected[RUN_INPUTS_MAX];
};

static void setup(struct bench *b)
{
    memset(b, 0, sizeof *b);
    test_mem_init(&b->t);
    b->ledger.next_admission = 1;
}

static void teardown(struct bench *b)
{
    ledger_release(&b->ledger, &b->t.mem);
    assert_int_equal(b->t.live, 0);
}

static struct mk_input input_of(const char *id, enum mk_kind kind, enum mk_handling handling)
{
    return (struct mk_input){
        .h.id = span_of(id), .kind = kind, .handling = handling, .body = SPAN_LIT("x"), .wake = true};
}

static struct entry *put(struct bench *b, const char *id, enum mk_kind kind, enum mk_handling handling)
{
    struct mk_input input = input_of(id, kind, handling);
    struct policy policy = policy_of(&input, false, false, false);
    struct admitted *copy = input_copy(&b->t.mem, &input);
    struct entry *entry = ledger_add(&b->ledger, &b->t.mem, copy, &policy);
    input_release(copy);
    return entry;
}

/* The ids of the next batch, in order. */
static const char *batch(struct bench *b)
{
    static char text[1024];
    size_t count = ledger_select(&b->ledger, b->selected);
    text[0] = 0;
    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%.*s", i ? " " : "",
                 SPAN_ARGS(ledger_by_seq(&b->ledger, b->selected[i])->input->input.h.id));
    }
    return text;
}

static void test_ledger__a_prompt_runs_alone_and_ends_a_batch(void **state)
{
    (void)state;
    struct bench b;
    setup(&b);
    assert_string_equal(batch(&b), "");
    put(&b, "m1", MK_PEER_MESSAGE, MK_HANDLING_NONE);
    put(&b, "f1", MK_FLOW_STEP, MK_HANDLING_NONE);
    put(&b, "p1", MK_PROMPT, MK_HANDLING_NONE);
    put(&b, "m2", MK_PEER_MESSAGE, MK_HANDLING_NONE);
    assert_string_equal(batch(&b), "m1 f1");
    ledger_remove(&b.ledger, &b.t.mem, 1);
    ledger_remove(&b.ledger, &b.t.mem, 2);
    assert_string_equal(batch(&b), "p1");
    teardown(&b);
}

static void test_ledger__the_whole_steer_lane_goes_first_and_splits_at_another_boundary(void **state)
{
    (void)state;
    struct bench b;
    setup(&b);
    put(&b, "m1", MK_PEER_MESSAGE, MK_HANDLING_NONE);
    put(&b, "s1", MK_PROMPT, MK_HANDLING_STEER);
    put(&b, "s2", MK_PROMPT, MK_HANDLING_STEER);
    put(&b, "t1", MK_PEER_RESPONSE_TERMINAL, MK_HANDLING_STEER);
    assert_string_equal(batch(&b), "s1 s2"); /* prompts share a steer batch; the terminal starts a run */
    teardown(&b);
}

static void test_ledger__kinds_of_execution_do_not_mix(void **state)
{
    (void)state;
    struct bench b;
    setup(&b);
    put(&b, "m1", MK_PEER_MESSAGE, MK_HANDLING_NONE);
    put(&b, "c1", MK_CONTINUATION, MK_HANDLING_QUEUE); /* resumes what is pending */
    put(&b, "c2", MK_CONTINUATION, MK_HANDLING_QUEUE);
    put(&b, "t1", MK_PEER_RESPONSE_TERMINAL, MK_HANDLING_NONE);
    assert_string_equal(batch(&b), "m1");
    ledger_remove(&b.ledger, &b.t.mem, 1);
    assert_string_equal(batch(&b), "c1 c2");
    ledger_remove(&b.ledger, &b.t.mem, 2);
    ledger_remove(&b.ledger, &b.t.mem, 3);
    assert_string_equal(batch(&b), "t1");
    teardown(&b);
}

static void test_ledger__a_batch_ends_before_a_conflicting_handling_mode(void **state)
{
    (void)state;
    struct bench b;
    setup(&b);
    put(&b, "m1", MK_PEER_MESSAGE, MK_HANDLING_STEER); /* admitted while idle: runs as queued */
    put(&b, "s1", MK_FLOW_STEP, MK_HANDLING_STEER);
    put(&b, "s2", MK_FLOW_STEP, MK_HANDLING_STEER);
    assert_string_equal(batch(&b), "m1");
    ledger_remove(&b.ledger, &b.t.mem, 1);
    put(&b, "m2", MK_PEER_MESSAGE, MK_HANDLING_STEER)->admitted_while_running = true;
    assert_string_equal(batch(&b), "s1 s2 m2");
    teardown(&b);
}

static void test_ledger__no_mode_matches_any(void **state)
{
    (void)state;
    struct bench b;
    setup(&b);
    put(&b, "m1", MK_PEER_MESSAGE, MK_HANDLING_NONE);
    put(&b, "e1", MK_EXTERNAL_EVENT, MK_HANDLING_QUEUE);
    put(&b, "m2", MK_PEER_MESSAGE, MK_HANDLING_NONE);
    assert_string_equal(batch(&b), "m1 e1 m2");
    teardown(&b);
}

static void test_ledger__only_queued_inputs_are_selected(void **state)
{
    (void)state;
    struct bench b;
    setup(&b);
    struct mk_id run;
    id_set(&run, SPAN_LIT("r"));
    entry_stage(put(&b, "m1", MK_PEER_MESSAGE, MK_HANDLING_NONE), &run);
    put(&b, "m2", MK_PEER_MESSAGE, MK_HANDLING_NONE);
    assert_string_equal(batch(&b), "m2");
    entry_requeue(ledger_edit(&b.ledger, &b.t.mem, 1), 2, false);
    assert_string_equal(batch(&b), "m1 m2");
    assert_int_equal(ledger_by_seq(&b.ledger, 1)->attempts, 0);
    teardown(&b);
}

static void test_ledger__who_failed_together_runs_with_fewer_then_alone(void **state)
{
    (void)state;
    struct bench b;
    struct mk_id run;
    char id[8];
    setup(&b);
    id_set(&run, SPAN_LIT("r"));
    for (int i = 1; i <= 9; i++) {
        snprintf(id, sizeof id, "m%d", i);
        put(&b, id, MK_PEER_MESSAGE, MK_HANDLING_NONE);
    }
    for (uint64_t seq = 1; seq <= 9; seq++) {
        entry_stage(ledger_edit(&b.ledger, &b.t.mem, seq), &run);
        entry_requeue(ledger_edit(&b.ledger, &b.t.mem, seq), 9, true);
    }
    assert_string_equal(batch(&b), "m1 m2 m3");
    for (uint64_t seq = 1; seq <= 3; seq++) {
        entry_stage(ledger_edit(&b.ledger, &b.t.mem, seq), &run);
        entry_requeue(ledger_edit(&b.ledger, &b.t.mem, seq), 3, true);
    }
    assert_string_equal(batch(&b), "m1");
    teardown(&b);
}

static void test_ledger__who_saw_two_nodes_die_runs_alone(void **state)
{
    (void)state;
    struct bench b;
    setup(&b);
    put(&b, "m1", MK_PEER_MESSAGE, MK_HANDLING_NONE);
    put(&b, "m2", MK_PEER_MESSAGE, MK_HANDLING_NONE)->deaths = DEATHS_BEFORE_ALONE;
    put(&b, "m3", MK_PEER_MESSAGE, MK_HANDLING_NONE);
    assert_string_equal(batch(&b), "m1");
    ledger_remove(&b.ledger, &b.t.mem, 1);
    assert_string_equal(batch(&b), "m2");
    teardown(&b);
}

static void test_ledger__a_batch_has_a_bound(void **state)
{
    (void)state;
    struct bench b;
    char id[16];
    setup(&b);
    for (int i = 0; i <= RUN_INPUTS_MAX; i++) {
        snprintf(id, sizeof id, "m%d", i);
        put(&b, id, MK_PEER_MESSAGE, MK_HANDLING_NONE);
    }
    assert_int_equal(ledger_select(&b.ledger, b.selected), RUN_INPUTS_MAX);
    teardown(&b);
}

static void test_ledger__an_edit_of_a_shared_entry_leaves_the_copy_alone(void **state)
{
    (void)state;
    struct bench b;
    struct ledger copy;
    setup(&b);
    put(&b, "m1", MK_PEER_MESSAGE, MK_HANDLING_NONE);
    assert_true(ledger_copy(&copy, &b.ledger, &b.t.mem));
    ledger_edit(&b.ledger, &b.t.mem, 1)->attempts = 7;
    assert_int_equal(ledger_by_seq(&copy, 1)->attempts, 0);
    ledger_remove(&b.ledger, &b.t.mem, 1);
    assert_non_null(ledger_by_id(&copy, SPAN_LIT("m1")));
    ledger_release(&copy, &b.t.mem);
    teardown(&b);
}

static void test_ledger__a_copied_input_owns_every_span(void **state)
{
    (void)state;
    struct bench b;
    setup(&b);
    char text[] = "abc";
    struct mk_input input = {
        .h.id = span_of(text), .idem = span_of(text), .body = span_bytes(text, 0), .step_id = span_of(text)};
    struct admitted *copy = input_copy(&b.t.mem, &input);
    memset(text, 'z', 3);
    assert_span_equal(copy->input.h.id, "abc");
    assert_span_equal(copy->input.idem, "abc");
    assert_span_equal(copy->input.step_id, "abc");
    assert_true(span_given(copy->input.body)); /* empty, but there */
    assert_false(span_given(copy->input.corr));
    input_release(copy);
    teardown(&b);
}

static void test_ledger__the_digest_is_of_kind_and_body_and_never_changes(void **state)
{
    (void)state;
    struct mk_input a = input_of("a", MK_PROMPT, MK_HANDLING_NONE), b = input_of("b", MK_PROMPT, MK_HANDLING_STEER);
    assert_true(input_digest(&a) == input_digest(&b));
    b.body = SPAN_LIT("y");
    assert_false(input_digest(&a) == input_digest(&b));
    b.body = a.body;
    b.kind = MK_FLOW_STEP;
    assert_false(input_digest(&a) == input_digest(&b));
    assert_true(input_digest(&a) == 0xccee198b4716079bull); /* stored ones must stay equal */
}

static void test_ledger__waiters_join_once_and_up_to_the_bound(void **state)
{
    (void)state;
    struct bench b;
    char client[8];
    setup(&b);
    struct entry *entry = put(&b, "m1", MK_PEER_MESSAGE, MK_HANDLING_NONE);
    entry_join(entry, SPAN_LIT("c0"));
    entry_join(entry, SPAN_LIT("c0"));
    assert_int_equal(entry->waiter_count, 1);
    for (int i = 0; i < 2 * WAITERS_MAX; i++) {
        snprintf(client, sizeof client, "c%d", i);
        entry_join(entry, span_of(client));
    }
    assert_int_equal(entry->waiter_count, WAITERS_MAX);
    teardown(&b);
}

static void test_ledger__restored_rows_come_in_any_order(void **state)
{
    (void)state;
    struct bench b;
    setup(&b);
    struct mk_input input = input_of("m", MK_PEER_MESSAGE, MK_HANDLING_NONE);
    struct policy policy = policy_of(&input, false, false, false);
    static const uint64_t seqs[] = {5, 2, 9, 7};
    for (size_t i = 0; i < 4; i++) {
        struct admitted *copy = input_copy(&b.t.mem, &input);
        assert_non_null(ledger_restore(&b.ledger, &b.t.mem, copy, &policy, seqs[i]));
        assert_null(ledger_restore(&b.ledger, &b.t.mem, copy, &policy, seqs[i]));
        input_release(copy);
    }
    assert_int_equal(ledger_select(&b.ledger, b.selected), 4);
    assert_int_equal(b.selected[0], 2);
    assert_int_equal(b.selected[3], 9);
    teardown(&b);
}

/* --- batches: what shares a run with what --- */

/* An input in two letters and more: the kind (p prompt, f flow_step, e external_event, m peer_message, q peer_request,
 * g progress, t terminal response, c continuation, w workgraph_attention), the mode (- none, q queue, s steer), then
 * r: admitted during a run, h: silenced. External events and continuations carry a mode when they are read: '-' is
 * what comes from inside. */
static void put_letters(struct bench *b, const char *letters, size_t bytes, const char *id)
{
    static const char kinds[] = "pfemqgtcw";
    static const enum mk_kind kind_of[] = {MK_PROMPT,
                                           MK_FLOW_STEP,
                                           MK_EXTERNAL_EVENT,
                                           MK_PEER_MESSAGE,
                                           MK_PEER_REQUEST,
                                           MK_PEER_RESPONSE_PROGRESS,
                                           MK_PEER_RESPONSE_TERMINAL,
                                           MK_CONTINUATION,
                                           MK_CONTINUATION};
    enum mk_handling mode = letters[1] == 'q'   ? MK_HANDLING_QUEUE
                            : letters[1] == 's' ? MK_HANDLING_STEER
                                                : MK_HANDLING_NONE;
    bool running = memchr(letters, 'r', bytes), silent = memchr(letters, 'h', bytes);
    struct mk_input input = input_of(id, kind_of[strchr(kinds, letters[0]) - kinds], mode);
    input.continuation = letters[0] == 'w' ? MK_WORKGRAPH_ATTENTION : MK_ORDINARY;
    struct policy policy = policy_of(&input, running, running, silent);
    struct admitted *copy = input_copy(&b->t.mem, &input);
    struct entry *entry = ledger_add(&b->ledger, &b->t.mem, copy, &policy);
    entry->admitted_while_running = running;
    input_release(copy);
}

/* Admits the inputs, then takes batch after batch: "1 2|3" when the third ran alone, behind the first two. */
static void assert_batches(const char *inputs, const char *wanted)
{
    struct bench b;
    char text[256] = "", id[12];
    int count = 0;
    setup(&b);
    for (const char *at = inputs; *at; at += strspn(at, " ")) {
        size_t bytes = strcspn(at, " ");
        snprintf(id, sizeof id, "%d", ++count);
        put_letters(&b, at, bytes, id);
        at += bytes;
    }
    while (b.ledger.count) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%s", used ? "|" : "", batch(&b));
        for (size_t i = ledger_select(&b.ledger, b.selected); i > 0; i--)
            ledger_remove(&b.ledger, &b.t.mem, b.selected[i - 1]);
    }
    if (strcmp(text, wanted))
        fail_msg("%s runs as %s, not as %s", inputs, text, wanted);
    teardown(&b);
}

static void test_ledger__what_shares_a_run_with_what(void **state)
{
    (void)state;
    static const struct {
        const char *inputs, *batches;
    } cases[] = {
        /* the whole steer lane first, each lane in order of admission */
        {"m- f- ms fs", "3|4|1 2"},
        {"m- p- fs ps", "3 4|1|2"},
        /* a prompt in the queue lane runs alone and ends what is before it; in the steer lane it does not */
        {"p- p-", "1|2"},
        {"p- m- m-", "1|2 3"},
        {"m- m- p- m- m-", "1 2|3|4 5"},
        {"pq fq", "1|2"},
        {"ps ps fs", "1 2 3"},
        /* one kind of execution: content with content, resumed with resumed */
        {"m- cq cq m-", "1|2 3|4"},
        {"fs cs cs fs", "1|2 3|4"},
        {"w- m- w-", "1 2 3"},
        {"w- cq", "1|2"},
        /* one intent of the terminal's context */
        {"m- t- t- m-", "1|2 3|4"},
        {"ts qsh ts", "1|2|3"},
        /* steer: one boundary; a terminal and a silenced request begin a run, the others meet at a checkpoint */
        {"ms ts ts ms", "1|2 3|4"},
        {"qs qsh qsh qs", "1|2 3|4"},
        {"qsr fs qshr", "1 2|3"},
        /* queue: the boundary is not asked, for there is only one */
        {"q-h q- m-", "1 2 3"},
        /* D16: another mode of the turn ends the batch; none fits any */
        {"fq f- eq m-", "1 2 3 4"},
        {"f- f- fq", "1 2 3"},
        {"ms gr fs", "1 2|3"},  /* a peer's steer while nothing ran is queue's mode */
        {"msr gr fs", "1 2 3"}, /* during a run it is its own */
        {"g- fs g-", "1|2|3"},  /* progress admitted while nothing ran is queue's, too */
        {"gr fs gr", "1 2 3"},  /* during a run it has none */
        {"ts ts tsr", "1 2|3"},
        {"e- es", "2|1"},
        {"c- c- cs", "1 2|3"},  /* a continuation from inside has queue's mode in the steer lane */
        {"gr msr ms", "1 2|3"}, /* the first mode in the batch counts, not the first input */
        {"q-h qq mq", "1 2 3"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_batches(cases[i].inputs, cases[i].batches);
}

/* Rolled back, whether it failed or was not begun, in its lane and at its place. */
static void test_ledger__a_rolled_back_entry_keeps_its_lane_and_its_place(void **state)
{
    (void)state;
    for (unsigned failed = 0; failed < 2; failed++) {
        struct bench b;
        struct mk_id run;
        setup(&b);
        id_set(&run, SPAN_LIT("r"));
        put(&b, "m1", MK_PEER_MESSAGE, MK_HANDLING_NONE);
        put(&b, "m2", MK_PEER_MESSAGE, MK_HANDLING_NONE);
        put(&b, "s1", MK_FLOW_STEP, MK_HANDLING_STEER);
        put(&b, "s2", MK_FLOW_STEP, MK_HANDLING_STEER);
        for (uint64_t seq = 1; seq <= 3; seq += 2) {
            entry_stage(ledger_edit(&b.ledger, &b.t.mem, seq), &run);
            assert_int_equal(ledger_by_seq(&b.ledger, seq)->phase, INPUT_STAGED);
            assert_int_equal(ledger_by_seq(&b.ledger, seq)->attempts, 1);
            assert_string_equal(ledger_by_seq(&b.ledger, seq)->run.text, "r");
        }
        put(&b, "s3", MK_FLOW_STEP, MK_HANDLING_STEER);
        for (uint64_t seq = 1; seq <= 3; seq += 2) {
            entry_requeue(ledger_edit(&b.ledger, &b.t.mem, seq), 9, failed);
            assert_int_equal(ledger_by_seq(&b.ledger, seq)->attempts, failed);
            assert_int_equal(ledger_by_seq(&b.ledger, seq)->order, seq);
        }
        assert_string_equal(batch(&b), "s1 s2 s3");
        for (uint64_t seq = 3; seq <= 5; seq++)
            ledger_remove(&b.ledger, &b.t.mem, seq);
        assert_string_equal(batch(&b), "m1 m2");
        teardown(&b);
    }
}

/* Whatever member a span is, the copy points into its own bytes. */
static void test_ledger__no_member_of_a_copied_input_points_outside(void **state)
{
    (void)state;
    struct bench b;
    setup(&b);
    static const char text[] = "text";
    struct mk_input input;
    const char *outside = text;
    memset(&input, 0, sizeof input);
    struct span *spans[] = {&input.h.id,      &input.h.pub,       &input.session,    &input.body,     &input.idem,
                            &input.supersede, &input.corr,        &input.after,      &input.reply_to, &input.executor,
                            &input.peer_id,   &input.peer_name,   &input.request_id, &input.intent,   &input.event_type,
                            &input.step_id,   &input.operation_id};
    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++)
        *spans[i] = SPAN_LIT(text);
    struct admitted *copy = input_copy(&b.t.mem, &input);
    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
        const char *mine = (const char *)&copy->input + ((const char *)spans[i] - (const char *)&input);
        assert_memory_not_equal(mine, &outside, sizeof outside);
        assert_true(span_equal(*(const struct span *)(const void *)mine, SPAN_LIT("text")));
    }
    input_release(copy);
    teardown(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ledger__a_prompt_runs_alone_and_ends_a_batch),
        cmocka_unit_test(test_ledger__the_whole_steer_lane_goes_first_and_splits_at_another_boundary),
        cmocka_unit_test(test_ledger__kinds_of_execution_do_not_mix),
        cmocka_unit_test(test_ledger__a_batch_ends_before_a_conflicting_handling_mode),
        cmocka_unit_test(test_ledger__no_mode_matches_any),
        cmocka_unit_test(test_ledger__only_queued_inputs_are_selected),
        cmocka_unit_test(test_ledger__who_failed_together_runs_with_fewer_then_alone),
        cmocka_unit_test(test_ledger__who_saw_two_nodes_die_runs_alone),
        cmocka_unit_test(test_ledger__a_batch_has_a_bound),
        cmocka_unit_test(test_ledger__an_edit_of_a_shared_entry_leaves_the_copy_alone),
        cmocka_unit_test(test_ledger__a_copied_input_owns_every_span),
        cmocka_unit_test(test_ledger__the_digest_is_of_kind_and_body_and_never_changes),
        cmocka_unit_test(test_ledger__waiters_join_once_and_up_to_the_bound),
        cmocka_unit_test(test_ledger__restored_rows_come_in_any_order),
        cmocka_unit_test(test_ledger__what_shares_a_run_with_what),
        cmocka_unit_test(test_ledger__a_rolled_back_entry_keeps_its_lane_and_its_place),
        cmocka_unit_test(test_ledger__no_member_of_a_copied_input_points_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
