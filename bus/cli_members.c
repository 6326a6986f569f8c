#include "bus/cli_members.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define POLL_MS 100

uint64_t cli_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void copy(char *out, size_t room, struct mk_bytes text)
{
    snprintf(out, room, "%.*s", (int)text.bytes, text.at ? (const char *)text.at : "");
}

const struct member *members_find(const struct members *members, const char *id)
{
    for (size_t i = 0; i < members->count; i++)
        if (strcmp(members->list[i].id, id) == 0)
            return &members->list[i];
    return NULL;
}

/* The one of this name, new if need be; NULL: there are too many. */
static struct member *member_of(struct members *members, const char *id)
{
    for (size_t i = 0; i < members->count; i++)
        if (strcmp(members->list[i].id, id) == 0)
            return &members->list[i];
    if (members->count == MEMBERS_MAX)
        return NULL;
    struct member *member = &members->list[members->count++];
    *member = (struct member){.hub = false};
    snprintf(member->id, sizeof member->id, "%s", id);
    return member;
}

static void note_rhythm(struct member *member, const struct mk_beat *beat)
{
    char incarnation[sizeof member->incarnation];
    uint64_t now_ms = cli_now_ms();
    uint64_t gap_ms = member->beats ? now_ms - member->heard_ms : 0;
    copy(incarnation, sizeof incarnation, beat->incarnation);
    member->lives += member->beats && strcmp(incarnation, member->incarnation) != 0;
    memcpy(member->incarnation, incarnation, sizeof incarnation);
    member->gap_ms = gap_ms > member->gap_ms ? gap_ms : member->gap_ms;
    member->heard_ms = now_ms;
    member->beats++;
}

void members_note(void *user, const struct mk_beat *beat)
{
    char id[MESSAGE_ID_BYTES_MAX + 1];
    copy(id, sizeof id, beat->id);
    struct member *member = member_of(user, id);
    if (!member)
        return;
    note_rhythm(member, beat);
    copy(member->phase, sizeof member->phase, beat->phase);
    member->hub = beat->hub;
    member->owned = beat->owned;
    member->partitions = beat->partitions;
    member->handing = beat->handing;
    member->expecting = beat->expecting;
    member->suspended = beat->suspended;
    member->sessions = beat->sessions;
    member->load = beat->load;
    member->fence_max = beat->fence_max;
    buf_reset(&member->message);
    buf_append(&member->message, beat->message.at, beat->message.bytes);
}

static int by_role_and_id(const void *a, const void *b)
{
    const struct member *one = a, *other = b;
    return one->hub != other->hub ? (int)one->hub - (int)other->hub : strcmp(one->id, other->id);
}

void members_sort(struct members *members)
{
    qsort(members->list, members->count, sizeof *members->list, by_role_and_id);
}

void members_fini(struct members *members)
{
    for (size_t i = 0; i < members->count; i++) {
        buf_fini(&members->list[i].message);
        json_decref(members->list[i].suspicions);
    }
    members->count = 0;
}

/* Whether somebody is late by the rhythm it had, and not yet silent. */
static bool doubtful(const struct members *members, uint64_t now_ms)
{
    for (size_t i = 0; i < members->count; i++) {
        const struct member *member = &members->list[i];
        uint64_t silent_ms = now_ms - member->heard_ms;
        uint64_t late_ms = member->beats > 1 ? member->gap_ms * 5 / 2 : GATHER_MS * 2 / 3;
        if (silent_ms > late_ms && silent_ms <= SILENT_MS)
            return true;
    }
    return false;
}

void members_gather(struct cli *cli, struct members *members)
{
    uint64_t until_ms = cli_now_ms() + GATHER_MS;
    mk_client_on_beat(cli->client, members_note, members);
    for (uint64_t now_ms; (now_ms = cli_now_ms()) < until_ms + SILENT_MS;) {
        uint64_t left_ms = until_ms > now_ms ? until_ms - now_ms : POLL_MS;
        if (now_ms >= until_ms && !doubtful(members, now_ms))
            break;
        mk_client_poll(cli->client, left_ms < POLL_MS ? left_ms : POLL_MS);
    }
}
