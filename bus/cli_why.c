/* meerkat why: in one screen, why a session does not go on: told by its owner, or, when that is silent, by what
 * heartbeats say. */
#include <stdio.h>
#include <string.h>

#include "bus/cli.h"
#include "node/core/crc16.h"

#define SPAN_TEXT_BYTES 32

struct why {
    struct cli *cli;
    enum cli_exit exit;
};

/* --- words --- */

/* "0.4 s", "12.3 s", "4 min 10 s", "3 h 2 min", "2 d 1 h" */
static const char *span_text(char out[SPAN_TEXT_BYTES], uint64_t ms)
{
    unsigned long long s = ms / 1000;
    if (s < 60)
        snprintf(out, SPAN_TEXT_BYTES, "%llu.%llu s", s, (unsigned long long)(ms % 1000 / 100));
    else if (s < 3600)
        snprintf(out, SPAN_TEXT_BYTES, "%llu min %llu s", s / 60, s % 60);
    else if (s < 86400)
        snprintf(out, SPAN_TEXT_BYTES, "%llu h %llu min", s / 3600, s % 3600 / 60);
    else
        snprintf(out, SPAN_TEXT_BYTES, "%llu d %llu h", s / 86400, s % 86400 / 3600);
    return out;
}

static void label(const struct cli *cli, const char *what)
{
    printf("%s%-16s%s ", cli_bold(cli), what, cli_plain(cli));
}

/* What each word of `waits_for` means to people; %s: the run. */
static const struct {
    const char *word, *text;
} waits[] = {
    {"nothing", "nothing"},
    {"executor", "an executor: its inputs are queued and none is attached"},
    {"run", "its run"},
    {"service_turn", "a service that owns the turn"},
    {"backoff", "the time of its next attempt"},
    {"handover", "the next owner: its partition is being given away"},
    {"unregister", "its run to end, to be unregistered then"},
    {"stop", "its run to end, to be stopped then"},
    {"wake", "a wake: its inputs asked to start nothing by themselves"},
};

static const char *wait_text(const char *word)
{
    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++)
        if (strcmp(waits[i].word, word) == 0)
            return waits[i].text;
    return word; /* of a newer node */
}

/* --- the owner answered --- */

static void print_wait(const struct cli *cli, const json_t *data)
{
    char text[SPAN_TEXT_BYTES];
    const json_t *run = json_object_get(data, "run");
    const char *least = json_is_true(json_object_get(data, "since_exact")) ? "" : "at least ";
    label(cli, "waits for");
    printf("%s", wait_text(cli_text(data, "waits_for")));
    if (json_is_object(run) && cli_count(run, "attempt"))
        printf(" %s, attempt %llu%s", cli_text(run, "id"), (unsigned long long)cli_count(run, "attempt"),
               json_is_true(json_object_get(run, "cancelled")) ? ", asked to end" : "");
    else if (json_is_object(run))
        printf(", run %s", cli_text(run, "id"));
    printf(", for %s%s", least, span_text(text, cli_count(data, "for_ms")));
    uint64_t now_ms = cli_count(data, "since_ms") + cli_count(data, "for_ms"), until_ms = cli_count(data, "until_ms");
    if (until_ms)
        printf(", ends in %s", span_text(text, until_ms > now_ms ? until_ms - now_ms : 0));
    printf("\n");
}

static void print_failure(const struct cli *cli, const json_t *failure)
{
    char text[SPAN_TEXT_BYTES];
    label(cli, "last failure");
    if (!json_is_object(failure)) {
        printf("none\n");
        return;
    }
    printf("%s%s%s: %s (run %s, %s ago; %s)\n", cli_red(cli), cli_text(failure, "error"), cli_plain(cli),
           cli_text(failure, "message"), cli_text(failure, "run"), span_text(text, cli_count(failure, "ago_ms")),
           json_is_true(json_object_get(failure, "will_retry")) ? "to be tried again" : "given up");
}

static void print_why(const struct cli *cli, const json_t *data)
{
    char text[SPAN_TEXT_BYTES];
    const char *executor = cli_text(data, "executor");
    label(cli, "phase");
    printf("%s, registration %s, %s %s\n", cli_text(data, "phase"), cli_text(data, "registration"),
           json_is_true(json_object_get(data, "attached")) ? "attached to executor" : "not attached to executor",
           *executor ? executor : "(the default one)");
    print_wait(cli, data);
    label(cli, "active inputs");
    printf("%llu", (unsigned long long)cli_count(data, "active"));
    if (cli_count(data, "active"))
        printf(", the oldest %s, for %s", cli_text(data, "oldest"), span_text(text, cli_count(data, "oldest_ms")));
    printf("\n");
    print_failure(cli, json_object_get(data, "last_failure"));
    label(cli, "owner");
    printf("node %s, partition %llu, fence %llu, for %s\n", cli_text(data, "node"),
           (unsigned long long)cli_count(data, "partition"), (unsigned long long)cli_count(data, "fence"),
           span_text(text, cli_count(data, "owned_for_ms")));
}

