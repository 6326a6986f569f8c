/* meerkat watch: the numbered events of one session, or of all, as they happen. A missing number is asked for again
 * (one session), or shown as a gap; nothing is skipped silently. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/cli.h"
#include "node/core/limits.h"

#define SESSIONS_FIRST 64 /* room of the table; it doubles */

/* How far a session has been shown. */
struct place {
    char session[SESSION_ID_BYTES_MAX + 1];
    uint64_t next;    /* the number to come; 0: any */
    uint64_t highest; /* heard of so far */
};

struct watch {
    struct cli *cli;
    const char *session;  /* NULL: all */
    struct place *places; /* few writers, many events: a linear look costs less than the line printed */
    size_t count, room;
    bool replaying;
    uint64_t shown, shown_max;
    enum cli_exit failed; /* the first replay was not answered: what to exit with */
};

static struct place *place_of(struct watch *watch, const char *session)
{
    for (size_t i = 0; i < watch->count; i++)
        if (strcmp(watch->places[i].session, session) == 0)
            return &watch->places[i];
    if (watch->count == watch->room) {
        size_t room = watch->room ? watch->room * 2 : SESSIONS_FIRST;
        struct place *places = realloc(watch->places, room * sizeof *places);
        if (!places)
            return NULL;
        watch->places = places;
        watch->room = room;
    }
    struct place *place = &watch->places[watch->count++];
    *place = (struct place){.next = 0};
    snprintf(place->session, sizeof place->session, "%s", session);
    return place;
}

static bool is_completion(const json_t *message)
{
    return strcmp(cli_text(message, "t"), "completion") == 0;
}

static void show_gap(struct watch *watch, const struct place *place, uint64_t to, const char *why)
{
    if (watch->cli->json)
        cli_print_json(json_pack("{s:s, s:s, s:I, s:I, s:s}", "event", "gap", "session", place->session, "from",
                                 (json_int_t)place->next, "to", (json_int_t)to, "why", why));
    else
        printf("%s-- gap: events %llu to %llu of %s %s --%s\n", cli_red(watch->cli), (unsigned long long)place->next,
               (unsigned long long)to, place->session, why, cli_plain(watch->cli));
    fflush(stdout);
}

static void show_text(const struct watch *watch, const json_t *message)
{
    bool completion = is_completion(message);
    json_t *names = json_pack("{s:s, s:s, s:s}", "session", cli_text(message, "session"), "name",
                              cli_text(message, completion ? "outcome" : "name"), "input",
                              completion ? cli_text(message, "input") : "");
    json_t *value = json_object_get(message, completion ? "result" : "data");
    char *text = cli_dump(value, JSON_COMPACT);
    cli_clean(names);
    printf("%s %llu %s%s%s%s%s%s%s\n", cli_text(names, "session"), (unsigned long long)cli_count(message, "seq"),
           cli_bold(watch->cli), cli_text(names, "name"), cli_plain(watch->cli), completion ? " " : "",
           cli_text(names, "input"), text ? " " : "", text ? text : "");
    json_decref(names);
    free(text);
    fflush(stdout);
}

static void show(struct watch *watch, json_t *message)
{
    if (watch->shown_max && watch->shown == watch->shown_max)
        return;
    watch->shown++;
    if (watch->cli->json)
        cli_print_json(
            json_pack("{s:s, s:O}", "event", is_completion(message) ? "completion" : "effect", "message", message));
    else
        show_text(watch, message);
}

static void replay(struct watch *watch, struct place *place);

/* One event, live or replayed. */
static void take(struct watch *watch, json_t *message, bool live)
{
    uint64_t seq = cli_count(message, "seq");
    struct place *place = place_of(watch, cli_text(message, "session"));
    if (!place || !seq)
        return;
    place->highest = seq > place->highest ? seq : place->highest;
    if (place->next && seq < place->next)
        return;
    if (place->next && seq > place->next && live && watch->session) {
        replay(watch, place);
        return;
    }
    if (place->next && seq > place->next)
        show_gap(watch, place, seq - 1, live ? "were not heard" : "are no longer retained");
    place->next = seq + 1;
    show(watch, message);
}

