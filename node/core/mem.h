/* The only source of memory for the core, given by whoever owns the core. `alloc` returns NULL when there is none: the
 * caller then answers `overloaded` and has changed nothing. */
#ifndef MEERKAT_CORE_MEM_H
#define MEERKAT_CORE_MEM_H

#include <stddef.h>

struct mk_mem {
    void *(*alloc)(void *self, size_t bytes); /* zeroed; aligned for any type; NULL when there is none */
    void (*free)(void *self, void *memory);   /* NULL is allowed */
    void *self;
};

static inline void *mem_alloc(const struct mk_mem *mem, size_t bytes)
{
    return mem->alloc(mem->self, bytes);
}

static inline void mem_free(const struct mk_mem *mem, void *memory)
{
    mem->free(mem->self, memory);
}

#endif
