/* Commits: what one turn staged in a group goes to the store in one call, at most two on their way, in order.
 *
 * A reply lost   -> the commit is uncertain: only a byte-identical repeat is sent, until its verdict is read.
 * A definite no  -> nothing was written: the commit is dissolved, its sections wait again. When the store itself is not
 * to blame, commits shrink by half until the culprit is alone, and is quarantined. Dissolving makes holes in the
 * partitions' sequences, so the group settles first: the flight empties, the sequences go back to what is committed. */
#include "node/core/node_impl.h"

#include <assert.h>

#define ARGS_FIXED 16 /* of a call and of a part: more than any needs */
/* commit.lua writes a partition's events as one entry: a field and a value each, 3,000 at most. */
_Static_assert(2 * (ACTIVE_INPUTS_MAX + 256) <= 3000,
               "every active input may end in one commit, beside a stage's commands");
_Static_assert(ACTIVE_INPUTS_MAX + 128 < DEAD_LETTERS_MAX, "a commit must not push out its own dead letters");

#define RETRY_MS 100

static struct group *group_of(struct node *node, uint32_t partition)
{
    return &node->groups[partition % node->config.groups];
}

void group_add(struct node *node, struct slot *slot)
{
    if (slot->dirty)
        return;
    struct group *group = group_of(node, slot->partition);
    slot->dirty = true;
    slot->dirty_next = NULL;
    slot->staged_ms = node->now_ms;
    *group->dirty_end = slot;
    group->dirty_end = &slot->dirty_next;
}

static void undirty(struct group *group, struct slot **link)
{
    struct slot *slot = *link;
    *link = slot->dirty_next;
    if (group->dirty_end == &slot->dirty_next)
        group->dirty_end = link;
    slot->dirty = false;
    slot->dirty_next = NULL;
}

void group_remove(struct node *node, struct slot *slot)
{
    if (!slot->dirty)
        return;
    struct group *group = group_of(node, slot->partition);
    struct slot **link = &group->dirty;
    while (*link != slot)
        link = &(*link)->dirty_next;
    undirty(group, link);
}

/* Arguments that a section takes at most: three for each operation. */
static size_t section_args(const struct slot *slot)
{
    const struct stage *stage = &slot->session->stage;
    size_t operations = 3 + stage->removed_count; /* head, state, the bound of dead letters */
    for (const struct fact_write *write = stage->writes; write; write = write->next)
        operations += 1 + (size_t)write->condition + (size_t)write->memo;
    for (const struct staged_event *event = stage->events; event; event = event->next)
        operations += event->dead ? 2 : 1;
    const struct ledger *ledger = &slot->session->core.ledger;
    for (size_t i = 0; i < ledger->count; i++)
        operations += ledger->entries[i]->dirty;
    const struct carried *carried = &slot->session->core.carried;
    for (size_t i = 0; i < carried->count; i++)
        operations += carried->entries[i]->dirty;
    return 1 + 3 * operations;
}

/* Moves the sections of the next commit from the dirty list into `chosen`; returns how many. */
static size_t choose(struct node *node, struct group *group, struct slot **chosen)
{
    size_t count = 0, args = ARGS_FIXED;
    struct slot **link = &group->dirty;
    while (*link && count < group->sections_max) {
        struct slot *slot = *link;
        if (!partition_works(partition_at(node, slot->partition))) {
            link = &slot->dirty_next;
            continue;
        }
        size_t more = section_args(slot) + ARGS_FIXED;
        if (count && args + more > CALL_ARGS_MAX)
            break;
        args += more;
        undirty(group, link);
        chosen[count++] = slot;
    }
    return count;
}

/* The published mark that the next commit carries. It stays below a commit whose outcome is not known, though a later
 * one was confirmed and its events have left: those of the uncertain one have not (rule 5). */
static uint64_t mark_of(const struct group *group, const struct partition *partition)
{
    uint64_t mark = partition_said(partition);
    for (const struct commit *commit = group->flight; commit; commit = commit->next)
        for (size_t i = 0; i < commit->part_count; i++) {
            const struct commit_part *part = &commit->parts[i];
            if (part->partition == partition->id && part->section_count && part->sequence <= mark)
                mark = part->sequence - 1;
        }
    return mark;
}

