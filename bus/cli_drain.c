/* meerkat drain: a node hands everything over and leaves; its answer, which comes when that is done, is the receipt. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus/cli_members.h"

#define HUB_MS  10000 /* how long to look for a hub, however long the node may take */
#define GONE_MS 5000  /* silence of a node that is being drained, after which it is not there */
#define POLL_MS 200

struct drain {
    struct cli *cli;
    const char *node;
    char incarnation[MESSAGE_ID_BYTES_MAX + 1]; /* that was asked to leave; "": it did not say */
    struct members *members;
    bool ended, progress;
};

static const char *successor_of(const json_t *moved)
{
    const char *text = json_string_value(json_object_get(moved, "successor"));
    return text ? text : "";
}

/* --- the receipt --- */

/* Partitions with a successor, and without. */
static void count_moved(const json_t *receipt, size_t *somebody, size_t *nobody)
{
    size_t i;
    const json_t *moved;
    *somebody = *nobody = 0;
    json_array_foreach(json_object_get(receipt, "moved"), i, moved)
    {
        *somebody += *successor_of(moved) != '\0';
        *nobody += *successor_of(moved) == '\0';
    }
}

static bool another_works(const struct drain *drain)
{
    for (size_t i = 0; i < drain->members->count; i++) {
        const struct member *member = &drain->members->list[i];
        bool alive = cli_now_ms() - member->heard_ms < GONE_MS && strcmp(member->phase, "working") == 0;
        if (!member->hub && alive && strcmp(member->id, drain->node) != 0)
            return true;
    }
    return false;
}

/* The last node of a cluster leaves its partitions to nobody, and rightly. */
static enum cli_exit judge(const struct drain *drain, const json_t *receipt)
{
    size_t somebody, nobody;
    count_moved(receipt, &somebody, &nobody);
    if (cli_number(receipt, "refused") > 0)
        return CLI_NEGATIVE;
    return nobody && (somebody || another_works(drain)) ? CLI_NEGATIVE : CLI_DONE;
}

/* One line for each successor, at the first partition that it got. */
static void print_successor(const json_t *all, size_t at)
{
    const char *successor = successor_of(json_array_get(all, at));
    long long partitions = 0, sessions = 0, refused = 0, slowest = 0;
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *moved = json_array_get(all, i);
        if (strcmp(successor_of(moved), successor) != 0)
            continue;
        if (i < at)
            return; /* it was said */
        partitions++;
        sessions += cli_number(moved, "sessions");
        refused += cli_number(moved, "refused");
        slowest = cli_number(moved, "ms") > slowest ? cli_number(moved, "ms") : slowest;
    }
    printf("%-24s %10lld %9lld %8lld %10lld\n", *successor ? successor : "(nobody)", partitions, sessions, refused,
           slowest);
}

static void print_receipt(const struct drain *drain, const json_t *receipt, enum cli_exit code)
{
    const struct cli *cli = drain->cli;
    static const char *const keys[] = {"partitions", "sessions", "refused", "ms"};
    const json_t *all = json_object_get(receipt, "moved");
    size_t somebody, nobody;
    count_moved(receipt, &somebody, &nobody);
    printf("%s%-16s%s %s\n", cli_bold(cli), "node", cli_plain(cli), drain->node);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        printf("%s%-16s%s %lld\n", cli_bold(cli), keys[i], cli_plain(cli), cli_number(receipt, keys[i]));
    if (json_array_size(all))
        printf("\n%s%-24s %10s %9s %8s %10s%s\n", cli_bold(cli), "SUCCESSOR", "PARTITIONS", "SESSIONS", "REFUSED",
               "SLOWEST MS", cli_plain(cli));
    for (size_t i = 0; i < json_array_size(all); i++)
        print_successor(all, i);
    if (nobody && code == CLI_DONE)
        printf("no other node was there: its partitions have no owner until one comes\n");
    else if (nobody)
        printf("%s%zu %s to nobody, although another node works%s\n", cli_red(cli), nobody,
               nobody == 1 ? "partition went" : "partitions went", cli_plain(cli));
}

static void on_receipt(void *user, const struct mk_answer *answer)
{
    struct drain *drain = user;
    struct cli *cli = drain->cli;
    drain->ended = true;
    cli->exit = cli_exit_of(answer);
    if (answer->end == MK_END_UNKNOWN)
        return; /* said by who waits, who knows more */
    if (drain->progress)
        fputs("\r\033[K", stderr);
    if (answer->end != MK_END_DONE) {
        cli_print_answer(cli, answer, cli->exit);
        return;
    }
    json_t *receipt = json_of_value(answer->result);
    cli->exit = judge(drain, receipt);
    if (cli->json) {
        json_object_set_new(receipt, "exit", json_integer(cli->exit));
        cli_print_json(json_incref(receipt));
    } else {
        print_receipt(drain, receipt, cli->exit);
    }
    json_decref(receipt);
}

