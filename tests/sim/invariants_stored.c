/* What every section of a commit must keep to. */
#include "node/core/crc16.h"
#include "tests/sim/invariants.h"

/* --- a name that has its last word keeps it (P1, P2, rule 6) --- */

static bool has_last_word(enum fact_kind kind, struct span bytes)
{
    struct fact_record record;
    if (kind == FACT_COMMAND)
        return true;
    return kind == FACT_INPUT && fact_record_read(bytes, &record, NULL) == MK_ERR_OK && record.phase >= INPUT_CONSUMED;
}

/* That of an ephemeral input is kept while its fence lasts. */
static bool fence_is_over(struct span first, struct span bytes)
{
    struct fact_record was, is;
    return fact_record_read(first, &was, NULL) == MK_ERR_OK && was.ephemeral &&
           fact_record_read(bytes, &is, NULL) == MK_ERR_OK && is.stamp > was.stamp;
}

static void check_fact(struct sim *s, uint32_t partition, struct span field, enum fact_kind kind)
{
    struct span bytes = sim_store_get(s, partition, 't', field);
    struct span *first = map_get(&s->checks->last_words, field);
    if (first && span_given(*first) && fence_is_over(*first, bytes))
        *first = (struct span){NULL, 0};
    if (first && span_given(*first) && !span_equal(*first, bytes))
        sim_broken(s, kind == FACT_COMMAND ? "rule 6" : "P1", "%.*s was done, and is done once more", SPAN_ARGS(field));
    if ((first && span_given(*first)) || !span_given(bytes) || !has_last_word(kind, bytes))
        return;
    struct span *kept = first ? first : sim_alloc(s, sizeof *kept);
    *kept = bytes;
    if (!first)
        map_put(s, &s->checks->last_words, field, kept);
}

/* --- sections --- */

/* The session that an operation is about: its field, up to the slash where there is one. */
static struct span session_of(struct span field)
{
    const char *slash = memchr(field.at, '/', field.bytes);
    return (struct span){field.at, slash ? (size_t)(slash - field.at) : field.bytes};
}

void checks_section(struct sim *s, uint32_t partition, const struct span *ops, size_t count)
{
    for (size_t i = 0; i < count && !sim_is_broken(s); i++, ops += 3) {
        enum fact_kind kind;
        struct span session = session_of(ops[1]), name;
        bool fact = span_is(ops[0], "t") || span_is(ops[0], "?");
        if (fact && !fact_field_split(ops[1], &session, &kind, &name)) {
            sim_broken(s, "P4", "the name of a fact cannot be read: %.*s", SPAN_ARGS(ops[1]));
            return;
        }
        if (partition_of(session, s->config.partitions) != partition)
            sim_broken(s, "section 3", "%.*s is written in partition %u", SPAN_ARGS(session), partition);
        if (fact)
            check_fact(s, partition, ops[1], kind);
    }
}
