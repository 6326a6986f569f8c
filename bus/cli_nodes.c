/* meerkat nodes, ps: what heartbeats say, and what the nodes answer, gathered for a bounded time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bus/cli.h"
#include "node/core/limits.h"

#define GATHER_MS   1500 /* one heartbeat a second, and half as much again */
#define MEMBERS_MAX 256

struct member {
    char id[MESSAGE_ID_BYTES_MAX + 1], phase[32];
    bool hub;
    uint32_t owned, partitions;
    uint64_t sessions, load, fence_max;
};

struct members {
    struct member list[MEMBERS_MAX];
    size_t count;
};

static void copy(char *out, size_t room, struct mk_bytes text)
{
    snprintf(out, room, "%.*s", (int)text.bytes, text.at ? (const char *)text.at : "");
}

/* The newest heartbeat of each counts. */
static void on_beat(void *user, const struct mk_beat *beat)
{
    struct members *members = user;
    char id[MESSAGE_ID_BYTES_MAX + 1];
    size_t i = 0;
    copy(id, sizeof id, beat->id);
    while (i < members->count && strcmp(members->list[i].id, id) != 0)
        i++;
    if (i == MEMBERS_MAX)
        return;
    struct member *member = &members->list[i];
    *member = (struct member){.hub = beat->hub,
                              .owned = beat->owned,
                              .partitions = beat->partitions,
                              .sessions = beat->sessions,
                              .load = beat->load,
                              .fence_max = beat->fence_max};
    copy(member->id, sizeof member->id, beat->id);
    copy(member->phase, sizeof member->phase, beat->phase);
    members->count = i == members->count ? i + 1 : members->count;
}

static int by_role_and_id(const void *a, const void *b)
{
    const struct member *one = a, *other = b;
    return one->hub != other->hub ? (int)one->hub - (int)other->hub : strcmp(one->id, other->id);
}

static void print_member(const struct cli *cli, const struct member *member)
{
    unsigned long long sessions = member->sessions, load = member->load, fence = member->fence_max;
    if (cli->json && member->hub)
        cli_print_json(json_pack("{s:s, s:s, s:s}", "role", "hub", "node", member->id, "phase", member->phase));
    else if (cli->json)
        cli_print_json(json_pack("{s:s, s:s, s:s, s:i, s:i, s:I, s:I, s:I}", "role", "node", "node", member->id,
                                 "phase", member->phase, "owned", (int)member->owned, "partitions",
                                 (int)member->partitions, "sessions", (json_int_t)sessions, "load", (json_int_t)load,
                                 "fence_max", (json_int_t)fence));
    else if (member->hub)
        printf("%-24s %-5s %-10s %11s %9s %7s %18s\n", member->id, "hub", member->phase, "-", "-", "-", "-");
    else
        printf("%-24s %-5s %-10s %6u/%-4u %9llu %7llu %18llu\n", member->id, "node", member->phase,
               (unsigned)member->owned, (unsigned)member->partitions, sessions, load, fence);
}

static void poll_for(struct cli *cli, uint64_t ms)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    for (uint64_t until_ms = now_ms + ms; now_ms < until_ms;) {
        mk_client_poll(cli->client, until_ms - now_ms);
        clock_gettime(CLOCK_MONOTONIC, &now);
        now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    }
}

enum cli_exit cli_nodes(struct cli *cli)
{
    struct members members = {.count = 0};
    bool any_node = false;
    if (cli->word_count)
        return cli_fail(CLI_USAGE, "nodes takes no argument; see meerkat nodes --help");
    enum cli_exit code = cli_open(cli);
    if (!code)
        code = cli_await_hub(cli);
    if (code)
        return code;
    mk_client_on_beat(cli->client, on_beat, &members);
    poll_for(cli, GATHER_MS);
    qsort(members.list, members.count, sizeof *members.list, by_role_and_id);
    if (!cli->json && members.count)
        printf("%s%-24s %-5s %-10s %11s %9s %7s %18s%s\n", cli_bold(cli), "ID", "ROLE", "PHASE", "PARTITIONS",
               "SESSIONS", "LOAD", "FENCE MAX", cli_plain(cli));
    for (size_t i = 0; i < members.count; i++) {
        print_member(cli, &members.list[i]);
        any_node = any_node || !members.list[i].hub;
    }
    return any_node ? CLI_DONE : cli_fail(CLI_NO_ANSWER, "no node was heard within %d ms", GATHER_MS);
}

/* --- ps --- */

static void print_session(const struct cli *cli, const char *node, json_t *session)
{
    const char *run = json_string_value(json_object_get(session, "run"));
    if (cli->json) {
        json_object_set_new(session, "node", json_string(node));
        cli_print_json(json_incref(session));
        return;
    }
    const char *id = json_string_value(json_object_get(session, "session"));
    const char *phase = json_string_value(json_object_get(session, "phase"));
    printf("%-32s %-12s %-20s %9lld %8lld %8lld  %s\n", id ? id : "?", phase ? phase : "?", node,
           (long long)json_integer_value(json_object_get(session, "partition")),
           (long long)json_integer_value(json_object_get(session, "active_inputs")),
           (long long)json_integer_value(json_object_get(session, "events")), run ? run : "-");
}

static void print_sessions(const struct cli *cli, const json_t *data)
{
    size_t i;
    json_t *session;
    const char *node = json_string_value(json_object_get(data, "node"));
    const json_t *sessions = json_object_get(data, "sessions");
    json_int_t total = json_integer_value(json_object_get(data, "total"));
    json_array_foreach(sessions, i, session)
    {
        print_session(cli, node ? node : "?", session);
    }
    if (!cli->json && total > (json_int_t)json_array_size(sessions))
        printf("... and %lld more on %s\n", (long long)total - (long long)json_array_size(sessions), node ? node : "?");
}

static void on_sessions(void *user, const struct mk_answer *answer)
{
    struct cli *cli = user;
    if (answer->kind == MK_ANSWER_END) {
        cli->exit = answer->end == MK_END_DONE ? CLI_DONE : cli_fail(CLI_NO_ANSWER, "%s", answer->advice);
        return;
    }
    json_t *data = cli_value_json(answer->result);
    if (answer->end == MK_END_DONE)
        print_sessions(cli, data);
    else
        cli_print_answer(cli, answer, cli_exit_of(answer));
    json_decref(data);
}

enum cli_exit cli_ps(struct cli *cli)
{
    if (cli->word_count)
        return cli_fail(CLI_USAGE, "ps takes no argument; see meerkat ps --help");
    enum cli_exit code = cli_open(cli);
    if (!code)
        code = cli_await_hub(cli);
    if (code)
        return code;
    if (!cli->json)
        printf("%s%-32s %-12s %-20s %9s %8s %8s  %s%s\n", cli_bold(cli), "SESSION", "PHASE", "NODE", "PARTITION",
               "INPUTS", "EVENTS", "RUN", cli_plain(cli));
    struct mk_order order = {
        .node = "*", .op = "sessions", .gather = true, .timeout_ms = GATHER_MS, .on_answer = on_sessions, .user = cli};
    if (mk_client_order(cli->client, &order) != MK_CLIENT_OK)
        return cli_fail(CLI_USAGE, "%s", mk_client_error_text(cli->client));
    cli_run(cli);
    return cli->exit;
}
