/* What the CLI writes: one JSON object a line, or text for people. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/cli.h"
#include "codec/run.h"

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

static char *clean_copy(struct span text)
{
    char *copy = malloc(text.bytes + 1);
    if (copy)
        run_text(copy, text.bytes + 1, text);
    return copy;
}

static void clean_text(json_t *string)
{
    char *text = clean_copy(span_bytes(json_string_value(string), json_string_length(string)));
    json_string_set_nocheck(string, text ? text : "");
    free(text);
}

char *cli_dump(const json_t *value, size_t flags)
{
    char *text = value ? json_dumps(value, flags | JSON_ENCODE_ANY) : NULL;
    char *clean = text ? clean_copy(span_of(text)) : NULL;
    free(text);
    return clean;
}

void cli_clean(json_t *value)
{
    const char *key;
    size_t i;
    json_t *item;
    if (json_is_string(value))
        clean_text(value);
    json_object_foreach(value, key, item)
    {
        cli_clean(item);
    }
    json_array_foreach(value, i, item)
    {
        cli_clean(item);
    }
}

void cli_print_value(const struct cli *cli, json_t *value)
{
    const char *key;
    json_t *item;
    cli_clean(value);
    if (!json_is_object(value)) {
        char *text = cli_dump(value, JSON_COMPACT);
        printf("%s\n", text ? text : "");
        free(text);
        return;
    }
    json_object_foreach(value, key, item)
    {
        char *text = json_is_string(item) ? strdup(json_string_value(item)) : cli_dump(item, 0);
        printf("%s%-16s%s %s\n", cli_bold(cli), key, cli_plain(cli), text ? text : "");
        free(text);
    }
}

/* Between what stands before and behind it; nothing at all without a text. */
static void print_text(const char *before, struct mk_bytes text, const char *behind)
{
    json_t *clean = text.bytes ? json_of_text(text) : NULL;
    cli_clean(clean);
    if (clean)
        printf("%s%s%s", before, json_string_value(clean), behind);
    json_decref(clean);
}

static void print_id(const char *id)
{
    print_text(" [id ", (struct mk_bytes){id, strlen(id)}, "]\n");
}

/* "not_ready: the session is retired (it may be repeated later)" */
static void print_bad(const struct cli *cli, const struct mk_answer *answer)
{
    print_text(cli_red(cli), answer->outcome, cli_plain(cli));
    print_text(" ", answer->reason, "");
    print_text(": ", answer->detail, "");
    if (answer->end == MK_END_REFUSED)
        fputs(answer->final ? " (final)" : " (not final: it may be repeated with the same id)", stdout);
    print_id(answer->id);
}

static void print_good(const struct cli *cli, const struct mk_answer *answer)
{
    json_t *result = json_of_value(answer->result);
    bool command = answer->outcome.bytes == 2 && memcmp(answer->outcome.at, "ok", 2) == 0;
    if (command && json_is_object(result)) {
        cli_print_value(cli, result);
    } else {
        char *text = cli_dump(result, JSON_COMPACT);
        print_text(cli_bold(cli), answer->outcome, cli_plain(cli));
        printf("%s%s%s", text ? " " : "", text ? text : "", answer->deduplicated ? " (it was known already)" : "");
        print_id(answer->id);
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

/* --- reading answers --- */

const char *cli_text_or(const json_t *object, const char *key, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text && *text ? text : otherwise;
}

const char *cli_text(const json_t *object, const char *key)
{
    return cli_text_or(object, key, "");
}

long long cli_number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

uint64_t cli_count(const json_t *object, const char *key)
{
    long long number = cli_number(object, key);
    return number > 0 ? (uint64_t)number : 0;
}
