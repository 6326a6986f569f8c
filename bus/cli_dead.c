/* meerkat dead: inputs that were abandoned, of one session or of all; and publishing them again. Letters are passed on
 * as they came, never through JSON: a body must not change on its way. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bus/cli_members.h"

#define LIMIT_DEFAULT 100
#define PAGE          "1000" /* letters asked for at once */

struct row {
    struct buf message;
    struct mk_letter letter; /* borrows from it */
    bool sound;              /* letter could be read */
    char redriven[96];       /* what became of it: "x~1 completed"; "": never redriven */
};

struct dead {
    struct cli *cli;
    const char *session, *id; /* NULL: all */
    struct row *rows;
    size_t count, room, most;
    char cursor[MESSAGE_ID_BYTES_MAX + 1]; /* of the next question; "": none */
    bool more, failed;                     /* letters that are not shown; a node did not answer, which was said */
    enum cli_exit worst;
    size_t good, bad; /* redriven, and not */
};

/* --- gathering --- */

static void take(void *user, struct mk_bytes message)
{
    struct dead *dead = user;
    if (dead->count == dead->most) {
        dead->more = true;
        return;
    }
    if (dead->count == dead->room) {
        size_t room = dead->room ? 2 * dead->room : 64;
        struct row *rows = realloc(dead->rows, room * sizeof *rows);
        if (!rows) {
            dead->more = true;
            return;
        }
        dead->rows = rows;
        dead->room = room;
    }
    struct row *row = &dead->rows[dead->count];
    *row = (struct row){.sound = false};
    buf_append(&row->message, message.at, message.bytes);
    if (row->message.failed) {
        dead->more = true;
        return;
    }
    row->sound = mk_letter_read((struct mk_bytes){row->message.at, row->message.bytes}, &row->letter);
    dead->count++;
}

static void on_page(void *user, const struct mk_answer *answer)
{
    struct dead *dead = user;
    struct mk_bytes next = {NULL, 0};
    dead->cursor[0] = '\0';
    if (answer->end != MK_END_DONE) {
        dead->failed = true;
        dead->worst = cli_exit_of(answer);
        cli_print_answer(dead->cli, answer, dead->worst);
    } else if (!mk_letters_read(answer->result, take, dead, &next)) {
        dead->failed = true;
        dead->worst = cli_fail(CLI_NO_ANSWER, "a node answered something that is no list of dead letters");
    } else if (next.bytes < sizeof dead->cursor && next.bytes) {
        memcpy(dead->cursor, next.at, next.bytes);
        dead->cursor[next.bytes] = '\0';
    }
}

/* Every page of one session, or of one node. */
static enum cli_exit ask(struct dead *dead, const char *node)
{
    struct mk_arg args[3];
    do {
        size_t count = 0;
        args[count++] = (struct mk_arg){"limit", PAGE};
        if (*dead->cursor)
            args[count++] = (struct mk_arg){"cursor", dead->cursor};
        if (dead->id)
            args[count++] = (struct mk_arg){"id", dead->id};
        struct mk_order order = {.session = node ? NULL : dead->session,
                                 .node = node,
                                 .op = "dead",
                                 .args = args,
                                 .arg_count = count,
                                 .timeout_ms = dead->cli->timeout_ms,
                                 .on_answer = on_page,
                                 .user = dead};
        if (mk_client_order(dead->cli->client, &order) != MK_CLIENT_OK)
            return cli_fail(CLI_USAGE, "%s", mk_client_error_text(dead->cli->client));
        cli_run(dead->cli);
    } while (*dead->cursor && !dead->more && !dead->failed);
    dead->more |= *dead->cursor != '\0';
    dead->cursor[0] = '\0';
    return dead->failed ? dead->worst : CLI_DONE;
}

static enum cli_exit ask_every_node(struct dead *dead)
{
    static struct members members; /* too large for the stack */
    static struct cluster cluster;
    size_t nodes = 0;
    members_gather(dead->cli, &members);
    cli_suspect(&members, &cluster);
    enum cli_exit code = CLI_DONE;
    for (size_t i = 0; !code && i < members.count; i++) {
        if (members.list[i].hub)
            continue;
        nodes++;
        code = ask(dead, members.list[i].id);
    }
    if (!code && !nodes)
        code = cli_fail(CLI_NO_ANSWER, "no node is heard on the bus; repeating is safe");
    else if (!code && cluster.unowned_count)
        dead->worst = cli_fail(CLI_NO_ANSWER, "%zu partitions have no owner now, so their letters are missing here",
                               cluster.unowned_count);
    members_fini(&members);
    return code;
}

/* --- showing --- */

