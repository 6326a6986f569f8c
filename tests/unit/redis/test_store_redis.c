/* What errors of Redis mean. The connection itself is tested on a real server: tests/conformance/test_store_redis.c. */
#include "redis/store_redis.h"

#include "tests/lib/t.h"

static void test_store_redis__errors_before_anything_ran_are_refusals(void **state)
{
    static const char *const errors[] = {
        "LOADING Redis is loading the dataset in memory",
        "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
        "TRYAGAIN Multiple keys request during rehashing of slot",
        "CLUSTERDOWN The cluster is down",
        "READONLY You can't write against a read only replica. script: ab, on @user_script:1.",
        "NOREPLICAS Not enough good replicas to write.",
        "NOSCRIPT No matching script. Please use EVAL.",
        "NOAUTH Authentication required.",
        "NOPERM this user has no permissions to run the 'evalsha' command",
        "BADCALL commit: arguments are left over",
    };
    (void)state;
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        assert_int_equal(redis_error_verdict(span_of(errors[i])), STORE_REFUSED);
}

static void test_store_redis__errors_that_may_have_come_after_a_write_are_unknown(void **state)
{
    static const char *const errors[] = {
        "OOM command not allowed when used memory > 'maxmemory'. script: ab, on @user_script:1.",
        "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
        "WRONGTYPE Operation against a key holding the wrong kind of value script: ab, on @user_script:1.",
        "NOPERM this user has no permissions to run the 'xadd' command script: ab, on @user_script:200.",
        "ERR anything else",
        "BUSYGROUP is not BUSY",
        "",
    };
    (void)state;
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        assert_int_equal(redis_error_verdict(span_of(errors[i])), STORE_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store_redis__errors_before_anything_ran_are_refusals),
        cmocka_unit_test(test_store_redis__errors_that_may_have_come_after_a_write_are_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
