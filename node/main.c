/* meerkat-node: a worker of the cluster. Puts the parts together, and takes the exit code from them. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus/hub.h"
#include "bus/version.h"
#include "node/clock.h"
#include "node/config.h"
#include "node/core/machine_print.h"
#include "node/loop.h"

/* What stays until the process ends. */
struct program {
    struct config config;
    struct logger logger;
    struct supervisor supervisor; /* of the executors that are commands */
    struct loop *loop;
    struct hub *hub; /* NULL: others' hubs are used */
    struct endpoint *endpoint;
    char bus[BUS_HUBS_MAX * BUS_URL_PAIR_BYTES]; /* IN|OUT, by commas */
};

static void usage(void)
{
    printf("meerkat-node - runs sessions: admits their inputs, runs them, commits, publishes.\n\n"
           "usage: meerkat-node [FLAG]...\n\n");
    config_help(stdout);
    printf("\nEach flag but --help, --version and --print-machine has a twin in the environment: --lease-ms is "
           "MEERKAT_LEASE_MS. The flag wins.\n"
           "Without any, everything is kept in memory and the hub is inside: try `meerkat send s1 hello --wait` beside "
           "it.\n"
           "When ready, stdout and the ready file get one line `ready node=ID bus=IN|OUT http=HOST:PORT`. Logs go to "
           "stderr.\n"
           "SIGTERM finishes what runs and leaves; a second one leaves now.\n\n"
           "Exit codes: 0 stopped, 1 fault, 2 usage or an address that is taken, 5 the store was refused.\n");
}

static void name_node(struct mk_id *id)
{
    struct clock_port clock = clock_system();
    uint32_t chance;
    char text[24];
    clock.ops->random(clock.self, &chance, sizeof chance);
    snprintf(text, sizeof text, "node-%08x", (unsigned)chance);
    id_set(id, span_of(text));
}

static int complain(const char *why, int exit_code)
{
    fprintf(stderr, "meerkat-node: %s\n", why);
    return exit_code;
}

/* The table of transitions, a line each; the first names the columns. Leaves in one piece, so that what went wrong is
 * known; a reader that has seen enough is no fault. */
static int print_machine(void)
{
    static char out[65536];
    struct machine_row_text row;
    setvbuf(stdout, out, _IOFBF, sizeof out);
    printf("input\tfrom\tguards\teffects\tto\tupdates\n");
    for (size_t i = 0; machine_row_describe(i, &row); i++)
        printf("%s\t%s\t%s\t%s\t%s\t%s\n", row.input, row.from, row.guards, row.effects, row.to, row.updates);
    if (fflush(stdout) == 0 || errno == EPIPE)
        return EXIT_STOPPED;
    fprintf(stderr, "meerkat-node: the machine cannot be printed: %s\n", strerror(errno));
    return EXIT_FAULTY;
}

/* The hub inside, when no other was named. */
static enum mk_err open_hub(struct program *program, struct bus_urls *hubs, struct mk_note *note)
{
    char id[MESSAGE_ID_BYTES_MAX + 1];
    struct mk_note why = {""};
    snprintf(id, sizeof id, "%.*s-hub", MESSAGE_ID_BYTES_MAX - 4, program->config.node.text);
    struct hub_options options = {.id = span_of(id), .frame_bytes_max = program->config.frame_bytes};
    enum mk_err err = bus_url_parse(span_of(BUS_URL_DEFAULT), &options.listen, note);
    if (!err && hub_open(&program->hub, &options, &why))
        err = err_set(note, MK_ERR_REFUSED, "no hub inside: %.120s; name the hub to join with --bus URL", why.text);
    if (!err)
        *hubs = (struct bus_urls){.list = {*hub_url(program->hub)}, .count = 1};
    return err;
}

static void write_bus(struct program *program, const struct bus_urls *hubs)
{
    size_t used = 0;
    for (size_t i = 0; i < hubs->count; i++) {
        if (i)
            program->bus[used++] = ',';
        used += bus_url_write(program->bus + used, sizeof program->bus - used, &hubs->list[i]);
    }
}

static enum mk_err open_bus(struct program *program, struct mk_note *note)
{
    struct endpoint_options options = {.hubs = program->config.bus,
                                       .frame_bytes_max = program->config.frame_bytes,
                                       .wake = loop_wake,
                                       .wake_user = program->loop};
    enum mk_err err = program->config.bus_given ? MK_ERR_OK : open_hub(program, &options.hubs, note);
    if (!err)
        err = endpoint_open(&program->endpoint, &options, note);
    if (!err)
        write_bus(program, &options.hubs);
    return err;
}

/* The first lines of the log: what kind of node this is. */
static void introduce(struct program *program)
{
    const struct config *config = &program->config;
    const struct trace_field version[] = {{"version", SPAN_LIT(MEERKAT_VERSION), 0},
                                          {"pid", {NULL, 0}, (uint64_t)getpid()}};
    const struct trace_field bus = {"bus", span_of(program->bus), 0};
    const struct trace_field store = {"store", span_of(config->store), 0};
    logger_line(&program->logger, TRACE_INFO, "starting", version, 2);
    if (config->store_memory)
        logger_line(&program->logger, TRACE_WARN, "the store is memory: nothing outlives this process", NULL, 0);
    else
        logger_line(&program->logger, TRACE_INFO, "the store is Redis", &store, 1);
    logger_line(&program->logger, TRACE_INFO, program->hub ? "a hub is inside" : "joining the bus", &bus, 1);
}

/* Before anything else has begun: it is a fork of this process. */
static enum mk_err open_supervisor(struct program *program, struct mk_note *note)
{
    struct config *config = &program->config;
    const struct supervisor_options options = {.names = config->executors,
                                               .name_count = config->executor_count,
                                               .node = id_span(&config->node),
                                               .secret = config->store_password,
                                               .secret_bytes = sizeof config->store_password};
    return supervisor_start(&program->supervisor, &options, note);
}

static int serve(struct program *program)
{
    struct mk_note note = {""};
    program->loop = loop_new(&program->config, &program->logger, &program->supervisor);
    if (!program->loop)
        return complain("no memory or no descriptors for the event loop", EXIT_FAULTY);
    enum mk_err err = open_bus(program, &note);
    if (err)
        return complain(note.text, err == MK_ERR_OVERLOADED ? EXIT_FAULTY : EXIT_USAGE);
    introduce(program);
    int exit_code = loop_run(program->loop, program->endpoint, program->bus);
    endpoint_quiet(program->endpoint);
    if (program->hub)
        hub_quiet(program->hub);
    return exit_code;
}

int main(int argc, char **argv)
{
    static struct program program;
    struct mk_note note = {""};
    if (config_read(&program.config, argc, argv, getenv, &note))
        return complain(note.text, EXIT_USAGE);
    if (program.config.help) {
        usage();
        return EXIT_STOPPED;
    }
    if (program.config.version) {
        printf("meerkat-node %s\n", MEERKAT_VERSION);
        return EXIT_STOPPED;
    }
    signal(SIGPIPE, SIG_IGN);
    if (program.config.print_machine)
        return print_machine();
    if (!program.config.node.bytes)
        name_node(&program.config.node);
    program.logger = (struct logger){STDERR_FILENO, program.config.log_level, program.config.log_format,
                                     program.config.node, clock_system()};
    if (open_supervisor(&program, &note))
        return complain(note.text, EXIT_FAULTY);
    int exit_code = serve(&program);
    fflush(NULL);
    _exit(exit_code); /* the bus cannot be closed under traffic (bus/endpoint.h) */
}