static void on_outcome(void *user, const struct mk_answer *answer)
{
    struct row *row = user;
    json_t *data = answer->end == MK_END_DONE ? json_of_value(answer->result) : NULL;
    const char *state = cli_text(data, "state");
    if (strcmp(state, "committed") == 0)
        state = cli_text(data, "outcome");
    if (*state && strcmp(state, "never_seen") != 0 && strcmp(state, "unknown") != 0)
        snprintf(row->redriven, sizeof row->redriven, "%.64s %.24s", row->letter.redriven_id, state);
    json_decref(data);
}

/* Whether each was redriven is what became of the input that it would be. */
static void ask_redriven(struct dead *dead)
{
    char session[SESSION_ID_BYTES_MAX + 1];
    for (size_t i = 0; i < dead->count; i++) {
        struct row *row = &dead->rows[i];
        if (!row->sound || !*row->letter.redriven_id)
            continue;
        snprintf(session, sizeof session, "%.*s", (int)row->letter.session.bytes, (const char *)row->letter.session.at);
        const struct mk_arg id = {"id", row->letter.redriven_id};
        struct mk_order order = {.session = session,
                                 .op = "outcome",
                                 .args = &id,
                                 .arg_count = 1,
                                 .timeout_ms = dead->cli->timeout_ms,
                                 .on_answer = on_outcome,
                                 .user = row};
        while (mk_client_order(dead->cli->client, &order) == MK_CLIENT_FULL)
            mk_client_poll(dead->cli->client, 100);
    }
    cli_run(dead->cli);
}

static int compare(struct mk_bytes a, struct mk_bytes b)
{
    size_t least = a.bytes < b.bytes ? a.bytes : b.bytes;
    int order = least ? memcmp(a.at, b.at, least) : 0;
    return order ? order : (a.bytes > b.bytes) - (a.bytes < b.bytes);
}

static int by_time(const void *a, const void *b)
{
    const struct mk_letter *one = &((const struct row *)a)->letter, *other = &((const struct row *)b)->letter;
    if (one->at_ms != other->at_ms)
        return one->at_ms < other->at_ms ? -1 : 1;
    int order = compare(one->session, other->session);
    return order ? order : (one->seq > other->seq) - (one->seq < other->seq);
}

static void set(json_t *object, const char *key, json_t *value)
{
    if (value)
        json_object_set_new(object, key, value);
}

static json_t *json_of(const struct row *row)
{
    const struct mk_letter *letter = &row->letter;
    if (!row->sound)
        return json_of_value((struct mk_bytes){row->message.at, row->message.bytes});
    json_t *object = json_object();
    set(object, "session", json_of_text(letter->session));
    set(object, "id", json_of_text(letter->id));
    set(object, "kind", json_of_text(letter->kind));
    set(object, "body", json_of_value(letter->body));
    set(object, "left_out", letter->left_out ? json_integer((json_int_t)letter->left_out) : NULL);
    set(object, "outcome", json_of_text(letter->outcome));
    set(object, "reason", json_of_text(letter->reason));
    set(object, "error", json_of_text(letter->error));
    set(object, "detail", json_of_text(letter->detail));
    set(object, "attempts", json_integer((json_int_t)letter->attempts));
    set(object, "run", json_of_text(letter->run));
    set(object, "seq", json_integer((json_int_t)letter->seq));
    set(object, "at", json_integer((json_int_t)letter->at_ms));
    set(object, "redriven", *row->redriven ? json_string(row->redriven) : NULL);
    return object;
}

/* The whole letter where it could not be read: larger than a frame, or of another version. */
static void print_unread(const json_t *object)
{
    char *text = cli_dump(object, JSON_COMPACT);
    printf("%s\n", text ? text : "?");
    free(text);
}

static void print_row(const struct row *row)
{
    char when[32] = "?";
    struct tm tm;
    time_t seconds = (time_t)(row->letter.at_ms / 1000);
    json_t *object = json_of(row);
    cli_clean(object);
    if (row->sound && gmtime_r(&seconds, &tm))
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    if (!row->sound)
        print_unread(object);
    else
        printf("%-20s %-24s %-16s %-22s %-18s %-20s %s\n", cli_text(object, "session"), cli_text(object, "id"),
               cli_text(object, "kind"), cli_text(object, "reason"), cli_text_or(object, "error", "-"), when,
               cli_text_or(object, "redriven", "-"));
    json_decref(object);
}

static void print_rows(struct dead *dead)
{
    const struct cli *cli = dead->cli;
    if (!cli->json && !dead->id)
        printf("%s%-20s %-24s %-16s %-22s %-18s %-20s %s%s\n", cli_bold(cli), "SESSION", "ID", "KIND", "REASON",
               "ERROR", "WHEN", "REDRIVEN AS", cli_plain(cli));
    for (size_t i = 0; i < dead->count; i++) {
        if (cli->json)
            cli_print_json(json_of(&dead->rows[i]));
        else if (!dead->id)
            print_row(&dead->rows[i]);
        else {
            json_t *object = json_of(&dead->rows[i]);
            cli_print_value(cli, object);
            json_decref(object);
        }
    }
    if (dead->more && !cli->json)
        printf("... and there are more; --limit shows them\n");
}