static void add_part(struct node *node, struct commit *commit, struct partition *partition)
{
    struct commit_part *part = &commit->parts[commit->part_count++];
    *part = (struct commit_part){
        .partition = partition->id,
        .fence = partition->fence,
        .sequence = ++partition->sequence,
        .published = mark_of(group_of(node, partition->id), partition),
        .horizon_ms = partition->horizon_ms,
        .total = &partition->bytes,
    };
    bool alone = partition->sequence == partition->committed + 1; /* another in flight may carry the trim already */
    if (alone && partition->trim_to && !partition->trim_waiting && partition->trim_bytes <= partition->bytes) {
        part->trim_to = partition->trim_to;
        part->trim_bytes = partition->trim_bytes;
    }
    partition->building = (uint32_t)commit->part_count;
}

/* Sections of one partition stand together: count, then place. */
static void fill(struct node *node, struct commit *commit, struct slot **chosen, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct partition *partition = partition_at(node, chosen[i]->partition);
        if (!partition->building)
            add_part(node, commit, partition);
        commit->parts[partition->building - 1].section_count++;
    }
    size_t offset = 0;
    for (size_t p = 0; p < commit->part_count; p++) {
        commit->parts[p].sections = commit->sections + offset;
        offset += commit->parts[p].section_count;
        commit->parts[p].section_count = 0;
    }
    for (size_t i = 0; i < count; i++) {
        struct commit_part *part = &commit->parts[partition_at(node, chosen[i]->partition)->building - 1];
        part->sections[part->section_count++] = (struct commit_section){chosen[i], chosen[i]->session};
        chosen[i]->state = SLOT_IN_FLIGHT;
    }
    for (size_t p = 0; p < commit->part_count; p++)
        partition_at(node, commit->parts[p].partition)->building = 0;
    commit->section_count = count;
}

static struct commit *commit_new(const struct mk_mem *mem, size_t sections)
{
    struct commit *commit = mem_alloc(mem, sizeof *commit);
    if (!commit)
        return NULL;
    commit->parts = mem_alloc(mem, sections * sizeof *commit->parts);
    commit->sections = mem_alloc(mem, sections * sizeof *commit->sections);
    if (commit->parts && commit->sections)
        return commit;
    mem_free(mem, commit->parts);
    mem_free(mem, commit->sections);
    mem_free(mem, commit);
    return NULL;
}

static void commit_free(const struct mk_mem *mem, struct commit *commit)
{
    mem_free(mem, commit->parts);
    mem_free(mem, commit->sections);
    mem_free(mem, commit);
}

static void put_back(struct node *node, struct slot **chosen, size_t count)
{
    for (size_t i = 0; i < count; i++)
        group_add(node, chosen[i]);
}

static bool build(struct node *node, struct group *group)
{
    struct slot *chosen[COMMIT_SECTIONS_MAX];
    size_t count = choose(node, group, chosen);
    if (!count)
        return false;
    struct commit *commit = commit_new(node->mem, count);
    struct node_effect *effect = commit ? emit(node, DO_COMMIT) : NULL;
    if (!effect) {
        if (commit)
            commit_free(node->mem, commit);
        put_back(node, chosen, count);
        return false;
    }
    fill(node, commit, chosen, count);
    commit->id = next_call(node);
    commit->group = (uint32_t)(group - node->groups);
    commit->sent = true;
    *group->flight_end = commit;
    group->flight_end = &commit->next;
    group->in_flight++;
    effect->call = commit->id;
    effect->as.commit = commit;
    node->seen.commits++;
    node->seen.sections += count;
    return true;
}

/* Uncertain commits go again, oldest first; false while one cannot. */
static bool resend(struct node *node, struct group *group)
{
    for (struct commit *commit = group->flight; commit; commit = commit->next) {
        if (commit->sent)
            continue;
        struct node_effect *effect = emit(node, DO_RESEND);
        if (!effect)
            return false;
        effect->call = commit->id;
        commit->sent = true;
        node->seen.commits_resent++;
    }
    return true;
}

static void settle(struct node *node, struct group *group)
{
    uint32_t index = (uint32_t)(group - node->groups);
    for (uint32_t p = index; p < node->config.partitions; p += node->config.groups)
        node->partitions[p].sequence = node->partitions[p].committed;
    group->settle = false;
}

void commits_turn_end(struct node *node)
{
    if (!node->store_up)
        return;
    for (uint32_t g = 0; g < node->config.groups; g++) {
        struct group *group = &node->groups[g];
        if (node->now_ms < group->retry_at_ms || !resend(node, group))
            continue;
        if (group->settle && !group->in_flight)
            settle(node, group);
        while (!group->settle && group->in_flight < COMMITS_IN_FLIGHT_MAX && build(node, group))
            ;
    }
}

