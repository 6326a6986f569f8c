/* meerkat nodes: what the heartbeats say, gathered for a bounded time. */
#include <stdio.h>

#include "bus/cli_members.h"

#define SHOWN_MAX 12 /* partitions named in one line */

static void print_json(const struct member *member)
{
    json_t *message = json_of_value((struct mk_bytes){member->message.at, member->message.bytes});
    json_t *object = json_pack("{s:s, s:s, s:s, s:s}", "role", member->hub ? "hub" : "node", "node", member->id,
                               "incarnation", member->incarnation, "phase", member->phase);
    if (!member->hub)
        json_object_update_new(
            object, json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "owned", (json_int_t)member->owned,
                              "partitions", (json_int_t)member->partitions, "sessions", (json_int_t)member->sessions,
                              "load", (json_int_t)member->load, "fence_max", (json_int_t)member->fence_max, "handing",
                              (json_int_t)member->handing, "expecting", (json_int_t)member->expecting, "suspended",
                              (json_int_t)member->suspended));
    json_object_set(object, "suspicions", member->suspicions);
    json_object_set_new(object, "message", message);
    cli_print_json(object);
}

static void print_row(const struct member *member)
{
    if (member->hub)
        printf("%-24s %-5s %-10s %11s %9s %7s %8s %10s %18s\n", member->id, "hub", member->phase, "-", "-", "-", "-",
               "-", "-");
    else
        printf("%-24s %-5s %-10s %6u/%-4u %9llu %7llu %8u %10u %18llu\n", member->id, "node", member->phase,
               (unsigned)member->owned, (unsigned)member->partitions, (unsigned long long)member->sessions,
               (unsigned long long)member->load, (unsigned)member->handing, (unsigned)member->suspended,
               (unsigned long long)member->fence_max);
}

static void print_cluster(const struct cli *cli, const struct cluster *cluster)
{
    if (cluster->handing)
        printf("%u of %u partitions are being handed over\n", (unsigned)cluster->handing,
               (unsigned)cluster->partitions);
    if (!cluster->unowned_count)
        return;
    printf("%s%zu of %u partitions are owned by nobody:", cli_red(cli), cluster->unowned_count,
           (unsigned)cluster->partitions);
    for (size_t i = 0; i < cluster->unowned_count && i < SHOWN_MAX; i++)
        printf(" %u", (unsigned)cluster->unowned[i]);
    printf("%s%s\n", cluster->unowned_count > SHOWN_MAX ? " ..." : "", cli_plain(cli));
}

static void print_table(const struct cli *cli, const struct members *members, const struct cluster *cluster)
{
    printf("%s%-24s %-5s %-10s %11s %9s %7s %8s %10s %18s%s\n", cli_bold(cli), "ID", "ROLE", "PHASE", "PARTITIONS",
           "SESSIONS", "LOAD", "HANDING", "SUSPENDED", "FENCE MAX", cli_plain(cli));
    for (size_t i = 0; i < members->count; i++)
        print_row(&members->list[i]);
    for (size_t i = 0; i < members->count; i++)
        cli_print_suspicions(cli, &members->list[i]);
    print_cluster(cli, cluster);
}

enum cli_exit cli_nodes(struct cli *cli)
{
    static struct members members; /* too large for the stack */
    static struct cluster cluster;
    bool any_node = false;
    if (cli->word_count)
        return cli_fail(CLI_USAGE, "nodes takes no argument; see meerkat nodes --help");
    enum cli_exit code = cli_open(cli);
    if (!code)
        code = cli_await_hub(cli, cli->timeout_ms);
    if (code)
        return code;
    members_gather(cli, &members);
    members_sort(&members);
    cli_suspect(&members, &cluster);
    for (size_t i = 0; i < members.count; i++)
        any_node = any_node || !members.list[i].hub;
    for (size_t i = 0; cli->json && i < members.count; i++)
        print_json(&members.list[i]);
    if (!cli->json && members.count)
        print_table(cli, &members, &cluster);
    members_fini(&members);
    return any_node ? CLI_DONE : cli_fail(CLI_NO_ANSWER, "no node was heard within %d ms", GATHER_MS);
}
