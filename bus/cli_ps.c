/* meerkat ps: the sessions that the nodes hold in memory, as they answer, and who owns them, as heartbeats say. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/cli_members.h"

struct listing {
    struct cli *cli;
    json_t *sessions; /* an array */
    json_t *more;     /* node: how many it did not list */
    enum cli_exit exit;
};

/* Takes one node's answer. Every session is told who holds it. */
static void take_sessions(struct listing *listing, const json_t *data)
{
    size_t i;
    json_t *session;
    const char *node = cli_text_or(data, "node", "?");
    const json_t *sessions = json_object_get(data, "sessions");
    json_int_t total = json_integer_value(json_object_get(data, "total"));
    json_array_foreach(sessions, i, session)
    {
        json_object_set_new(session, "node", json_string(node));
        json_array_append(listing->sessions, session);
    }
    if (total > (json_int_t)json_array_size(sessions))
        json_object_set_new(listing->more, node, json_integer(total - (json_int_t)json_array_size(sessions)));
}

static void on_sessions(void *user, const struct mk_answer *answer)
{
    struct listing *listing = user;
    if (answer->kind == MK_ANSWER_END) {
        listing->exit = answer->end == MK_END_DONE ? CLI_DONE : cli_fail(CLI_NO_ANSWER, "%s", answer->advice);
        return;
    }
    json_t *data = json_of_value(answer->result);
    if (answer->end == MK_END_DONE)
        take_sessions(listing, data);
    else
        cli_print_answer(listing->cli, answer, cli_exit_of(answer));
    json_decref(data);
}

/* The owner of its partition, and the fence: the node's own word for it, else the heartbeat's. */
static void add_owner(const struct cli *cli, json_t *session)
{
    struct mk_owner owner;
    long long partition = cli_number(session, "partition");
    mk_client_owner(cli->client, partition < 0 || partition >= PARTITIONS_MAX ? PARTITIONS_MAX : (uint32_t)partition,
                    &owner);
    json_object_set_new(session, "owner", *owner.node ? json_string(owner.node) : json_null());
    json_object_set_new(session, "owner_fence", json_integer((json_int_t)owner.fence));
    if (*owner.successor)
        json_object_set_new(session, "successor", json_string(owner.successor));
    if (!json_object_get(session, "fence") && strcmp(owner.node, cli_text_or(session, "node", "")) == 0)
        json_object_set_new(session, "fence", json_integer((json_int_t)owner.fence));
}

static void print_session(const struct cli *cli, json_t *session)
{
    cli_clean(session);
    const char *node = cli_text_or(session, "node", "?"), *owner = cli_text_or(session, "owner", "nobody");
    const char *successor = cli_text_or(session, "successor", NULL);
    bool elsewhere = strcmp(node, owner) != 0;
    printf("%-32s %-12s %-16s %9lld %18lld %8lld %8lld  %s", cli_text_or(session, "session", "?"),
           cli_text_or(session, "phase", "?"), node, cli_number(session, "partition"), cli_number(session, "fence"),
           cli_number(session, "active_inputs"), cli_number(session, "events"), cli_text_or(session, "run", "-"));
    if (elsewhere)
        printf("  %sowner: %s, fence %lld%s", cli_red(cli), owner, cli_number(session, "owner_fence"), cli_plain(cli));
    if (successor)
        printf("  on its way to %s", successor);
    putchar('\n');
}

static int by_session(const void *a, const void *b)
{
    json_t *const *one = a, *const *other = b;
    int order = strcmp(cli_text_or(*one, "session", ""), cli_text_or(*other, "session", ""));
    return order ? order : strcmp(cli_text_or(*one, "node", ""), cli_text_or(*other, "node", ""));
}

/* Ordered by name, and then by the node that holds it: of two, one is wrong. */
static void print_listing(const struct listing *listing)
{
    const struct cli *cli = listing->cli;
    const char *node;
    json_t *more;
    size_t count = json_array_size(listing->sessions);
    json_t **ordered = calloc(count + 1, sizeof *ordered);
    for (size_t i = 0; ordered && i < count; i++)
        ordered[i] = json_array_get(listing->sessions, i);
    if (ordered)
        qsort(ordered, count, sizeof(json_t *), by_session);
    if (!cli->json)
        printf("%s%-32s %-12s %-16s %9s %18s %8s %8s  %s%s\n", cli_bold(cli), "SESSION", "PHASE", "NODE", "PARTITION",
               "FENCE", "INPUTS", "EVENTS", "RUN", cli_plain(cli));
    for (size_t i = 0; i < count; i++) {
        json_t *session = ordered ? ordered[i] : json_array_get(listing->sessions, i);
        add_owner(cli, session);
        if (cli->json)
            cli_print_json(json_incref(session));
        else
            print_session(cli, session);
    }
    free(ordered);
    json_object_foreach(listing->more, node, more)
    {
        if (!cli->json)
            printf("... and %lld more on %s\n", (long long)json_integer_value(more), node);
    }
}

enum cli_exit cli_ps(struct cli *cli)
{
    if (cli->word_count)
        return cli_fail(CLI_USAGE, "ps takes no argument; see meerkat ps --help");
    enum cli_exit code = cli_open(cli);
    if (!code)
        code = cli_await_hub(cli, cli->timeout_ms);
    if (code)
        return code;
    struct listing listing = {cli, json_array(), json_object(), CLI_NO_ANSWER};
    struct mk_order order = {.node = "*",
                             .op = "sessions",
                             .gather = true,
                             .timeout_ms = GATHER_MS,
                             .on_answer = on_sessions,
                             .user = &listing};
    if (mk_client_order(cli->client, &order) != MK_CLIENT_OK)
        return cli_fail(CLI_USAGE, "%s", mk_client_error_text(cli->client));
    cli_run(cli);
    if (listing.exit == CLI_DONE)
        print_listing(&listing);
    json_decref(listing.sessions);
    json_decref(listing.more);
    return listing.exit;
}
