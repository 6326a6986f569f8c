/* What every unit test includes: cmocka and what it needs first. One program per source file; names are sentences. */
#ifndef MEERKAT_TESTS_LIB_T_H
#define MEERKAT_TESTS_LIB_T_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/core/mem.h"
#include "node/core/span.h"

/* Memory for the core whose nth allocation fails, and which knows what is still out. */
struct test_mem {
    struct mk_mem mem;  /* give &t->mem to the core */
    size_t live;        /* allocations not freed */
    size_t count;       /* allocations so far */
    size_t fail_at;     /* this one (from 1) returns NULL; 0: none */
    int fail_all_after; /* and all after it, if set */
};

void test_mem_init(struct test_mem *t);

#define assert_span_equal(value, text)                                                                                 \
    do {                                                                                                               \
        struct span assert_span_ = (value);                                                                            \
        assert_int_equal(assert_span_.bytes, strlen(text));                                                            \
        assert_memory_equal(assert_span_.at, text, strlen(text));                                                      \
    } while (0)

#endif
