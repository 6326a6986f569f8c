/* meerkat: publish, control and watch sessions from the command line. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus/cli.h"
#include "bus/cli_ops.h"
#include "bus/version.h"

#define TIMEOUT_DEFAULT       "10s"
#define TIMEOUT_DEFAULT_DRAIN "120s" /* of runs that end, and partitions that move sixteen at a time */

enum takes { TAKES_NOTHING, TAKES_SEND, TAKES_WATCH, TAKES_DRAIN, TAKES_DEAD };

static const struct verb {
    const char *name, *words, *what;
    enum cli_exit (*perform)(struct cli *cli);
    enum takes takes;
    const char *more;    /* help behind the flags */
    void (*lists)(void); /* prints more of it; NULL: there is none */
} verbs[] = {
    {"send", "SESSION [BODY|-]", "publish one input and await its admission, or with --wait its completion", cli_send,
     TAKES_SEND,
     "BODY is JSON if it parses, else a string; - reads it from stdin; none is null.\n"
     "Sending again with the same --id (or --idem) is safe: it is done once.\n\n"
     "  meerkat send s1 hello --wait\n"
     "  meerkat send counter-7 5 --executor counter --id order-19 --wait --json\n",
     NULL},
    {"ctl", "SESSION OP [KEY=VALUE]...", "a command to a session: register, retire, reset, stop, interrupt, state...",
     cli_ctl, TAKES_NOTHING,
     "VALUE is JSON if it parses, else a string. docs/protocol.md says what each operation answers. `input` is a "
     "whole\n"
     "input message; its v, t and session are filled in.\n\n"
     "  meerkat ctl s1 retire reason=\"changed my mind\"\n"
     "  meerkat ctl s1 silent_intents 'intents=[\"ping\",\"status\"]'\n"
     "  meerkat ctl s1 ingest 'input={\"id\":\"i-1\",\"body\":\"hello\"}'\n",
     cli_print_ops},
    {"watch", "[SESSION]", "the numbered events of a session, or of all, as they happen", cli_watch, TAKES_WATCH,
     "Of one session a missing event is asked for again; what cannot be had is shown as a gap.\n\n"
     "  meerkat watch s1 --from 1\n",
     NULL},
    {"outcome", "SESSION ID", "what became of an input", cli_outcome, TAKES_NOTHING,
     "Exit code 0: done; 1: not done, for good; 3: not known to be done (in flight, never seen, unknown).\n", NULL},
    {"show", "SESSION", "everything the owner knows of a session", cli_show, TAKES_NOTHING, "", NULL},
    {"why", "SESSION", "why a session does not go on: what it waits for, since when, its last failure, its owner",
     cli_why, TAKES_NOTHING,
     "When its owner does not answer, what heartbeats say of it; then the exit code is 3. 4: nobody knows the\n"
     "session, or it is quarantined, and why.\n",
     NULL},
    {"ps", "", "the sessions that the nodes hold in memory, and who owns them", cli_ps, TAKES_NOTHING, "", NULL},
    {"nodes", "", "the nodes and hubs that live, what they own, and what is odd", cli_nodes, TAKES_NOTHING, "", NULL},
    {"drain", "NODE", "a node takes nothing more, hands everything over to the others, and leaves", cli_drain,
     TAKES_DRAIN,
     "Waits for the receipt: what went where, and how many inputs were refused. Repeating it is safe.\n"
     "Exit code 0: all was handed over, or nobody else was there; 1: inputs were refused, or partitions\n"
     "went to nobody although other nodes work; 3: the node was not heard, or its receipt was not.\n\n"
     "  meerkat drain node-2 --json\n",
     NULL},
    {"dead", "[SESSION [ID]]", "inputs that were abandoned, and why; with --redrive they are published again", cli_dead,
     TAKES_DEAD,
     "Without SESSION every node is asked. A redriven input has the id ID~1 (of x~1: x~2), the same body, and\n"
     "no idempotency key; redriving twice is one input. --redrive wants SESSION ID, or --all.\n"
     "Exit code of a redrive: as of send, of several the worst; 1 too when there is no such letter.\n\n"
     "  meerkat dead order-7\n"
     "  meerkat dead order-7 i-19 --redrive --wait\n",
     NULL},
};

#define VERBS     (sizeof verbs / sizeof *verbs)
#define FLAGS_MAX 40

struct flag_list {
    struct flag list[FLAGS_MAX];
    size_t count;
};

