/* A borrowed run of bytes. `at` may be NULL only when `bytes` is 0: an absent value. An empty value that is present has
 * a non-NULL `at`. Whoever hands out a span says how long it lives; nobody frees one. */
#ifndef MEERKAT_CORE_SPAN_H
#define MEERKAT_CORE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const char *at;
    size_t bytes;
};

#define SPAN_LIT(text) ((struct span){(text), sizeof(text) - 1})
#define SPAN_ARGS(s)   (int)(s).bytes, (s).at ? (s).at : "" /* for "%.*s" */

static inline struct span span_of(const char *text)
{
    return (struct span){text, text ? strlen(text) : 0};
}

static inline struct span span_bytes(const void *at, size_t bytes)
{
    return (struct span){(const char *)at, bytes};
}

static inline bool span_given(struct span s)
{
    return s.at != NULL;
}

static inline bool span_equal(struct span a, struct span b)
{
    return a.bytes == b.bytes && (a.bytes == 0 || memcmp(a.at, b.at, a.bytes) == 0);
}

static inline bool span_is(struct span a, const char *text)
{
    return span_equal(a, span_of(text));
}

/* FNV-1a, 64 bits: for tables, and for digests that tell honest repeats, which are stored: it must never change. */
static inline uint64_t span_hash(struct span s)
{
    uint64_t h = 1469598103934665603ull;
    for (size_t i = 0; i < s.bytes; i++)
        h = (h ^ (uint8_t)s.at[i]) * 1099511628211ull;
    return h;
}

/* splitmix64's finalizer: numbers that differ in one bit go far apart. */
static inline uint64_t mix64(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

/* An identifier in storage of its own: 0 bytes means absent. */
struct mk_id {
    uint8_t bytes;
    char text[65]; /* MESSAGE_ID_BYTES_MAX and a zero byte for people who print */
};

struct mk_session_id {
    uint8_t bytes;
    char text[129]; /* SESSION_ID_BYTES_MAX and a zero byte */
};

static inline struct span id_span(const struct mk_id *id)
{
    return (struct span){id->bytes ? id->text : NULL, id->bytes};
}

static inline struct span session_id_span(const struct mk_session_id *id)
{
    return (struct span){id->text, id->bytes};
}

/* False, and the id absent, when the text is longer than the storage. */
static inline bool id_set(struct mk_id *id, struct span text)
{
    memset(id, 0, sizeof *id);
    if (text.bytes >= sizeof id->text)
        return false;
    if (text.bytes)
        memcpy(id->text, text.at, text.bytes);
    id->bytes = (uint8_t)text.bytes;
    return true;
}

static inline bool session_id_set(struct mk_session_id *id, struct span text)
{
    memset(id, 0, sizeof *id);
    if (text.bytes == 0 || text.bytes >= sizeof id->text)
        return false;
    memcpy(id->text, text.at, text.bytes);
    id->bytes = (uint8_t)text.bytes;
    return true;
}

#endif
