/* A heap that a test can make fail (t.h). */
#include "tests/lib/t.h"

#include <stdlib.h>

static void *take(void *self, size_t bytes)
{
    struct test_mem *t = self;
    t->count++;
    if (t->fail_at && (t->count == t->fail_at || (t->fail_all_after && t->count > t->fail_at)))
        return NULL;
    void *memory = calloc(1, bytes ? bytes : 1);
    if (memory)
        t->live++;
    return memory;
}

static void give(void *self, void *memory)
{
    struct test_mem *t = self;
    if (!memory)
        return;
    t->live--;
    free(memory);
}

void test_mem_init(struct test_mem *t)
{
    *t = (struct test_mem){.mem = {take, give, t}};
}