static struct commit **find_commit(struct node *node, uint64_t id, struct group **in)
{
    for (uint32_t g = 0; g < node->config.groups; g++)
        for (struct commit **link = &node->groups[g].flight; *link; link = &(*link)->next)
            if ((*link)->id == id) {
                *in = &node->groups[g];
                return link;
            }
    return NULL;
}

static void unlink_commit(struct node *node, struct group *group, struct commit **link)
{
    struct commit *commit = *link;
    *link = commit->next;
    if (group->flight_end == &commit->next)
        group->flight_end = link;
    group->in_flight--;
    struct node_effect *effect = emit(node, DO_FORGET);
    if (effect)
        effect->call = commit->id;
}

/* Nothing of this part was written: its sections wait for another commit. */
static void restage(struct node *node, struct commit_part *part)
{
    if (!part->section_count)
        return; /* lost meanwhile */
    *part->total -= part->growth;
    part->growth = 0;
    for (size_t i = 0; i < part->section_count; i++) {
        part->sections[i].slot->state = SLOT_READY;
        group_add(node, part->sections[i].slot);
    }
}

/* The store knew a name that a section took for new: the session goes back to its copy and learns. */
static void skipped(struct node *node, const struct node_event *event, size_t part_index, size_t section_index,
                    const struct commit_section *section)
{
    struct slot *slot = section->slot;
    node->seen.sections_again++;
    slot->state = SLOT_READY;
    slot_again(slot);
    struct known_fact fact;
    for (size_t i = 0; event->as.committed.known(event->as.committed.self, part_index, section_index, i, &fact); i++)
        session_know(slot->session, fact.kind, fact.name, &fact.record, fact.bytes);
}

static bool was_skipped(const struct part_verdict *verdict, size_t section)
{
    for (size_t i = 0; i < verdict->skipped_count; i++)
        if (verdict->skipped[i] == section)
            return true;
    return false;
}

static void part_stands(struct node *node, const struct node_event *event, struct commit_part *part, size_t index)
{
    struct partition *partition = partition_at(node, part->partition);
    if (part->sequence > partition->committed) /* an older one may be confirmed after a newer one */
        partition->committed = part->sequence;
    if (part->trim_to && was_skipped(&event->as.committed.parts[index], 0)) {
        *part->total += part->trim_bytes; /* it would have gone with the first section */
    } else if (part->trim_to) {
        partition->trim_bytes -= part->trim_bytes;
        partition->trim_to = partition->trim_to == part->trim_to ? 0 : partition->trim_to;
    }
    for (size_t i = 0; i < part->section_count; i++) {
        if (was_skipped(&event->as.committed.parts[index], i)) {
            skipped(node, event, index, i, &part->sections[i]);
            continue;
        }
        bool speaks = part->sections[i].session->stage.events != NULL;
        if (speaks && part->sequence <= partition->published) { /* a later one has left: the mark waits for this one */
            partition->published = part->sequence - 1;
            partition->spoken = part->sequence;
        }
        slot_release(node, part->sections[i].slot, partition, part->sequence);
    }
}

/* Whether an older commit of the partition waits for its verdict. */
static bool has_older(const struct group *group, const struct commit *commit, uint32_t partition)
{
    for (const struct commit *older = group->flight; older != commit; older = older->next)
        for (size_t i = 0; i < older->part_count; i++)
            if (older->parts[i].partition == partition && older->parts[i].section_count)
                return true;
    return false;
}

/* The stored sequence is not the one before ours. After a dissolved or unresolved commit that is our own doing;
 * otherwise the store has lost or gained commits. One of unknown outcome is never replaced under its fence: a copy of
 * it may still arrive, when its sequence fits. False: it is to be repeated, behind the older one. */
static bool part_out_of_sequence(struct node *node, struct group *group, const struct commit *commit,
                                 struct commit_part *part, uint64_t stored)
{
    struct partition *partition = partition_at(node, part->partition);
    if (commit->uncertain && has_older(group, commit, part->partition))
        return false;
    group->settle = true;
    bool behind = stored < partition->committed && group->in_flight == 1;
    if (behind) {
        restage(node, part);
        partition_suspend(node, partition, "the store is behind this node: it has lost commits", stored);
    } else if (commit->uncertain) {
        partition_lose(node, partition, "a commit of unknown outcome does not fit any more");
    } else if (stored > partition->committed && group->in_flight == 1) {
        partition_lose(node, partition, "the store is ahead of this node");
    } else {
        restage(node, part);
    }
    return true;
}