/* --- waiting --- */

static void on_beat(void *user, const struct mk_beat *beat)
{
    struct drain *drain = user;
    members_note(drain->members, beat);
    const struct member *member = members_find(drain->members, drain->node);
    if (drain->progress && !drain->ended && member)
        fprintf(stderr, "\r%s: partitions left %u, under way %u\033[K", drain->node, (unsigned)member->owned,
                (unsigned)member->handing);
}

/* Why no receipt will come any more; NULL: it may come. Silence tells something only while others are heard. */
static const char *gone(const struct drain *drain)
{
    const struct member *member = members_find(drain->members, drain->node);
    uint64_t newest_ms = 0;
    for (size_t i = 0; i < drain->members->count; i++)
        newest_ms = drain->members->list[i].heard_ms > newest_ms ? drain->members->list[i].heard_ms : newest_ms;
    if (*drain->incarnation && strcmp(member->incarnation, drain->incarnation) != 0)
        return "it was started again before its receipt was heard";
    return newest_ms > member->heard_ms + GONE_MS ? "it is no longer heard, and its receipt was not: it left, or died"
                                                  : NULL;
}

static enum cli_exit unanswered(const struct drain *drain, const char *why)
{
    const struct member *member = members_find(drain->members, drain->node);
    const char *advice = "repeating is safe, and `meerkat nodes` tells who owns what";
    if (drain->progress)
        fputs("\r\033[K", stderr);
    if (drain->cli->json)
        cli_print_json(json_pack("{s:s, s:s, s:s, s:i, s:s, s:s, s:I}", "event", "end", "node", drain->node, "end",
                                 "unknown", "exit", (int)CLI_NO_ANSWER, "detail", why, "advice", advice,
                                 "partitions_left", (json_int_t)member->owned));
    return cli_fail(CLI_NO_ANSWER, "no receipt of node %s: %s; it had %u partitions when it was last heard; %s",
                    drain->node, why, (unsigned)member->owned, advice);
}

static enum cli_exit await_receipt(struct drain *drain)
{
    const char *why = NULL;
    while (!drain->ended && !why) {
        mk_client_poll(drain->cli->client, POLL_MS);
        why = drain->ended ? NULL : gone(drain);
    }
    if (!why && drain->cli->exit == CLI_NO_ANSWER)
        why = "none came in time";
    return why ? unanswered(drain, why) : drain->cli->exit;
}

/* --- before --- */

/* Listens until the node is heard, or everybody would have been. */
static enum cli_exit find_node(struct drain *drain)
{
    const struct member *member = NULL;
    char heard[512] = "";
    size_t used = 0;
    uint64_t until_ms = cli_now_ms() + GATHER_MS;
    while (!(member = members_find(drain->members, drain->node)) && cli_now_ms() < until_ms)
        mk_client_poll(drain->cli->client, POLL_MS);
    if (member && !member->hub) {
        memcpy(drain->incarnation, member->incarnation, sizeof drain->incarnation);
        return CLI_DONE;
    }
    for (size_t i = 0; i < drain->members->count && used < sizeof heard; i++)
        if (!drain->members->list[i].hub)
            used += (size_t)snprintf(heard + used, sizeof heard - used, " %s", drain->members->list[i].id);
    return cli_fail(CLI_NO_ANSWER, "no node %s was heard within %d ms, nothing was sent: it may have left already%s%s",
                    drain->node, GATHER_MS, *heard ? "; these are there:" : "; no other node was heard either", heard);
}

enum cli_exit cli_drain(struct cli *cli)
{
    static struct members members; /* too large for the stack */
    struct drain drain = {.cli = cli, .members = &members};
    if (cli->word_count != 1 || strcmp(cli->words[0], "*") == 0)
        return cli_fail(CLI_USAGE, "drain wants one NODE; see meerkat drain --help");
    drain.node = cli->words[0];
    enum cli_exit code = cli_open(cli);
    if (code)
        return code;
    mk_client_on_beat(cli->client, on_beat, &drain);
    code = cli_await_hub(cli, cli->timeout_ms < HUB_MS ? cli->timeout_ms : HUB_MS);
    if (!code)
        code = find_node(&drain);
    if (code)
        return code;
    const struct mk_arg incarnation = {"incarnation", drain.incarnation};
    struct mk_order order = {.node = drain.node,
                             .op = "drain",
                             .args = &incarnation,
                             .arg_count = *drain.incarnation ? 1 : 0,
                             .timeout_ms = cli->timeout_ms,
                             .on_answer = on_receipt,
                             .user = &drain};
    if (mk_client_order(cli->client, &order) != MK_CLIENT_OK)
        return cli_fail(CLI_USAGE, "%s", mk_client_error_text(cli->client));
    drain.progress = !cli->json && isatty(STDERR_FILENO);
    code = await_receipt(&drain);
    members_fini(&members);
    return code;
}