static void take_items(struct watch *watch, const json_t *data)
{
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(data, "items"), i, item)
    {
        take(watch, item, false);
    }
}

/* A session that is not there yet may come. Where events were heard before, the gap is shown and the watch goes on. */
static void on_no_replay(struct watch *watch, struct place *place, const struct mk_answer *answer)
{
    bool absent = answer->reason.bytes == 9 && memcmp(answer->reason.at, "not_found", 9) == 0;
    if (place->highest >= place->next) {
        show_gap(watch, place, place->highest, "could not be replayed");
        place->next = place->highest + 1;
    } else if (!absent) {
        watch->failed = cli_exit_of(answer);
        cli_print_answer(watch->cli, answer, watch->failed);
    }
}

static void on_replay(void *user, const struct mk_answer *answer)
{
    struct watch *watch = user;
    struct place *place = place_of(watch, watch->session);
    watch->replaying = false;
    if (!place)
        return;
    if (answer->end != MK_END_DONE) {
        on_no_replay(watch, place, answer);
        return;
    }
    uint64_t before = place->next;
    json_t *data = json_of_value(answer->result);
    take_items(watch, data);
    if (cli_count(data, "head") > place->highest)
        place->highest = cli_count(data, "head");
    json_decref(data);
    if (place->next == before && place->highest >= place->next) { /* what is missing is gone */
        show_gap(watch, place, place->highest, "are no longer retained");
        place->next = place->highest + 1;
    } else if (place->highest >= place->next) {
        replay(watch, place);
    }
}

/* Asks for what is missing. What is heard meanwhile is remembered by number only, and asked for next. */
static void replay(struct watch *watch, struct place *place)
{
    char from[24];
    snprintf(from, sizeof from, "%llu", (unsigned long long)place->next);
    const struct mk_arg args[] = {{"from", from}, {"limit", "1000"}};
    struct mk_order order = {.session = place->session,
                             .op = "events",
                             .args = args,
                             .arg_count = 2,
                             .timeout_ms = watch->cli->timeout_ms,
                             .on_answer = on_replay,
                             .user = watch};
    if (!watch->replaying && mk_client_order(watch->cli->client, &order) == MK_CLIENT_OK)
        watch->replaying = true;
}

static void on_event(void *user, const struct mk_event *event)
{
    struct watch *watch = user;
    json_t *message = json_of_value(event->message);
    if (message && !(watch->session && strcmp(cli_text(message, "session"), watch->session) != 0))
        take(watch, message, true);
    json_decref(message);
}

static enum cli_exit start(struct watch *watch, uint64_t from)
{
    struct cli *cli = watch->cli;
    struct place *place = watch->session ? place_of(watch, watch->session) : NULL;
    if (mk_client_watch(cli->client, watch->session, on_event, watch) != MK_CLIENT_OK)
        return cli_fail(CLI_USAGE, "%s", mk_client_error_text(cli->client));
    if (place)
        place->next = from;
    enum cli_exit code = cli_await_hub(cli, cli->timeout_ms); /* events may come meanwhile */
    if (!code && place && from)
        replay(watch, place);
    return code;
}

enum cli_exit cli_watch(struct cli *cli)
{
    struct watch watch = {.cli = cli, .session = cli->word_count ? cli->words[0] : NULL};
    struct mk_note note;
    uint64_t from = 0;
    if (cli->word_count > 1)
        return cli_fail(CLI_USAGE, "watch wants at most one SESSION; see meerkat watch --help");
    if (cli->flags.from && !watch.session)
        return cli_fail(CLI_USAGE, "--from wants a SESSION: numbers are a session's own");
    if (cli->flags.from && args_number("--from", cli->flags.from, 1, INT64_MAX, &from, &note))
        return cli_fail(CLI_USAGE, "%s", note.text);
    if (cli->flags.count && args_number("--count", cli->flags.count, 1, INT64_MAX, &watch.shown_max, &note))
        return cli_fail(CLI_USAGE, "%s", note.text);
    enum cli_exit code = cli_open(cli);
    if (!code)
        code = start(&watch, from);
    while (!code && !watch.failed && (!watch.shown_max || watch.shown < watch.shown_max))
        mk_client_poll(cli->client, 1000);
    free(watch.places);
    return code ? code : watch.failed;
}
