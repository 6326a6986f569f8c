/* Private to the CLI: what its verbs share. One verb a run, one thread; cli_main.c dispatches, cli_<verb>.c performs.
 */
#ifndef MEERKAT_BUS_CLI_H
#define MEERKAT_BUS_CLI_H

#include <jansson.h>

#include "bus/args.h"
#include "bus/json.h"
#include "bus/meerkat.h"
#include "codec/buf.h"

enum cli_exit { CLI_DONE = 0, CLI_NEGATIVE = 1, CLI_USAGE = 2, CLI_NO_ANSWER = 3, CLI_REJECTED = 4 };

/* Flags of all verbs; each verb takes its own subset. NULL: not given. */
struct cli_flags {
    const char *bus, *timeout, *json, *help, *version;
    struct mk_send send; /* texts only */
    const char *wait, *no_wake, *deadline, *from, *count, *limit, *redrive, *all;
};

struct cli {
    struct cli_flags flags;
    struct mk_client *client;
    uint64_t timeout_ms;
    bool json, color;
    char **words; /* behind the verb */
    size_t word_count;
    enum cli_exit exit;
};

/* Each returns the exit code. */
enum cli_exit cli_send(struct cli *cli);
enum cli_exit cli_ctl(struct cli *cli);
enum cli_exit cli_show(struct cli *cli);
enum cli_exit cli_why(struct cli *cli);
enum cli_exit cli_outcome(struct cli *cli);
enum cli_exit cli_watch(struct cli *cli);
enum cli_exit cli_ps(struct cli *cli);
enum cli_exit cli_nodes(struct cli *cli);
enum cli_exit cli_drain(struct cli *cli);
enum cli_exit cli_dead(struct cli *cli);

/* --- shared --- */

/* Opens the client. What it is asked for is checked at once and waits for a hub, so that a wrong use needs none.
 * CLI_DONE, or what to exit with; the line is printed. */
enum cli_exit cli_open(struct cli *cli);

/* Waits up to `ms` until the client hears itself. CLI_DONE, or CLI_NO_ANSWER; the line is printed. */
enum cli_exit cli_await_hub(struct cli *cli, uint64_t ms);

/* Polls until nothing is unanswered. */
void cli_run(struct cli *cli);

/* One line on stderr, "meerkat: ...". Returns `code`. */
enum cli_exit cli_fail(enum cli_exit code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* One JSON object a line on stdout; takes `object`. */
void cli_print_json(json_t *object);

enum cli_exit cli_exit_of(const struct mk_answer *answer); /* by its end */

/* An answer: as JSON, which says the exit code, or text for people. */
void cli_print_answer(const struct cli *cli, const struct mk_answer *answer, enum cli_exit code);

/* Texts of others may not move a terminal's cursor: in each string of `value`, however deep, what is no printable UTF-8
 * becomes `?`. For what is printed to people as it is. NULL is allowed. */
void cli_clean(json_t *value);

/* A value as one line of JSON for people, as clean as that (JSON itself escapes only some of it). flags: JSON_COMPACT,
 * or 0: with blanks. The caller frees it; NULL: no memory, or no value. */
char *cli_dump(const json_t *value, size_t flags);

/* A key of an answer; one that is absent, or of another type, reads as no text ("", or `otherwise`, also for an empty
 * one) and as 0. cli_count: what cannot be negative. Texts belong to the object. */
const char *cli_text(const json_t *object, const char *key);
const char *cli_text_or(const json_t *object, const char *key, const char *otherwise);
long long cli_number(const json_t *object, const char *key);
uint64_t cli_count(const json_t *object, const char *key);

/* "data" as compact JSON, or its keys one a line; cleans it. */
void cli_print_value(const struct cli *cli, json_t *value);

/* Turns colour on and off; "" where there is none. */
const char *cli_bold(const struct cli *cli);
const char *cli_red(const struct cli *cli);
const char *cli_plain(const struct cli *cli);

/* Opens the client, sends a command, waits for its end and prints it. `judge` (if not NULL) says from the result of one
 * that was done what it is worth as an exit code. */
enum cli_exit cli_order(struct cli *cli, struct mk_order order, enum cli_exit (*judge)(const json_t *result));

#endif