/* What a verdict says of one part. False: nothing yet. */
static bool part_verdict(struct node *node, struct group *group, const struct commit *commit, size_t index,
                         const struct node_event *event)
{
    struct commit_part *part = &commit->parts[index];
    const struct part_verdict *verdict = &event->as.committed.parts[index];
    if (!part->section_count)
        return true; /* lost meanwhile, or told by an earlier verdict */
    switch (verdict->status) {
    case LEASE_HELD:
    case LEASE_AGAIN:
        part_stands(node, event, part, index);
        return true;
    case LEASE_SEQUENCE:
        return part_out_of_sequence(node, group, commit, part, verdict->sequence);
    case LEASE_OTHER:
    case LEASE_FREE:
        break;
    }
    partition_taken(node, partition_at(node, part->partition), verdict->began, "a commit was refused: another owner");
    return true;
}

static void pump_part(struct node *node, struct commit_part *part)
{
    for (size_t i = 0; i < part->section_count; i++)
        if (part->sections[i].slot)
            slot_pump(node, part->sections[i].slot);
    part->section_count = 0;
}

void commit_verdict(struct node *node, const struct node_event *event)
{
    struct group *group;
    struct commit **link = find_commit(node, event->call, &group);
    if (!link)
        return;
    struct commit *commit = *link;
    bool told[COMMIT_SECTIONS_MAX] = {false}, whole = true;
    for (size_t i = 0; i < commit->part_count; i++)
        whole = (told[i] = part_verdict(node, group, commit, i, event)) && whole;
    if (whole) {
        unlink_commit(node, group, link);
        bool small = group->sections_max < COMMIT_SECTIONS_MAX / 2;
        group->sections_max = small ? 2 * group->sections_max : COMMIT_SECTIONS_MAX;
    } else {
        commit->sent = false;
        group->retry_at_ms = node->now_ms + RETRY_MS;
    }
    for (size_t i = 0; i < commit->part_count; i++)
        if (told[i])
            pump_part(node, &commit->parts[i]);
    if (whole)
        commit_free(node->mem, commit);
}

static void blame(struct node *node, struct group *group, const struct commit *commit, const struct node_event *event)
{
    if (commit->section_count > 1) {
        group->sections_max = commit->section_count / 2;
        return;
    }
    if (!commit->sections[0].slot)
        return; /* its partition was lost meanwhile */
    char why[96];
    size_t bytes = event->as.failed.why.bytes < sizeof why - 1 ? event->as.failed.why.bytes : sizeof why - 1;
    memcpy(why, event->as.failed.why.at ? event->as.failed.why.at : "", bytes);
    why[bytes] = 0;
    slot_quarantine(node, commit->sections[0].slot, MK_ERR_REFUSED, why);
}

bool commit_call_failed(struct node *node, const struct node_event *event)
{
    struct group *group;
    struct commit **link = find_commit(node, event->call, &group);
    if (!link)
        return false;
    struct commit *commit = *link;
    commit->sent = false;
    if (event->as.failed.unknown || event->as.failed.transient || commit->uncertain)
        group->retry_at_ms = node->store_up ? node->now_ms + RETRY_MS : node->now_ms;
    if (event->as.failed.unknown)
        commit->uncertain = true;
    if (commit->uncertain)
        return true;
    for (size_t i = 0; i < commit->part_count; i++)
        restage(node, &commit->parts[i]);
    group->settle = true;
    if (!event->as.failed.transient)
        blame(node, group, commit, event);
    unlink_commit(node, group, link);
    commit_free(node->mem, commit);
    return true;
}

/* The partition's sessions are about to leave memory. */
void commits_forget_partition(struct node *node, uint32_t partition)
{
    struct group *group = group_of(node, partition);
    for (struct commit *commit = group->flight; commit; commit = commit->next)
        for (size_t i = 0; i < commit->part_count; i++) {
            if (commit->parts[i].partition != partition)
                continue;
            for (size_t s = 0; s < commit->parts[i].section_count; s++)
                commit->parts[i].sections[s] = (struct commit_section){NULL, NULL};
            commit->parts[i].section_count = 0;
        }
    struct slot **link = &group->dirty;
    while (*link) {
        if ((*link)->partition == partition)
            undirty(group, link);
        else
            link = &(*link)->dirty_next;
    }
}

uint64_t commits_due_ms(const struct node *node)
{
    uint64_t due = UINT64_MAX;
    if (!node->store_up)
        return due;
    for (uint32_t g = 0; g < node->config.groups; g++) {
        const struct group *group = &node->groups[g];
        bool waits = group->dirty || group->flight;
        if (waits && group->retry_at_ms > node->now_ms && group->retry_at_ms < due)
            due = group->retry_at_ms;
    }
    return due;
}
