/* meerkat ctl, show, outcome: one command to the owner of a session. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/cli.h"

#define ARGS_MAX 80

/* Arguments as texts. */
struct words {
    struct mk_arg args[ARGS_MAX]; /* of the texts below */
    char *keys[ARGS_MAX], *values[ARGS_MAX];
    size_t count;
    const char *run;
    struct buf input; /* of ingest: a whole input message */
};

static void words_fini(struct words *words)
{
    buf_fini(&words->input);
    for (size_t i = 0; i < words->count; i++) {
        free(words->keys[i]);
        free(words->values[i]);
    }
}

static bool put(struct words *words, const char *key, size_t key_bytes, const char *value)
{
    char *own_key = strndup(key, key_bytes);
    char *own_value = strdup(value);
    if (words->count == ARGS_MAX || !own_key || !own_value) {
        free(own_key);
        free(own_value);
        return false;
    }
    words->keys[words->count] = own_key;
    words->values[words->count] = own_value;
    words->args[words->count++] = (struct mk_arg){own_key, own_value};
    if (strcmp(own_key, "run") == 0)
        words->run = own_value;
    return true;
}

/* The nested message of `ingest`, with what goes without saying. */
static bool put_input(struct words *words, const char *session, json_t *value)
{
    struct mk_note note;
    json_object_set_new(value, "v", json_integer(1));
    json_object_set_new(value, "t", json_string("input"));
    if (!json_object_get(value, "session"))
        json_object_set_new(value, "session", json_string(session));
    char *text = json_dumps(value, JSON_COMPACT);
    buf_reset(&words->input);
    bool ok = text && json_value_pack(&words->input, text, &note);
    free(text);
    return ok;
}

/* A list gives its key several times. */
static bool put_list(struct words *words, const char *key, size_t key_bytes, const json_t *list)
{
    bool ok = true;
    for (size_t i = 0; ok && i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        ok = text && put(words, key, key_bytes, text);
    }
    return ok;
}

/* KEY=VALUE. A number or a truth goes on as it is written: the key knows which of them it wants, and an id may look
 * like a number. */
static bool take_word(struct words *words, const char *session, const char *word)
{
    const char *equals = strchr(word, '=');
    size_t key_bytes = equals ? (size_t)(equals - word) : 0;
    if (!key_bytes)
        return false;
    json_t *value = json_loads(equals + 1, JSON_DECODE_ANY, NULL);
    bool ok;
    if (json_is_array(value))
        ok = put_list(words, word, key_bytes, value);
    else if (json_is_object(value))
        ok = key_bytes == 5 && strncmp(word, "input", 5) == 0 && put_input(words, session, value);
    else
        ok = put(words, word, key_bytes, json_is_string(value) ? json_string_value(value) : equals + 1);
    json_decref(value);
    return ok;
}

/* A command that was done may still say no: `ingest` answers a rejection as a result. */
static enum cli_exit exit_of_done(const json_t *data)
{
    const char *outcome = json_string_value(json_object_get(data, "outcome"));
    return outcome && strcmp(outcome, "rejected") == 0 ? CLI_REJECTED : CLI_DONE;
}

enum cli_exit cli_ctl(struct cli *cli)
{
    struct words words = {.count = 0};
    enum cli_exit code = CLI_DONE;
    if (cli->word_count < 2)
        return cli_fail(CLI_USAGE, "ctl wants SESSION OP [KEY=VALUE]...; see meerkat ctl --help");
    for (size_t i = 2; !code && i < cli->word_count; i++)
        if (!take_word(&words, cli->words[0], cli->words[i]))
            code =
                cli_fail(CLI_USAGE,
                         "argument `%.80s`: wanted KEY=VALUE, VALUE a text, a number, true, false, a list of texts, or "
                         "for input a JSON object",
                         cli->words[i]);
    if (!code)
        code = cli_order(cli,
                         (struct mk_order){.session = cli->words[0],
                                           .op = cli->words[1],
                                           .args = words.args,
                                           .arg_count = words.count,
                                           .input = {words.input.at, words.input.bytes},
                                           .run = words.run},
                         exit_of_done);
    words_fini(&words);
    return code;
}

enum cli_exit cli_show(struct cli *cli)
{
    if (cli->word_count != 1)
        return cli_fail(CLI_USAGE, "show wants SESSION; see meerkat show --help");
    return cli_order(cli, (struct mk_order){.session = cli->words[0], .op = "show"}, NULL);
}

/* What `outcome` answered, as an exit code: a completion by its outcome, everything else is not known to be done. */
static enum cli_exit exit_of(const json_t *data)
{
    static const char *const good[] = {"completed", "completed_without_result", "callback_pending", "coalesced"};
    const json_t *completion = json_object_get(data, "completion");
    const char *outcome = json_string_value(json_object_get(completion, "outcome"));
    if (!outcome)
        return CLI_NO_ANSWER;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (strcmp(outcome, good[i]) == 0)
            return CLI_DONE;
    return CLI_NEGATIVE;
}

enum cli_exit cli_outcome(struct cli *cli)
{
    if (cli->word_count != 2)
        return cli_fail(CLI_USAGE, "outcome wants SESSION ID; see meerkat outcome --help");
    const struct mk_arg id = {"id", cli->words[1]};
    struct mk_order order = {.session = cli->words[0], .op = "outcome", .args = &id, .arg_count = 1};
    return cli_order(cli, order, exit_of);
}
