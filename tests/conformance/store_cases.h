/* The conformance suite of the store port: what every script answers, on every store. Each case takes partitions of its
 * own, so that the store needs not be emptied between cases. The cmocka state is a struct store_bench. */
#ifndef MEERKAT_TESTS_STORE_CASES_H
#define MEERKAT_TESTS_STORE_CASES_H

#include "tests/conformance/store_client.h"
#include "tests/lib/t.h"

extern const struct CMUnitTest store_cases[], lease_cases[], member_cases[], atomic_cases[];
extern const size_t store_case_count, lease_case_count, member_case_count, atomic_case_count;

/* All of them, each group on a store of its own. Returns how many failed. */
static inline int store_run_cases(CMFixtureFunction setup, CMFixtureFunction teardown)
{
    return _cmocka_run_group_tests("store: sessions", store_cases, store_case_count, setup, teardown) +
           _cmocka_run_group_tests("store: all or nothing", atomic_cases, atomic_case_count, setup, teardown) +
           _cmocka_run_group_tests("store: leases", lease_cases, lease_case_count, setup, teardown) +
           _cmocka_run_group_tests("store: members", member_cases, member_case_count, setup, teardown);
}

#endif
