#include "tests/lib/t.h"

#include "node/core/node_impl.h"

/* What a partition's published mark may cover. `spoken`: the last commit that had events; `published`: up to where
 * events are known to have left. */
static void test_mark__passes_commits_without_events_and_no_event_that_waits(void **state)
{
    static const struct {
        uint64_t committed, spoken, published, said;
    } cases[] = {
        {0, 0, 0, 0}, /* new */
        {7, 0, 0, 7}, /* no commit had events */
        {7, 5, 5, 7}, /* nor had the last two */
        {7, 7, 7, 7}, /* everything left */
        {7, 7, 5, 5}, /* the last one's events wait */
        {7, 6, 5, 5}, /* and so do those of the one before */
        {7, 0, 7, 7}, /* taken over with everything said */
        {9, 0, 7, 9}, /* and two commits without events since */
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct partition partition = {
            .committed = cases[i].committed, .spoken = cases[i].spoken, .published = cases[i].published};
        assert_int_equal(partition_said(&partition), cases[i].said);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mark__passes_commits_without_events_and_no_event_that_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
