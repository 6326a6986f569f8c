/* What must hold between nodes: one line of commits, work that is picked up again in time, one owner for everything. */
#include "codec/scan.h"
#include "node/core/member.h"
#include "tests/sim/invariants.h"

/* --- at most one commit line per session --- */

static void extend_line(struct sim *s, struct commit_line *line, const struct seen_lease *is, struct span what)
{
    bool same = span_equal(line->node, is->node) && span_equal(line->incarnation, is->incarnation);
    if (is->fence < line->fence)
        sim_broken(s, "P3", "a commit to %.*s under the fence %llu follows one under %llu", SPAN_ARGS(what),
                   (unsigned long long)is->fence, (unsigned long long)line->fence);
    if (is->fence == line->fence && !same)
        sim_broken(s, "P3", "the fence %llu of %.*s has commits of %.*s and of %.*s", (unsigned long long)is->fence,
                   SPAN_ARGS(what), SPAN_ARGS(line->node), SPAN_ARGS(is->node));
    if (is->sequence <= line->sequence)
        sim_broken(s, "P3", "commit %llu to %.*s follows number %llu", (unsigned long long)is->sequence,
                   SPAN_ARGS(what), (unsigned long long)line->sequence);
    *line = (struct commit_line){is->fence, is->sequence, is->node, is->incarnation};
}

void checks_line(struct sim *s, uint32_t partition, const struct seen_lease *is)
{
    struct commit_line *line = &s->checks->partitions[partition].line;
    if (is->sequence != line->sequence + 1)
        sim_broken(s, "P3", "commit %llu of partition %u follows number %llu", (unsigned long long)is->sequence,
                   partition, (unsigned long long)line->sequence);
    extend_line(s, line, is, sim_text(s, "partition %u", partition));
}

void checks_session_line(struct sim *s, struct seen_session *session)
{
    extend_line(s, &session->line, &s->checks->partitions[session->partition].lease, session->name);
}

/* --- owners --- */

static void count_head(struct sim *s, void *self, struct span field, struct span value)
{
    (void)s, (void)field, (void)value;
    ++*(uint64_t *)self;
}

static void note_release(struct sim *s, const struct sim_node *by, uint32_t p)
{
    struct seen_partition *partition = &s->checks->partitions[p];
    partition->released.at_us = s->now_us;
    partition->released.node = by->index;
    partition->released.life = by->life;
    partition->released.sessions = 0;
    partition->released.unsure = false;
    sim_store_each(s, p, 's', count_head, &partition->released.sessions);
}

void checks_moved(struct sim *s, const struct sim_call *call, uint32_t p, const struct seen_lease *was,
                  const struct seen_lease *is)
{
    if (was->node.bytes && !is->node.bytes)
        note_release(s, call->node, p);
    if (!is->node.bytes || span_equal(is->incarnation, was->incarnation))
        return;
    s->checks->partitions[p].moves++;
    s->checks->partitions[p].unread = call->orphan;
    if (was->node.bytes)
        s->totals.taken_over++;
    else if (was->fence)
        s->totals.handed_over++;
}

void checks_release_lost(struct sim *s, const struct sim_call *call)
{
    for (size_t i = 0; i < call->key_count; i += 2) {
        struct seen_partition *partition = &s->checks->partitions[checks_key_partition(call->keys[i])];
        partition->released.unsure |= partition->released.node == call->node->index;
    }
}

static const struct sim_node *owner_of(const struct sim *s, uint32_t partition)
{
    const struct seen_lease *lease = &s->checks->partitions[partition].lease;
    for (size_t i = 0; i < s->config.nodes; i++) {
        const struct sim_node *node = s->nodes[i];
        if (node->driver && span_is(lease->node, node->name) && span_is(lease->incarnation, node->incarnation.text))
            return sim_store_now_us(s) / 1000 < lease->expires_ms ? node : NULL;
    }
    return NULL;
}

