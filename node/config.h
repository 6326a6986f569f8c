/* What the node was told: flags, and their twins in the environment (--lease-ms is MEERKAT_LEASE_MS; the flag wins).
 * Everything is checked here, once: what is in a struct config is usable, but for addresses that turn out to be taken.
 */
#ifndef MEERKAT_NODE_CONFIG_H
#define MEERKAT_NODE_CONFIG_H

#include <stdio.h>

#include "bus/url.h"
#include "node/builtin.h"
#include "node/core/port.h"
#include "node/executor.h"
#include "node/log.h"

#define CONFIG_TEXT_BYTES 512 /* of an address or a path, its zero byte included */

struct config {
    struct mk_id node; /* absent: to be made at random */
    bool store_memory;
    char store[CONFIG_TEXT_BYTES];          /* redis/url.h; "" with store_memory */
    char store_password[CONFIG_TEXT_BYTES]; /* the first line of the file that was named; "": none */
    bool allow_volatile;                    /* a Redis without persistence will do */
    bool bus_given;                         /* else: a hub inside, on the default address */
    struct bus_urls bus;
    struct executor_name executors[EXECUTOR_NAMES_MAX];
    size_t executor_count;
    struct mk_id default_executor;
    uint64_t lease_ms, partitions, groups;
    uint64_t idle_evict_ms, retain_ms, retain_bytes, frame_bytes, run_ms, finish_ms, stop_ms;
    bool auto_register;
    bool http_given;
    char http_host[CONFIG_TEXT_BYTES];  /* numeric, without brackets */
    uint16_t http_port;                 /* 0: any free one */
    char ready_file[CONFIG_TEXT_BYTES]; /* "": none */
    enum trace_level log_level;
    enum log_format log_format;
    bool help, version, print_machine; /* asked for: what follows on the command line was not looked at */
};

/* environment: like getenv.
 *   errors  INVALID_FIELD; the note is one line: what, the value, what is allowed */
enum mk_err config_read(struct config *out, int argc, char **argv, char *(*environment)(const char *name),
                        struct mk_note *note);

/* Every flag, its twin, its default. */
void config_help(FILE *to);

#endif
