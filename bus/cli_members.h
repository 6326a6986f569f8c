/* Private to the CLI: who was heard. The newest heartbeat of each node and hub, and how regularly they come. */
#ifndef MEERKAT_BUS_CLI_MEMBERS_H
#define MEERKAT_BUS_CLI_MEMBERS_H

#include "bus/cli.h"
#include "node/core/limits.h"

#define GATHER_MS   1500 /* one heartbeat a second, and half as much again */
#define SILENT_MS   1200 /* longer than anybody waits between two */
#define MEMBERS_MAX 256

struct member {
    char id[MESSAGE_ID_BYTES_MAX + 1], incarnation[MESSAGE_ID_BYTES_MAX + 1], phase[32];
    bool hub;
    uint32_t owned, partitions, handing, expecting, suspended;
    uint64_t sessions, load, fence_max;
    struct buf message;        /* the newest, whole */
    uint64_t heard_ms, gap_ms; /* when; the longest time between two */
    unsigned beats, lives;     /* how many were heard; how often the incarnation changed */
    json_t *suspicions;        /* of cli_suspect: an array */
};

struct members {
    struct member list[MEMBERS_MAX];
    size_t count;
};

uint64_t cli_now_ms(void); /* CLOCK_MONOTONIC */

/* For mk_client_on_beat: `user` is a struct members. */
void members_note(void *user, const struct mk_beat *beat);

const struct member *members_find(const struct members *members, const char *id); /* NULL: not heard */
void members_sort(struct members *members);                                       /* nodes first, by id */
void members_fini(struct members *members);

/* Listens for one round of heartbeats, and as much longer as it takes to tell who has fallen silent. */
void members_gather(struct cli *cli, struct members *members);

/* What heartbeats say together. */
struct cluster {
    uint32_t partitions, owned, handing;
    uint32_t unowned[PARTITIONS_MAX]; /* by nobody, and not on their way to somebody */
    size_t unowned_count;
};

/* Writes down at each member what is odd about it: {kind, ...}, kind being
 *   lower_fence  {partition, fence, other, other_fence}: somebody else claims it with a higher fence (or the same)
 *   suspended    {partitions}: it holds them and does not work on them
 *   silent       {ms}: for longer than heartbeats are apart
 *   same_id      two programs call themselves so */
void cli_suspect(struct members *members, struct cluster *out);

/* The same for people: one line each. */
void cli_print_suspicions(const struct cli *cli, const struct member *member);

#endif
