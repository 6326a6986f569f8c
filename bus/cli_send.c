/* meerkat send: one input, its admission, and with --wait its completion. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/cli.h"
#include "node/core/limits.h"

/* All of stdin, as the body's text. NULL: too long, or no memory; said. */
static char *read_stdin(void)
{
    size_t room = FRAME_BYTES_MAX, used = 0;
    char *text = malloc(room + 1);
    if (!text)
        return NULL;
    while (used < room) {
        size_t n = fread(text + used, 1, room - used, stdin);
        if (n == 0)
            break;
        used += n;
    }
    while (used && text[used - 1] == '\n')
        used--;
    text[used] = '\0';
    return text;
}

static void on_answer(void *user, const struct mk_answer *answer)
{
    struct cli *cli = user;
    enum cli_exit code = cli_exit_of(answer);
    cli_print_answer(cli, answer, code);
    if (answer->kind == MK_ANSWER_END)
        cli->exit = code;
}

static enum cli_exit pack_body(const char *word, struct buf *body)
{
    bool from_stdin = strcmp(word, "-") == 0;
    char *text = from_stdin ? read_stdin() : NULL;
    if (from_stdin && !text)
        return cli_fail(CLI_USAGE, "no memory for the body from stdin");
    struct mk_note note = {""};
    bool packed = json_value_pack(body, from_stdin ? text : word, &note);
    free(text);
    return packed ? CLI_DONE : cli_fail(CLI_USAGE, "BODY: %s", note.text);
}

static enum cli_exit read_deadline(const struct cli *cli, struct mk_send *send)
{
    struct mk_note note;
    if (cli->flags.deadline && args_duration("--deadline", cli->flags.deadline, &send->deadline_ms, &note))
        return cli_fail(CLI_USAGE, "%s", note.text);
    return CLI_DONE;
}

enum cli_exit cli_send(struct cli *cli)
{
    struct buf body = {0};
    struct mk_send send = cli->flags.send;
    if (cli->word_count < 1 || cli->word_count > 2)
        return cli_fail(CLI_USAGE, "send wants SESSION [BODY|-]; see meerkat send --help");
    enum cli_exit code = read_deadline(cli, &send);
    if (!code && cli->word_count == 2)
        code = pack_body(cli->words[1], &body);
    if (!code)
        code = cli_open(cli);
    if (code)
        goto out;
    send.session = cli->words[0];
    send.body = (struct mk_bytes){body.at, body.bytes};
    send.no_wake = cli->flags.no_wake != NULL;
    send.await_completion = cli->flags.wait != NULL;
    send.timeout_ms = cli->timeout_ms;
    send.on_answer = on_answer;
    send.user = cli;
    if (mk_client_send(cli->client, &send) != MK_CLIENT_OK) {
        code = cli_fail(CLI_USAGE, "%s", mk_client_error_text(cli->client));
        goto out;
    }
    cli_run(cli);
    code = cli->exit;
out:
    buf_fini(&body);
    return code;
}
