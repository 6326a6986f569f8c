/* What every section of a commit must keep to. */
#include "codec/letter.h"
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

/* --- retention comes by every name: an event of the section names it, or a memo does --- */

static bool memo_names(const struct span *op, struct span session, enum fact_kind kind, struct span name)
{
    struct memo_record memo;
    return span_is(op[0], "o") && span_equal(memo_session(op[1]), session) &&
           memo_record_read(op[2], &memo, NULL) == MK_ERR_OK && memo.kind == kind && span_equal(memo.name, name);
}

static void check_memo(struct sim *s, const struct span *fact, const struct span *ops, size_t count)
{
    enum fact_kind kind;
    struct span session, name;
    struct fact_record record;
    size_t memos = 0;
    if (!fact_field_split(fact[1], &session, &kind, &name) || fact_record_read(fact[2], &record, NULL) != MK_ERR_OK)
        return;
    bool due = kind == FACT_COMMAND || (kind == FACT_INPUT && record.phase >= INPUT_CONSUMED && !record.event);
    for (size_t i = 0; i < count; i++)
        memos += memo_names(ops + 3 * i, session, kind, name);
    if (memos != due)
        sim_broken(s, "rule 8", "%.*s has %zu memos in the outbox, not %d", SPAN_ARGS(fact[1]), memos, due);
}

/* --- sections --- */

/* The session that an operation is about: its field, up to the slash where there is one. */
static struct span session_of(struct span field)
{
    if (span_given(memo_session(field)))
        return memo_session(field);
    const char *slash = memchr(field.at, '/', field.bytes);
    return (struct span){field.at, slash ? (size_t)(slash - field.at) : field.bytes};
}

void checks_section(struct sim *s, uint32_t partition, const struct span *ops, size_t count)
{
    const struct span *all = ops;
    for (size_t i = 0; i < count && !sim_is_broken(s); i++, ops += 3) {
        enum fact_kind kind;
        struct span session = session_of(ops[1]), name;
        bool fact = span_is(ops[0], "t") || span_is(ops[0], "?");
        if (!ops[1].bytes)
            continue; /* of the partition as a whole: a bound */
        if (span_is(ops[0], "t"))
            check_memo(s, ops, all, count);
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

/* --- dead letters: one of each input that was abandoned, and of no other --- */

struct new_letters {
    uint32_t partition;
    size_t count;
};

static void new_letter(struct sim *s, void *self, uint64_t commit, struct span session, struct span bytes)
{
    (void)commit;
    struct new_letters *of = self;
    struct letter_record letter;
    struct fact_record fact;
    struct mk_note note;
    struct map_key storage;
    of->count++;
    if (letter_record_read(bytes, &letter, &note) != MK_ERR_OK) {
        sim_broken(s, "dead letters", "a letter of %.*s cannot be read: %s", SPAN_ARGS(session), note.text);
        return;
    }
    struct span id = letter.input.h.id, key = map_key3(&storage, session, letter.seq, 0);
    const struct seen_input *input = checks_input(s, session, id);
    bool known = checks_fact(s, session, FACT_INPUT, id, &fact);
    bool last = known && (fact.ephemeral ? fact.event >= letter.seq : fact.event == letter.seq);
    if (!span_equal(letter.input.session, session) || partition_of(session, s->config.partitions) != of->partition)
        sim_broken(s, "dead letters", "the letter of %.*s is not where its session is", SPAN_ARGS(id));
    else if (!last || (fact.event == letter.seq && (fact.phase != INPUT_ABANDONED || fact.reason != letter.reason ||
                                                    fact.attempts != letter.attempts)))
        sim_broken(s, "dead letters", "the letter of %.*s says %s, its record says otherwise", SPAN_ARGS(id),
                   abandon_reason_name(letter.reason));
    else if (input->has_body && input->durable && input->body != span_hash(letter.input.body))
        sim_broken(s, "dead letters", "the letter of %.*s has another body", SPAN_ARGS(id));
    else if (map_get(&s->checks->letters, key))
        sim_broken(s, "dead letters", "there are two letters of %.*s", SPAN_ARGS(id));
    struct span *kept = sim_alloc(s, sizeof *kept);
    *kept = bytes;
    map_put(s, &s->checks->letters, key, kept);
}

void checks_letters(struct sim *s, uint32_t partition, uint64_t after, size_t abandoned)
{
    struct new_letters of = {partition, 0};
    sim_store_each_event(s, partition, 'd', after, new_letter, &of);
    if (of.count != abandoned)
        sim_broken(s, "dead letters", "%zu inputs of partition %u were abandoned, there are %zu letters", abandoned,
                   partition, of.count);
}

void checks_dead(struct sim *s, const struct mk_command *asked, struct span data)
{
    struct letters_page page;
    struct letter_record letter;
    struct span item;
    struct map_key storage;
    uint64_t last = 0;
    bool good = letters_open(data, &page, NULL) == MK_ERR_OK;
    while (good && letters_next(&page, &item)) {
        good = letter_record_read(item, &letter, NULL) == MK_ERR_OK && letter.seq > last;
        const struct span *stored =
            good ? map_get(&s->checks->letters, map_key3(&storage, asked->session, letter.seq, 0)) : NULL;
        good = stored && span_equal(*stored, item);
        last = letter.seq;
    }
    if (!good)
        sim_broken(s, "dead letters", "the letters of %.*s are not told as they are stored", SPAN_ARGS(asked->session));
}
