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
};

static void words_fini(struct words *words)
{
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

/* One JSON value as text: a string as it is, a number or a truth as it is written. */
static bool put_json(struct words *words, const char *key, size_t key_bytes, const json_t *value)
{
    if (json_is_string(value))
        return put(words, key, key_bytes, json_string_value(value));
    if (!json_is_integer(value) && !json_is_boolean(value))
        return false;
    char *text = json_dumps(value, JSON_ENCODE_ANY);
    bool ok = text && put(words, key, key_bytes, text);
    free(text);
    return ok;
}

/* KEY=VALUE; a list gives its key several times. */
static bool take_word(struct words *words, const char *word)
{
    const char *equals = strchr(word, '=');
    size_t key_bytes = equals ? (size_t)(equals - word) : 0;
    if (!key_bytes)
        return false;
    json_t *value = json_loads(equals + 1, JSON_DECODE_ANY, NULL);
    bool ok = true;
    if (!value)
        ok = put(words, word, key_bytes, equals + 1);
    else if (!json_is_array(value))
        ok = put_json(words, word, key_bytes, value);
    for (size_t i = 0; ok && json_is_array(value) && i < json_array_size(value); i++)
        ok = put_json(words, word, key_bytes, json_array_get(value, i));
    json_decref(value);
    return ok;
}

enum cli_exit cli_ctl(struct cli *cli)
{
    struct words words = {.count = 0};
    enum cli_exit code = CLI_DONE;
    if (cli->word_count < 2)
        return cli_fail(CLI_USAGE, "ctl wants SESSION OP [KEY=VALUE]...; see meerkat ctl --help");
    for (size_t i = 2; !code && i < cli->word_count; i++)
        if (!take_word(&words, cli->words[i]))
            code = cli_fail(CLI_USAGE,
                            "argument `%.80s`: wanted KEY=VALUE, VALUE a text, a number, true, false, or a list",
                            cli->words[i]);
    if (!code)
        code = cli_order(cli,
                         (struct mk_order){.session = cli->words[0],
                                           .op = cli->words[1],
                                           .args = words.args,
                                           .arg_count = words.count,
                                           .run = words.run},
                         NULL);
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