/* By the store, and each node counts as many. */
bool checks_owned(struct sim *s)
{
    size_t owned[SIM_NODES_MAX] = {0};
    for (uint32_t p = 0; p < s->config.partitions; p++) {
        const struct sim_node *node = owner_of(s, p);
        if (!node)
            return false;
        owned[node->index]++;
    }
    for (size_t i = 0; i < s->config.nodes; i++) {
        struct driver_status status = {.partitions_owned = 0};
        if (s->nodes[i]->driver)
            driver_status(s->nodes[i]->driver, &status);
        if (status.partitions_owned != owned[i])
            return false;
    }
    return true;
}

/* The highest rendezvous hash among the nodes that are there. */
static const struct sim_node *wanted_of(const struct sim *s, uint32_t partition)
{
    const struct sim_node *best = NULL;
    for (size_t i = 0; i < s->config.nodes; i++) {
        const struct sim_node *node = s->nodes[i];
        uint64_t hash = rendezvous(span_of(node->name), partition);
        if (node->driver && !node->leaving && (!best || hash > rendezvous(span_of(best->name), partition)))
            best = node;
    }
    return best;
}

bool checks_wanted(struct sim *s)
{
    for (uint32_t p = 0; p < s->config.partitions; p++)
        if (owner_of(s, p) != wanted_of(s, p))
            return false;
    return true;
}

/* --- a node that left --- */

struct receipt {
    uint64_t partitions, sessions, refused, moved;
    uint64_t moved_sessions, moved_refused;
    uint64_t of[SIM_PARTITIONS_MAX]; /* sessions, + 1; 0: not in it */
};

static bool read_pairs(struct cursor *cursor, struct value *map)
{
    return cursor_read(cursor, map) && map->type == VALUE_MAP;
}

static bool read_moved(struct cursor *cursor, struct receipt *out)
{
    struct value map, key, value;
    uint64_t partition = SIM_PARTITIONS_MAX, sessions = 0;
    if (!read_pairs(cursor, &map))
        return false;
    for (uint64_t i = 0; i < map.number; i++) {
        if (!cursor_read(cursor, &key) || !cursor_read(cursor, &value))
            return false;
        if (span_is(key.text, "partition"))
            partition = value.number;
        else if (span_is(key.text, "sessions"))
            sessions = value.number;
        else if (span_is(key.text, "refused"))
            out->moved_refused += value.number;
    }
    if (partition >= SIM_PARTITIONS_MAX)
        return false;
    out->of[partition] = sessions + 1;
    out->moved_sessions += sessions;
    out->moved++;
    return true;
}

static bool read_receipt(struct span bytes, struct receipt *out)
{
    struct cursor cursor = cursor_of(bytes);
    struct value map, key, value;
    if (!read_pairs(&cursor, &map))
        return false;
    for (uint64_t i = 0; i < map.number; i++) {
        if (!cursor_read(&cursor, &key) || !cursor_read(&cursor, &value))
            return false;
        if (span_is(key.text, "partitions"))
            out->partitions = value.number;
        else if (span_is(key.text, "sessions"))
            out->sessions = value.number;
        else if (span_is(key.text, "refused"))
            out->refused = value.number;
        else if (span_is(key.text, "moved"))
            for (uint64_t m = 0; m < value.number; m++)
                if (!read_moved(&cursor, out))
                    return false;
    }
    return true;
}

