/* meerkat-hub: the bus of a cluster, as a program of its own. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "bus/args.h"
#include "bus/http.h"
#include "bus/hub.h"
#include "bus/log.h"
#include "bus/version.h"
#include "node/core/crc16.h"

enum { EXIT_STOPPED = 0, EXIT_FAULT = 1, EXIT_USAGE = 2 };

#define LOOK_MS 1000 /* how often the counters are looked at for something worth a line */

struct settings {
    const char *listen, *http, *ready_file, *frame_bytes, *hub_id, *log_level, *log_format, *help, *version;
};

struct program {
    struct log log;
    struct hub *hub;
    struct http *http;
    struct hub_options options;
    struct mk_id id;
    struct hub_counts seen; /* at the last look */
};

/* --- configuration --- */

static void random_id(struct mk_id *out)
{
    uint8_t chance[4] = {0};
    char text[16];
    if (getrandom(chance, sizeof chance, 0) != (ssize_t)sizeof chance)
        abort();
    snprintf(text, sizeof text, "hub-%02x%02x%02x%02x", chance[0], chance[1], chance[2], chance[3]);
    id_set(out, span_of(text));
}

static enum mk_err configure(struct program *program, const struct settings *set, struct mk_note *note)
{
    uint64_t frame_bytes = FRAME_BYTES_DEFAULT;
    enum mk_err err = log_level_parse(set->log_level, &program->log.level, note);
    if (!err)
        err = log_format_parse(set->log_format, &program->log.json, note);
    if (!err && set->frame_bytes)
        err = args_number("--frame-bytes", set->frame_bytes, 1024, FRAME_BYTES_MAX, &frame_bytes, note);
    if (!err) {
        err = bus_url_parse(span_of(set->listen), &program->options.listen, note);
        if (err)
            err = err_wrap(note, err, "--listen");
    }
    if (err)
        return err;
    random_id(&program->id);
    if (set->hub_id && (!session_id_valid(span_of(set->hub_id)) || !id_set(&program->id, span_of(set->hub_id))))
        return err_set(note, MK_ERR_INVALID_FIELD, "--hub-id `%.80s`: wanted 1..64 bytes of [A-Za-z0-9._:-]",
                       set->hub_id);
    program->options.id = id_span(&program->id);
    program->options.frame_bytes_max = frame_bytes;
    return MK_ERR_OK;
}

/* --- HTTP --- */

static void put_metric(char body[HTTP_PAGE_BYTES], const char *name, const char *labels, uint64_t value)
{
    size_t used = strlen(body);
    snprintf(body + used, HTTP_PAGE_BYTES - used, "meerkat_hub_%s%s %llu\n", name, labels, (unsigned long long)value);
}

static void put_metrics(struct hub *hub, char body[HTTP_PAGE_BYTES])
{
    struct hub_counts now;
    char labels[48];
    hub_counts(hub, &now);
    body[0] = '\0';
    put_metric(body, "frames_in_total", "", now.frames_in);
    put_metric(body, "bytes_in_total", "", now.bytes_in);
    put_metric(body, "frames_out_total", "", now.frames_out);
    put_metric(body, "frames_refused_total", "", now.refused);
    put_metric(body, "frames_failed_total", "", now.failed);
    for (int i = 0; i < TOPIC_CLASS_COUNT; i++) {
        snprintf(labels, sizeof labels, "{class=\"%s\"}", topic_class_name((enum topic_class)i));
        put_metric(body, "frames_total", labels, now.by_class[i]);
    }
    put_metric(body, "frames_total", "{class=\"other\"}", now.other_class);
    put_metric(body, "connections", "{end=\"in\"}", now.publishers);
    put_metric(body, "connections", "{end=\"out\"}", now.subscribers);
    put_metric(body, "connections_total", "", now.connections);
    put_metric(body, "relistens_total", "", now.relistens);
    put_metric(body, "uptime_seconds", "", now.uptime_ms / 1000);
}

static unsigned page(void *user, const char *path, char body[HTTP_PAGE_BYTES])
{
    struct hub *hub = user;
    if (strcmp(path, "/healthz") == 0) {
        snprintf(body, HTTP_PAGE_BYTES, "ok\n");
        return 200;
    }
    if (strcmp(path, "/metrics") == 0) {
        put_metrics(hub, body);
        return 200;
    }
    snprintf(body, HTTP_PAGE_BYTES, "not found: /healthz or /metrics\n");
    return 404;
}

/* --- running --- */

/* Readers of the file see nothing or the whole line. */
static enum mk_err write_ready_file(const char *path, const char *line, struct mk_note *note)
{
    char temporary[4096];
    int length = snprintf(temporary, sizeof temporary, "%s.%ld", path, (long)getpid());
    if (length < 0 || (size_t)length >= sizeof temporary)
        return err_set(note, MK_ERR_INVALID_FIELD, "--ready-file: the path is too long");
    FILE *file = fopen(temporary, "w");
    bool written = file && fputs(line, file) >= 0;
    if (file)
        written = fclose(file) == 0 && written;
    if (!written || rename(temporary, path) != 0)
        return err_set(note, MK_ERR_REFUSED, "--ready-file %.100s cannot be written", path);
    return MK_ERR_OK;
}

