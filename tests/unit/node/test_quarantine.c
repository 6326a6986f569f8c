/* A session that is broken is set aside, counted and told; its neighbours, and the node, go on. What the store holds of
 * it stays as it was. */
#include "tests/unit/node/node_rig.h"

/* Of field `field` of hash mk:{0}:0000:<kind>. */
struct stored {
    char bytes[1024];
    size_t count;
};

static struct stored stored(struct node_rig *rig, const char *key, const char *field)
{
    struct stored out;
    size_t bytes;
    const struct span words[] = {SPAN_LIT("HGET"), span_of(key), span_of(field)};
    const char *text = node_rig_store(rig, 3, words, &bytes);
    assert_true(bytes <= sizeof out.bytes);
    memcpy(out.bytes, text, bytes);
    out.count = bytes;
    return out;
}

static void assert_stored(struct node_rig *rig, const char *key, const char *field, const struct stored *wanted)
{
    struct stored now = stored(rig, key, field);
    assert_int_equal(now.count, wanted->count);
    assert_memory_equal(now.bytes, wanted->bytes, now.count);
}

/* As a program of a later version would have written it: "v" is the first key of every record. */
static struct stored age(struct node_rig *rig, const char *key, const char *field)
{
    struct stored record = stored(rig, key, field);
    size_t bytes;
    for (size_t i = 0; i + 3 <= record.count; i++)
        if (memcmp(record.bytes + i, "\xa1v\x01", 3) == 0) {
            record.bytes[i + 2] = 2;
            const struct span words[] = {SPAN_LIT("HSET"), span_of(key), span_of(field), {record.bytes, record.count}};
            node_rig_store(rig, 4, words, &bytes);
            return record;
        }
    fail_msg("%s %s has no version 1", key, field);
    return record;
}

#define HEADS "mk:{0}:0000:s"
#define ROWS  "mk:{0}:0000:i"

static void test_quarantine__a_broken_machine_sets_its_session_aside_and_nothing_else(void **state)
{
    (void)state;
    struct node_rig *rig = node_rig_new();
    node_rig_send(rig, "a", "a1");
    node_rig_send(rig, "b", "b1");
    assert_logged(rig, "\"outcome\":\"completed\"");
    struct stored head = stored(rig, HEADS, "a");
    node_rig_session(rig, "a")->core.machine.retains_snapshot = true; /* no unregister is under way */
    node_rig_send(rig, "a", "a2");
    assert_logged(rig, "trace 0 session quarantined");
    assert_logged(rig, "something is due or retained for an unregister that is not under way");
    assert_logged(rig, "\"re\":\"a2\",\"reason\":\"quarantined\"");
    assert_stored(rig, HEADS, "a", &head);
    assert_int_equal(node_rig_status(rig).faults, 1);
    assert_int_equal(node_rig_status(rig).sessions_quarantined, 1);
    assert_non_null(strstr(node_rig_metrics(rig), "\nmeerkat_faults_total 1\n"));
    assert_non_null(strstr(node_rig_metrics(rig), "\nmeerkat_sessions_quarantined 1\n"));
    node_rig_send(rig, "b", "b2");
    assert_logged(rig, "\"input\":\"b2\",\"node\":\"n1\",\"outcome\":\"completed\"");
    node_rig_do(rig, "a", "q", "state");
    assert_logged(rig, "\"code\":\"quarantined\"");
    assert_int_equal(node_rig_status(rig).faults, 1); /* counted once */
    node_rig_free(rig);
}

/* Broken after one transition of an event and mended by the next: the event is not trusted all the same. */
static void test_quarantine__a_break_that_lasts_for_one_transition_is_seen(void **state)
{
    (void)state;
    struct node_rig *rig = node_rig_new();
    node_rig_send(rig, "a", "a1");
    node_rig_session(rig, "a")->core.machine.recovered = true; /* no run is there; the next one's begin takes it away */
    node_rig_send(rig, "a", "a2");
    assert_logged(rig, "a recovered run outside running");
    assert_logged(rig, "\"reason\":\"quarantined\"");
    assert_int_equal(rig->run_count, 0);
    node_rig_free(rig);
}

static void test_quarantine__the_next_life_reads_again_what_was_stored(void **state)
{
    (void)state;
    struct node_rig *rig = node_rig_new();
    node_rig_send(rig, "a", "a1");
    node_rig_session(rig, "a")->core.machine.stop_deferred = true;
    node_rig_session(rig, "a")->core.machine.phase = PHASE_IDLE;
    node_rig_do(rig, "a", "w", "wake");
    assert_logged(rig, "a deferred stop outside attached and running");
    node_rig_crash(rig);
    node_rig_start(rig);
    node_rig_send(rig, "a", "a2");
    assert_logged(rig, "\"input\":\"a2\",\"node\":\"n1\",\"outcome\":\"completed\"");
    assert_int_equal(node_rig_status(rig).faults, 0);
    node_rig_free(rig);
}