static void add(struct flag_list *flags, const char *name, const char *metavar, const char *help, const char **value)
{
    bool common = flags->count < 3;
    flags->list[flags->count++] = (struct flag){name, metavar, help, value, !common};
}

static void add_send_flags(struct flag_list *flags, struct cli_flags *to)
{
    add(flags, "wait", NULL, "await the completion too", &to->wait);
    add(flags, "id", "ID", "its id, to repeat it safely (made at random)", &to->send.id);
    add(flags, "idem", "KEY", "idempotency key", &to->send.idem);
    add(flags, "kind", "K", "prompt, external_event, peer_message, ... (prompt)", &to->send.kind);
    add(flags, "handling", "H", "queue or steer (as the kind has it)", &to->send.handling);
    add(flags, "executor", "E", "of a new session (the node's default)", &to->send.executor);
    add(flags, "durability", "D", "durable or ephemeral (durable)", &to->send.durability);
    add(flags, "origin", "O", "operator, peer, flow, system or external (external)", &to->send.origin);
    add(flags, "after", "ID", "an input that must be known first", &to->send.after);
    add(flags, "corr", "ID", "correlation id", &to->send.corr);
    add(flags, "supersede", "KEY", "supersession key", &to->send.supersede);
    add(flags, "deadline", "TIME", "abandon it when it has not started by then", &to->deadline);
    add(flags, "no-wake", NULL, "admit it, start nothing", &to->no_wake);
    add(flags, "event-type", "T", "of an external_event", &to->send.event_type);
    add(flags, "request-id", "ID", "of a peer_request or its responses", &to->send.request_id);
    add(flags, "intent", "I", "of a peer_request", &to->send.intent);
    add(flags, "status", "S", "of a peer_response_terminal: completed, failed...", &to->send.status);
    add(flags, "peer-id", "ID", "of the sending peer", &to->send.peer_id);
    add(flags, "peer-name", "NAME", "of the sending peer", &to->send.peer_name);
    add(flags, "step-id", "ID", "of a flow_step", &to->send.step_id);
    add(flags, "operation-id", "ID", "of an operation", &to->send.operation_id);
    add(flags, "continuation", "C", "ordinary or workgraph_attention", &to->send.continuation);
}

static void collect_flags(struct flag_list *flags, struct cli_flags *to, enum takes takes)
{
    add(flags, "bus", "URL", "hubs, by comma (tcp://127.0.0.1:7400)", &to->bus);
    add(flags, "timeout", "TIME",
        takes == TAKES_DRAIN ? "how long to wait for the receipt (" TIMEOUT_DEFAULT_DRAIN ")"
                             : "how long to repeat and wait: 500ms, 10s, 2m (" TIMEOUT_DEFAULT ")",
        &to->timeout);
    add(flags, "json", NULL, "one JSON object a line", &to->json);
    if (takes == TAKES_SEND)
        add_send_flags(flags, to);
    if (takes == TAKES_WATCH) {
        add(flags, "from", "SEQ", "replay from this number, then go on live", &to->from);
        add(flags, "count", "N", "end after so many events", &to->count);
    }
    if (takes == TAKES_DEAD) {
        add(flags, "limit", "N", "show at most so many (100)", &to->limit);
        add(flags, "redrive", NULL, "publish again, and await the admission", &to->redrive);
        add(flags, "wait", NULL, "of a redrive: await the completion too", &to->wait);
        add(flags, "all", NULL, "redrive every letter, of SESSION if given", &to->all);
    }
    add(flags, "help", NULL, "this text", &to->help);
    add(flags, "version", NULL, "the version", &to->version);
}

static void usage(void)
{
    printf("meerkat - publish, control and watch sessions.\n\nusage: meerkat VERB [ARGUMENT]... [FLAG]...\n\n");
    for (size_t i = 0; i < VERBS; i++)
        printf("  %-8s %-26s %s\n", verbs[i].name, verbs[i].words, verbs[i].what);
    printf("\nmeerkat VERB --help tells more. The bus is --bus, or MEERKAT_BUS, or tcp://127.0.0.1:7400.\n\n"
           "Exit codes: 0 done; 1 done for good, negatively; 2 usage; 3 no answer in time; 4 rejected.\n");
}