/* What it released since it was asked is in its receipt, with as many sessions. */
static void check_receipt(struct sim *s, const struct sim_node *node, const struct receipt *receipt)
{
    if (receipt->partitions != receipt->moved || receipt->sessions != receipt->moved_sessions ||
        receipt->refused != receipt->moved_refused)
        sim_broken(s, "drain", "the receipt of %s does not add up", node->name);
    for (uint32_t p = 0; p < s->config.partitions; p++) {
        const struct seen_partition *partition = &s->checks->partitions[p];
        bool released = partition->released.at_us >= node->asked_us && partition->released.node == node->index &&
                        partition->released.life == node->life;
        if (released && !receipt->of[p])
            sim_broken(s, "drain", "partition %u is missing in the receipt of %s", p, node->name);
        else if (released && !partition->released.unsure && receipt->of[p] != partition->released.sessions + 1)
            sim_broken(s, "drain", "partition %u had %llu sessions, the receipt of %s says %llu", p,
                       (unsigned long long)partition->released.sessions, node->name,
                       (unsigned long long)receipt->of[p] - 1);
    }
}

void checks_left(struct sim *s, struct sim_node *node)
{
    struct receipt receipt = {.partitions = 0};
    struct buf bytes = {0};
    if (!driver_receipt(node->driver, &bytes) || !read_receipt(buf_span(&bytes), &receipt))
        sim_broken(s, "drain", "the receipt of %s cannot be read", node->name);
    buf_fini(&bytes);
    if (!s->checks->blind)
        check_receipt(s, node, &receipt);
    bool sees = sim_store_reaches(s, node->index); /* else it cannot know what became of its last claim */
    for (uint32_t p = 0; p < s->config.partitions && sees; p++)
        if (owner_of(s, p) == node && !s->checks->partitions[p].unread)
            sim_broken(s, "hand-over", "%s has left and owns partition %u", node->name, p);
}

/* --- every waiting input runs again within lease + bound ---
 *
 * A session that has work, and no run of it going on on a node that turns, is idle. An idle session gets a run within a
 * lease and WAIT_MS after the last event that may delay it: the death, pause, cut, start or leaving of a node, or a
 * fault of the store. Counted only while somebody works who reaches bus and store, and the store answers. */

#define WAIT_MS      700 /* claims, recovery, the first run; and the backoff of a failed attempt */
#define LOOK_EVERY   (20 * MILLISECOND)
#define DRIFT_PERMIL 60 /* clocks that run slow wait longer */

static bool somebody_works(const struct sim *s)
{
    for (size_t i = 0; i < s->config.nodes; i++)
        if (sim_node_works(s, i))
            return true;
    return false;
}

static void look_at(struct sim *s, struct seen_session *session, uint64_t lease_us)
{
    bool idle = session->waits && !sim_executors_at_work(s, session->name, 0);
    if (!idle) {
        s->totals.waits += session->idle_us != 0;
        session->idle_us = 0;
        return;
    }
    if (!session->idle_us) {
        session->idle_us = s->now_us;
        session->beside_run = false;
    }
    session->beside_run |= sim_executors_at_work(s, (struct span){NULL, 0}, session->partition) != 0;
    if (session->beside_run)
        lease_us += s->config.finish_ms * (1000 + DRIFT_PERMIL);
    uint64_t since_us = session->idle_us > s->disturbed_us ? session->idle_us : s->disturbed_us;
    uint64_t waited_us = s->now_us - since_us;
    if (waited_us <= lease_us)
        return;
    if (waited_us - lease_us > s->longest_wait_us)
        s->longest_wait_us = waited_us - lease_us;
    if (waited_us > lease_us + WAIT_MS * MILLISECOND)
        sim_broken(s, "P8", "%.*s has work, and nobody has done it for %llu ms", SPAN_ARGS(session->name),
                   (unsigned long long)(waited_us / 1000));
}

void checks_waits(struct sim *s, void *self, uint64_t word)
{
    if (!somebody_works(s) || s->checks->blind || sim_executors_deaf(s))
        sim_disturbed(s);
    uint64_t lease_us = s->config.wait_leases * s->config.lease_ms * (1000 + DRIFT_PERMIL);
    for (size_t i = 0; i < s->checks->sessions.count && !sim_is_broken(s); i++)
        look_at(s, s->checks->sessions.entries[i].value, lease_us);
    sim_at(s, LOOK_EVERY, checks_waits, self, word);
}