static void test_quarantine__a_run_of_a_broken_session_is_stopped(void **state)
{
    (void)state;
    struct node_rig *rig = node_rig_new();
    rig->hold = true;
    node_rig_send(rig, "a", "a1");
    assert_int_equal(node_rig_status(rig).runs_active, 1);
    node_rig_session(rig, "a")->core.machine.pre_run = PHASE_STOPPED;
    node_rig_do(rig, "a", "w", "wake");
    assert_logged(rig, "stop a\n");
    assert_int_equal(node_rig_status(rig).runs_active, 0);
    rig->hold = false;
    node_rig_settle(rig); /* what the executor says of it now is nobody's */
    assert_int_equal(node_rig_status(rig).faults, 1);
    node_rig_free(rig);
}

/* L35: an unknown version is refused and kept; L5: its neighbours are served. */
static void test_quarantine__a_head_of_another_version_is_refused_and_kept(void **state)
{
    (void)state;
    struct node_rig *rig = node_rig_new();
    node_rig_send(rig, "a", "a1");
    node_rig_send(rig, "b", "b1");
    node_rig_crash(rig);
    struct stored head = age(rig, HEADS, "a");
    node_rig_start(rig);
    node_rig_send(rig, "a", "a2");
    assert_logged(rig, "\"reason\":\"unsupported_version\"");
    node_rig_do(rig, "a", "d", "destroy");
    assert_logged(rig, "\"code\":\"unsupported_version\"");
    node_rig_send(rig, "b", "b2");
    assert_logged(rig, "\"input\":\"b2\",\"node\":\"n1\",\"outcome\":\"completed\"");
    assert_stored(rig, HEADS, "a", &head);
    assert_int_equal(node_rig_status(rig).faults, 1);
    node_rig_free(rig);
}

/* D7, L5 and L35 of one row: the session goes on without it, and does not forget that it is there. */
static void test_quarantine__a_row_of_another_version_is_left_out_and_kept(void **state)
{
    (void)state;
    struct node_rig *rig = node_rig_new();
    rig->hold = true;
    node_rig_send(rig, "a", "a1");
    node_rig_send(rig, "a", "a2");
    node_rig_send(rig, "a", "a3");
    node_rig_crash(rig);
    struct stored row = age(rig, ROWS, "a/2");
    rig->hold = false;
    rig->log[0] = '\0';
    node_rig_start(rig);
    assert_logged(rig, "unreadable inputs were left out");
    assert_logged(rig, "\"input\":\"a1\",\"node\":\"n1\",\"outcome\":\"completed\"");
    assert_logged(rig, "\"input\":\"a3\",\"node\":\"n1\",\"outcome\":\"completed\"");
    assert_int_equal(node_rig_status(rig).faults, 1);
    assert_stored(rig, ROWS, "a/2", &row);
    assert_memory_equal(stored(rig, HEADS, "a").bytes, "2|", 2); /* it is listed: a program that can read it finds it */
    node_rig_send(rig, "a", "a4");
    assert_memory_equal(stored(rig, HEADS, "a").bytes, "2|", 2);
    assert_stored(rig, ROWS, "a/2", &row);
    node_rig_free(rig);
}

/* A program of the row's version takes over: the input runs after all. */
static void test_quarantine__a_row_that_can_be_read_again_is_run(void **state)
{
    (void)state;
    struct node_rig *rig = node_rig_new();
    rig->hold = true;
    node_rig_send(rig, "a", "a1");
    node_rig_send(rig, "a", "a2");
    node_rig_crash(rig);
    struct stored row = stored(rig, ROWS, "a/2");
    age(rig, ROWS, "a/2");
    rig->hold = false;
    node_rig_start(rig);
    node_rig_crash(rig);
    size_t bytes;
    const struct span words[] = {SPAN_LIT("HSET"), SPAN_LIT(ROWS), SPAN_LIT("a/2"), {row.bytes, row.count}};
    node_rig_store(rig, 4, words, &bytes);
    rig->log[0] = '\0';
    node_rig_start(rig);
    assert_logged(rig, "\"input\":\"a2\",\"node\":\"n1\",\"outcome\":\"completed\"");
    assert_memory_equal(stored(rig, HEADS, "a").bytes, "|", 1);
    node_rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quarantine__a_broken_machine_sets_its_session_aside_and_nothing_else),
        cmocka_unit_test(test_quarantine__a_break_that_lasts_for_one_transition_is_seen),
        cmocka_unit_test(test_quarantine__the_next_life_reads_again_what_was_stored),
        cmocka_unit_test(test_quarantine__a_run_of_a_broken_session_is_stopped),
        cmocka_unit_test(test_quarantine__a_head_of_another_version_is_refused_and_kept),
        cmocka_unit_test(test_quarantine__a_row_of_another_version_is_left_out_and_kept),
        cmocka_unit_test(test_quarantine__a_row_that_can_be_read_again_is_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
