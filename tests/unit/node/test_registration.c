/* Registration through the whole node: what no session alone can promise. */
#include "tests/unit/node/node_rig.h"

#define SESSIONS 24

static struct mk_id epoch_of(const struct node_rig *rig, const char *session)
{
    const struct binding *binding = &node_rig_session(rig, session)->core.machine.binding;
    assert_true(binding->runtime && binding->epoch.bytes);
    return binding->epoch;
}

/* Nor does one of another life, in which the same sessions are registered anew. */
static void test_registration__sessions_never_share_an_epoch(void **state)
{
    (void)state;
    struct node_rig *rig = node_rig_new();
    struct mk_id epochs[2 * SESSIONS];
    char session[16], id[16];
    for (size_t i = 0; i < 2 * SESSIONS; i++) {
        if (i == SESSIONS) {
            node_rig_crash(rig);
            node_rig_start(rig);
        }
        snprintf(session, sizeof session, "s%zu", i % SESSIONS);
        snprintf(id, sizeof id, "u%zu", i);
        if (i >= SESSIONS)
            node_rig_do(rig, session, id, "unregister");
        snprintf(id, sizeof id, "b%zu", i);
        node_rig_do(rig, session, id, i % 2 ? "prepare_bindings" : "register");
        epochs[i] = epoch_of(rig, session);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(epochs[i].text, epochs[j].text);
    }
    node_rig_free(rig);
}

/* One thread owns a session and its records are read once: what comes while they are read waits for them, so that two
 * callers cannot each make one. */
static void test_registration__two_at_once_make_one_session(void **state)
{
    (void)state;
    struct node_rig *rig = node_rig_new();
    struct mk_id epoch;
    node_rig_send(rig, "a", "a1");
    epoch = epoch_of(rig, "a");
    node_rig_crash(rig);
    node_rig_start(rig);
    node_rig_put(rig, "ctl", "a", node_rig_command("a", "p0", "prepare_bindings"));
    node_rig_put(rig, "ctl", "a", node_rig_command("a", "p1", "prepare_bindings")); /* neither waits for the other */
    rig->log[0] = '\0';
    node_rig_settle(rig);
    assert_logged(rig, "\"re\":\"p0\"");
    assert_logged(rig, "\"re\":\"p1\"");
    assert_string_equal(epoch_of(rig, "a").text, epoch.text);
    assert_int_equal(node_rig_session(rig, "a")->core.machine.binding.generation,
                     2); /* the take-over's, and no other */
    node_rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registration__sessions_never_share_an_epoch),
        cmocka_unit_test(test_registration__two_at_once_make_one_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