static enum mk_err announce(struct program *program, const char *ready_file, struct mk_note *note)
{
    char bus[BUS_URL_PAIR_BYTES], line[BUS_URL_PAIR_BYTES + 256];
    bus_url_write(bus, sizeof bus, hub_url(program->hub));
    const char *http = program->http ? http_address(program->http) : "off";
    snprintf(line, sizeof line, "ready hub=%s bus=%s http=%s\n", program->id.text, bus, http);
    const struct log_field fields[] = {
        {"hub", id_span(&program->id), 0}, {"bus", span_of(bus), 0}, {"http", span_of(http), 0}};
    log_line(&program->log, LOG_INFO, "listening", fields, 3);
    fputs(line, stdout);
    fflush(stdout);
    return ready_file ? write_ready_file(ready_file, line, note) : MK_ERR_OK;
}

/* Counters that should stand still. */
static void look(struct program *program)
{
    struct hub_counts now;
    hub_counts(program->hub, &now);
    const struct hub_counts *seen = &program->seen;
    const struct log_field bad[] = {{"refused", {0}, now.refused - seen->refused},
                                    {"failed", {0}, now.failed - seen->failed}};
    const struct log_field again[] = {{"times", {0}, now.relistens}};
    const struct log_field links[] = {{"publishers", {0}, now.publishers}, {"subscribers", {0}, now.subscribers}};
    if (now.refused != seen->refused || now.failed != seen->failed)
        log_line(&program->log, LOG_WARN, "frames were not forwarded", bad, 2);
    if (now.relistens != seen->relistens)
        log_line(&program->log, LOG_WARN, "a socket had stopped listening and was replaced", again, 1);
    if (now.connections != seen->connections || now.publishers != seen->publishers ||
        now.subscribers != seen->subscribers)
        log_line(&program->log, LOG_DEBUG, "connections changed", links, 2);
    program->seen = now;
}

static void run(struct program *program, const sigset_t *ends)
{
    const struct timespec wait = {.tv_sec = LOOK_MS / 1000, .tv_nsec = (LOOK_MS % 1000) * 1000000L};
    int ended_by;
    while ((ended_by = sigtimedwait(ends, NULL, &wait)) < 0)
        look(program);
    const struct log_field fields[] = {{"signal", {0}, (uint64_t)ended_by}};
    log_line(&program->log, LOG_INFO, "stopped", fields, 1);
}

static int serve(struct program *program, const struct settings *set)
{
    struct mk_note note = {{0}};
    sigset_t ends;
    int status = EXIT_FAULT;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigprocmask(SIG_BLOCK, &ends, NULL); /* before the first thread */
    signal(SIGPIPE, SIG_IGN);
    enum mk_err err = hub_open(&program->hub, &program->options, &note);
    if (!err && strcmp(set->http, "off") != 0)
        err = http_open(&program->http, set->http, page, program->hub, &note);
    if (!err)
        err = announce(program, set->ready_file, &note);
    if (!err) {
        run(program, &ends);
        status = EXIT_STOPPED;
    } else {
        fprintf(stderr, "meerkat-hub: %s\n", note.text);
        status = err == MK_ERR_OVERLOADED ? EXIT_FAULT : EXIT_USAGE;
    }
    http_close(program->http);
    if (program->hub)
        hub_quiet(program->hub);
    return status;
}

static void usage(const struct args *args)
{
    printf("meerkat-hub - the bus of a meerkat cluster: what is published at IN, everybody hears at OUT.\n\n"
           "usage: meerkat-hub [FLAG]...\n\n");
    args_help(stdout, args);
    printf(
        "\n--listen names both ends: IN itself, OUT at the next port (tcp, ws) or with .out appended (ipc, inproc);\n"
        "IN|OUT names both. Port 0 takes any free one. When ready, stdout and the ready file get one line\n"
        "`ready hub=ID bus=IN|OUT http=HOST:PORT`; give IN|OUT to --bus of nodes and clients.\n\n"
        "Exit codes: 0 stopped by a signal, 1 fault, 2 usage or an address that cannot be had.\n");
}

int main(int argc, char **argv)
{
    struct settings set = {.listen = BUS_URL_DEFAULT, .http = "127.0.0.1:0"};
    const struct flag flags[] = {
        {"listen", "URL", "where to listen (" BUS_URL_DEFAULT ")", &set.listen, false},
        {"http", "HOST:PORT", "/healthz and /metrics; `off` for none (127.0.0.1:0)", &set.http, false},
        {"ready-file", "PATH", "gets the ready line", &set.ready_file, false},
        {"frame-bytes", "N", "longest frame, 1024 to 67108864 (1048576)", &set.frame_bytes, false},
        {"hub-id", "ID", "its name in heartbeats (made at random)", &set.hub_id, false},
        {"log-level", "L", "error, warn, info or debug (info)", &set.log_level, false},
        {"log-format", "F", "logfmt or json (logfmt)", &set.log_format, false},
        {"help", NULL, "this text", &set.help, true},
        {"version", NULL, "the version", &set.version, true},
    };
    struct args args = {.flags = flags, .flag_count = sizeof flags / sizeof *flags};
    struct program program = {.log = {.to = stderr}};
    struct mk_note note = {{0}};
    enum mk_err err = args_parse(&args, argc, argv, &note);
    if (!err && set.help) {
        usage(&args);
        return EXIT_STOPPED;
    }
    if (!err && set.version) {
        printf("meerkat-hub %s\n", MEERKAT_VERSION);
        return EXIT_STOPPED;
    }
    if (!err && args.rest_count)
        err = err_set(&note, MK_ERR_INVALID_FIELD, "`%.40s`: it takes flags only; see --help", args.rest[0]);
    if (!err)
        err = configure(&program, &set, &note);
    if (err) {
        fprintf(stderr, "meerkat-hub: %s\n", note.text);
        return EXIT_USAGE;
    }
    int status = serve(&program, &set);
    fflush(NULL);
    _exit(status); /* closing a bus under traffic may hang (bus/endpoint.h) */
}