static void verb_usage(const struct verb *verb, const struct args *args)
{
    printf("meerkat %s - %s\n\nusage: meerkat %s %s [FLAG]...\n\n", verb->name, verb->what, verb->name, verb->words);
    args_help(stdout, args);
    printf("%s%s", *verb->more ? "\n" : "", verb->more);
    if (verb->lists)
        verb->lists();
}

enum cli_exit cli_open(struct cli *cli)
{
    char error[MK_ERROR_BYTES];
    struct mk_client_options options = {.bus = cli->flags.bus};
    enum mk_client_error failed = mk_client_open(&cli->client, &options, error);
    if (failed)
        return cli_fail(failed == MK_CLIENT_INVALID ? CLI_USAGE : CLI_NO_ANSWER, "%s", error);
    return CLI_DONE;
}

enum cli_exit cli_await_hub(struct cli *cli, uint64_t ms)
{
    if (!mk_client_await_ready(cli->client, ms))
        return cli_fail(CLI_NO_ANSWER, "no hub answers at %s within %llu ms; nothing was sent, repeating is safe",
                        cli->flags.bus ? cli->flags.bus : "tcp://127.0.0.1:7400", (unsigned long long)ms);
    return CLI_DONE;
}

void cli_run(struct cli *cli)
{
    while (mk_client_unanswered(cli->client))
        mk_client_poll(cli->client, 1000);
}

struct ordered {
    struct cli *cli;
    enum cli_exit (*judge)(const json_t *result);
    enum cli_exit exit;
};

static void on_ordered(void *user, const struct mk_answer *answer)
{
    struct ordered *ordered = user;
    ordered->exit = cli_exit_of(answer);
    if (ordered->judge && answer->end == MK_END_DONE) {
        json_t *result = json_of_value(answer->result);
        ordered->exit = ordered->judge(result);
        json_decref(result);
    }
    cli_print_answer(ordered->cli, answer, ordered->exit);
}

enum cli_exit cli_order(struct cli *cli, struct mk_order order, enum cli_exit (*judge)(const json_t *result))
{
    struct ordered ordered = {cli, judge, CLI_NO_ANSWER};
    order.timeout_ms = cli->timeout_ms;
    order.on_answer = on_ordered;
    order.user = &ordered;
    enum cli_exit code = cli_open(cli);
    if (code)
        return code;
    if (mk_client_order(cli->client, &order) != MK_CLIENT_OK)
        return cli_fail(CLI_USAGE, "%s", mk_client_error_text(cli->client));
    cli_run(cli);
    return ordered.exit;
}

static const struct verb *verb_of(const char *name)
{
    for (size_t i = 0; i < VERBS; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

static enum cli_exit perform(const struct verb *verb, int argc, char **argv)
{
    struct cli cli = {.exit = CLI_NO_ANSWER};
    struct flag_list flags = {.count = 0};
    struct mk_note note = {{0}};
    collect_flags(&flags, &cli.flags, verb->takes);
    struct args args = {.flags = flags.list, .flag_count = flags.count};
    enum mk_err err = args_parse(&args, argc, argv, &note);
    if (!err && cli.flags.help) {
        verb_usage(verb, &args);
        return CLI_DONE;
    }
    const char *timeout = verb->takes == TAKES_DRAIN ? TIMEOUT_DEFAULT_DRAIN : TIMEOUT_DEFAULT;
    if (!err)
        err = args_duration("--timeout", cli.flags.timeout ? cli.flags.timeout : timeout, &cli.timeout_ms, &note);
    if (err)
        return cli_fail(CLI_USAGE, "%s", note.text);
    cli.words = args.rest;
    cli.word_count = args.rest_count;
    cli.json = cli.flags.json != NULL;
    cli.color = !cli.json && isatty(STDOUT_FILENO);
    return verb->perform(&cli);
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    const char *name = argc > 1 ? argv[1] : "--help";
    const struct verb *verb = verb_of(name);
    enum cli_exit code = CLI_DONE;
    if (verb)
        code = perform(verb, argc - 1, argv + 1);
    else if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0)
        usage();
    else if (strcmp(name, "--version") == 0)
        printf("meerkat %s\n", MEERKAT_VERSION);
    else
        code = cli_fail(CLI_USAGE,
                        "unknown verb `%.40s`; wanted send, ctl, watch, outcome, show, why, ps, nodes, drain or dead",
                        name);
    fflush(NULL);
    _exit((int)code); /* closing a bus under traffic may hang (bus/endpoint.h) */
}