/* --- redriving --- */

/* 0 is the best. Of the others what may still be had by repeating is worse than what failed for good: the higher code.
 */
static void worsen(struct dead *dead, enum cli_exit code)
{
    if (code > dead->worst)
        dead->worst = code;
}

static void on_redriven(void *user, const struct mk_answer *answer)
{
    struct dead *dead = user;
    enum cli_exit code = cli_exit_of(answer);
    cli_print_answer(dead->cli, answer, code);
    if (answer->kind != MK_ANSWER_END)
        return;
    worsen(dead, code);
    dead->good += code == CLI_DONE;
    dead->bad += code != CLI_DONE;
}

static void redrive(struct dead *dead, const struct row *row)
{
    enum mk_client_error error;
    struct mk_redrive redrive = {.letter = {row->message.at, row->message.bytes},
                                 .await_completion = dead->cli->flags.wait != NULL,
                                 .timeout_ms = dead->cli->timeout_ms,
                                 .on_answer = on_redriven,
                                 .user = dead};
    while ((error = mk_client_redrive(dead->cli->client, &redrive)) == MK_CLIENT_FULL)
        mk_client_poll(dead->cli->client, 100);
    if (!error)
        return;
    dead->bad++;
    worsen(dead, cli_fail(CLI_NEGATIVE, "%s", mk_client_error_text(dead->cli->client)));
}

static enum cli_exit redrive_rows(struct dead *dead)
{
    size_t first = dead->id && dead->count ? dead->count - 1 : 0; /* of an id that died twice, the last time */
    for (size_t i = first; i < dead->count; i++)
        redrive(dead, &dead->rows[i]);
    cli_run(dead->cli);
    if (dead->cli->flags.all && dead->cli->json)
        cli_print_json(json_pack("{s:s, s:i, s:I, s:I}", "event", "end", "exit", (int)dead->worst, "redriven",
                                 (json_int_t)dead->good, "not_redriven", (json_int_t)dead->bad));
    else if (dead->cli->flags.all)
        printf("%zu redriven, %zu not\n", dead->good, dead->bad);
    return dead->worst;
}

/* --- the verb --- */

static enum cli_exit check(struct dead *dead)
{
    const struct cli_flags *flags = &dead->cli->flags;
    struct mk_note note;
    uint64_t most = LIMIT_DEFAULT;
    if (dead->cli->word_count > 2)
        return cli_fail(CLI_USAGE, "dead wants at most SESSION and ID; see meerkat dead --help");
    if (flags->redrive && !dead->id == !flags->all)
        return cli_fail(CLI_USAGE, "--redrive wants either SESSION ID, or --all");
    if (!flags->redrive && (flags->all || flags->wait))
        return cli_fail(CLI_USAGE, "%s wants --redrive", flags->all ? "--all" : "--wait");
    if (flags->limit && args_number("--limit", flags->limit, 1, 1000000, &most, &note))
        return cli_fail(CLI_USAGE, "%s", note.text);
    dead->most = flags->redrive && !flags->limit ? SIZE_MAX : (size_t)most;
    return CLI_DONE;
}

static enum cli_exit gather(struct dead *dead)
{
    enum cli_exit code = cli_open(dead->cli);
    if (!code && !dead->session)
        code = cli_await_hub(dead->cli, dead->cli->timeout_ms);
    if (!code)
        code = dead->session ? ask(dead, NULL) : ask_every_node(dead);
    if (!code && dead->count)
        qsort(dead->rows, dead->count, sizeof *dead->rows, by_time);
    return code;
}

enum cli_exit cli_dead(struct cli *cli)
{
    struct dead dead = {.cli = cli,
                        .session = cli->word_count ? cli->words[0] : NULL,
                        .id = cli->word_count > 1 ? cli->words[1] : NULL};
    enum cli_exit code = check(&dead);
    if (!code)
        code = gather(&dead);
    if (!code && dead.id && !dead.count)
        code = cli_fail(CLI_NEGATIVE, "session %s has no dead letter of %s", dead.session, dead.id);
    if (!code && cli->flags.redrive) {
        code = redrive_rows(&dead);
    } else if (!code) {
        ask_redriven(&dead);
        print_rows(&dead);
        code = dead.worst;
    }
    for (size_t i = 0; i < dead.count; i++)
        buf_fini(&dead.rows[i].message);
    free(dead.rows);
    return code;
}