/* --- it did not, or could not --- */

static void print_owner(const struct cli *cli, const struct mk_owner *owner, uint32_t partition)
{
    char text[SPAN_TEXT_BYTES];
    label(cli, "owner");
    if (!*owner->node) {
        printf("%snobody claims partition %u%s\n", cli_red(cli), (unsigned)partition, cli_plain(cli));
        return;
    }
    printf("node %s, partition %u, fence %llu, heard %s ago", owner->node, (unsigned)partition,
           (unsigned long long)owner->fence, span_text(text, owner->silent_ms));
    if (*owner->successor)
        printf("; handing it to node %s", owner->successor);
    if (owner->suspended)
        printf("; %sit does not work on it: the store is not as it left it%s", cli_red(cli), cli_plain(cli));
    printf("\n");
}

static void tell_silence(const struct why *why, const struct mk_answer *answer)
{
    const struct cli *cli = why->cli;
    struct mk_view view;
    struct mk_owner owner;
    mk_client_view(cli->client, &view);
    uint32_t partition = partition_of(span_of(answer->session), view.partitions);
    mk_client_owner(cli->client, partition, &owner);
    if (!cli->json) {
        label(cli, "answer");
        printf("none within %llu ms: %s\n", (unsigned long long)cli->timeout_ms, answer->advice);
        print_owner(cli, &owner, partition);
        return;
    }
    cli_print_json(json_pack("{s:s, s:s, s:s, s:i, s:s, s:i, s:{s:s, s:I, s:I, s:s, s:b}}", "event", "end", "session",
                             answer->session, "end", "unknown", "exit", (int)why->exit, "advice", answer->advice,
                             "partition", (int)partition, "owner", "node", owner.node, "fence", (json_int_t)owner.fence,
                             "silent_ms", (json_int_t)owner.silent_ms, "successor", owner.successor, "suspended",
                             (int)owner.suspended));
}

static bool is(struct mk_bytes text, const char *word)
{
    return text.bytes == strlen(word) && memcmp(text.at, word, text.bytes) == 0;
}

static void tell_refusal(const struct why *why, const struct mk_answer *answer)
{
    const struct cli *cli = why->cli;
    label(cli, "phase");
    if (is(answer->reason, "not_found")) {
        printf("none: nobody knows session %s; its first input or `register` creates it\n", answer->session);
        return;
    }
    json_t *why_not =
        json_pack("{s:o?, s:o?}", "reason", json_of_text(answer->reason), "detail", json_of_text(answer->detail));
    cli_clean(why_not);
    printf("%s%s%s: %s\n", cli_red(cli), cli_text(why_not, "reason"), cli_plain(cli), cli_text(why_not, "detail"));
    json_decref(why_not);
    if (is(answer->reason, "quarantined") || is(answer->reason, "unsupported_version"))
        printf("%-16s its node refuses everything for it and writes nothing of it, so that nothing is lost\n", "");
}

static void on_why(void *user, const struct mk_answer *answer)
{
    struct why *why = user;
    why->exit = cli_exit_of(answer);
    if (answer->end == MK_END_UNKNOWN) {
        tell_silence(why, answer);
        return;
    }
    if (why->cli->json) {
        cli_print_answer(why->cli, answer, why->exit);
        return;
    }
    label(why->cli, "session");
    printf("%s\n", answer->session);
    json_t *data = json_of_value(answer->result);
    cli_clean(data);
    if (answer->end == MK_END_DONE)
        print_why(why->cli, data);
    else
        tell_refusal(why, answer);
    json_decref(data);
}

enum cli_exit cli_why(struct cli *cli)
{
    struct why why = {cli, CLI_NO_ANSWER};
    if (cli->word_count != 1)
        return cli_fail(CLI_USAGE, "why wants SESSION; see meerkat why --help");
    struct mk_order order = {
        .session = cli->words[0], .op = "why", .timeout_ms = cli->timeout_ms, .on_answer = on_why, .user = &why};
    enum cli_exit code = cli_open(cli);
    if (code)
        return code;
    if (mk_client_order(cli->client, &order) != MK_CLIENT_OK)
        return cli_fail(CLI_USAGE, "%s", mk_client_error_text(cli->client));
    cli_run(cli);
    return why.exit;
}
