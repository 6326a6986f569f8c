/* The conformance suite of the store port: what every script answers, on every store. Each case takes partitions of its
 * own, so that the store needs not be emptied between cases. The cmocka state is a struct store_bench. */
#ifndef MEERKAT_TESTS_STORE_CASES_H
#define MEERKAT_TESTS_STORE_CASES_H

#include "tests/conformance/store_client.h"
#include "tests/lib/t.h"

extern const struct CMUnitTest store_cases[];
extern const size_t store_case_count;

#endif
