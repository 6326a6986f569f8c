/* What the CLI writes: one JSON object a line, or text for people. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/cli.h"

enum cli_exit cli_fail(enum cli_exit code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("meerkat: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return code;
}

const char *cli_bold(const struct cli *cli)
{
    return cli->color ? "\033[1m" : "";
}

const char *cli_red(const struct cli *cli)
{
    return cli->color ? "\033[31m" : "";
}

const char *cli_plain(const struct cli *cli)
{
    return cli->color ? "\033[0m" : "";
}

void cli_print_json(json_t *object)
{
    char *text = json_dumps(object, JSON_COMPACT | JSON_ENCODE_ANY);
    if (text) {
        puts(text);
        fflush(stdout);
    }
    free(text);
    json_decref(object);
}

enum cli_exit cli_exit_of(const struct mk_answer *answer)
{
    switch (answer->end) {
    case MK_END_DONE:
        return CLI_DONE;
    case MK_END_FAILED:
        return CLI_NEGATIVE;
    case MK_END_REFUSED:
        return CLI_REJECTED;
    case MK_END_UNKNOWN:
        break;
    }
    return CLI_NO_ANSWER;
}

/* Absent values are left out. */
static void set(json_t *object, const char *key, json_t *value)
{
    if (value)
        json_object_set_new(object, key, value);
}

static void print_as_json(const struct mk_answer *answer, enum cli_exit code)
{
    static const char *const ends[] = {"done", "failed", "refused", "unknown"};
    json_t *object = json_object();
    bool last = answer->kind == MK_ANSWER_END;
    set(object, "event", json_string(last ? "end" : answer->kind == MK_ANSWER_ADMITTED ? "admitted" : "item"));
    set(object, "id", json_string(answer->id));
    set(object, "session", *answer->session ? json_string(answer->session) : NULL);
    set(object, "end", last ? json_string(ends[answer->end]) : NULL);
    set(object, "exit", last ? json_integer(code) : NULL);
    set(object, "outcome", json_of_text(answer->outcome));
    set(object, "reason", json_of_text(answer->reason));
    set(object, "detail", json_of_text(answer->detail));
    set(object, "existing", json_of_text(answer->existing));
    set(object, "result", json_of_value(answer->result));
    set(object, "deduplicated", answer->deduplicated ? json_true() : NULL);
    set(object, "final", answer->end == MK_END_REFUSED ? json_boolean(answer->final) : NULL);
    set(object, "advice", *answer->advice ? json_string(answer->advice) : NULL);
    set(object, "message", json_of_value(answer->message));
    cli_print_json(object);
}

void cli_print_value(const struct cli *cli, json_t *value)
{
    const char *key;
    json_t *item;
    if (!json_is_object(value)) {
        char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
        printf("%s\n", text ? text : "");
        free(text);
        return;
    }
    json_object_foreach(value, key, item)
    {
        char *text = json_is_string(item) ? strdup(json_string_value(item)) : json_dumps(item, JSON_ENCODE_ANY);
        printf("%s%-16s%s %s\n", cli_bold(cli), key, cli_plain(cli), text ? text : "");
        free(text);
    }
}

#define TEXT(text) (int)(text).bytes, (text).at ? (const char *)(text).at : ""

/* "not_ready: the session is retired (it may be repeated later)" */
static void print_bad(const struct cli *cli, const struct mk_answer *answer)
{
    printf("%s%.*s%s", cli_red(cli), TEXT(answer->outcome), cli_plain(cli));
    if (answer->reason.bytes)
        printf(" %.*s", TEXT(answer->reason));
    if (answer->detail.bytes)
        printf(": %.*s", TEXT(answer->detail));
    if (answer->end == MK_END_REFUSED)
        fputs(answer->final ? " (final)" : " (not final: it may be repeated with the same id)", stdout);
    printf(" [id %s]\n", answer->id);
}

static void print_good(const struct cli *cli, const struct mk_answer *answer)
{
    json_t *result = json_of_value(answer->result);
    bool command = answer->outcome.bytes == 2 && memcmp(answer->outcome.at, "ok", 2) == 0;
    if (command && json_is_object(result)) {
        cli_print_value(cli, result);
    } else {
        char *text = result ? json_dumps(result, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
        printf("%s%.*s%s%s%s%s [id %s]\n", cli_bold(cli), TEXT(answer->outcome), cli_plain(cli), text ? " " : "",
               text ? text : "", answer->deduplicated ? " (it was known already)" : "", answer->id);
        free(text);
    }
    json_decref(result);
}

void cli_print_answer(const struct cli *cli, const struct mk_answer *answer, enum cli_exit code)
{
    if (cli->json)
        print_as_json(answer, code);
    else if (answer->end == MK_END_DONE)
        print_good(cli, answer);
    else if (answer->end != MK_END_UNKNOWN)
        print_bad(cli, answer);
    else
        cli_fail(CLI_NO_ANSWER, "no answer within %llu ms: %s [id %s]", (unsigned long long)cli->timeout_ms,
                 answer->advice, answer->id);
    fflush(stdout);
}
