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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
