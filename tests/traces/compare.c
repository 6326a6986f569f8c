#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/traces/play.h"

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static void print_into(char *out, const json_t *value)
{
    char *text = value ? json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY) : NULL;
    snprintf(out, TEXT_BYTES, "%s", text ? text : "nothing");
    free(text);
}

/* Absent values are NULL. */
static void same(struct player *player, const char *field, const char *input, json_t *want, json_t *got)
{
    struct failure *failure = &player->failure;
    struct difference difference = {field, input, want, got};
    if ((!want && !got) || (want && got && json_equal(want, got)) || failure->failed || excused(player, &difference))
        return;
    failure->failed = true;
    failure->step = player->step + 1;
    failure->op = player->op;
    failure->field = field;
    snprintf(failure->input, sizeof failure->input, "%.70s", input);
    print_into(failure->want, want);
    print_into(failure->got, got);
}

/* --- results --- */

/* `DeniedBusy` is our `denied_busy`. */
static json_t *snake(const json_t *name)
{
    char out[80];
    size_t bytes = 0;
    for (const char *at = json_string_value(name); at && *at && bytes < sizeof out - 2; at++) {
        bool capital = *at >= 'A' && *at <= 'Z';
        if (capital && bytes)
            out[bytes++] = '_';
        out[bytes++] = (char)(capital ? *at - 'A' + 'a' : *at);
    }
    out[bytes] = 0;
    return json_string(out);
}

void compare_result(struct player *player, json_t *want, json_t *got)
{
    const char *key;
    json_t *value;
    json_object_foreach(want, key, value)
    {
        char field[64];
        snprintf(field, sizeof field, "result.%.40s", key);
        json_t *ours = json_object_get(got, key), *asked = json_incref(value);
        if (strcmp(key, "verdict") == 0) {
            json_decref(asked);
            asked = snake(value);
        }
        bool any_error = strcmp(key, "error") == 0 && strcmp(json_string_value(value), "rejected") == 0 && ours;
        if (!any_error)
            same(player, strcmp(key, "policy") ? field : "policy", "", asked, ours);
        json_decref(asked);
        if (player->failure.failed) {
            player->failure.field = strcmp(key, "policy") ? "result" : "policy";
            print_into(player->failure.want, want);
            print_into(player->failure.got, got);
            return;
        }
    }
    if (json_object_get(got, "error") && !json_object_get(want, "error"))
        same(player, "result.error", "", NULL, json_object_get(got, "error"));
}

/* --- names of runs --- */

/* The trace's run, in the same place as ours, gives ours its name; one name for one run, unless a crash cut it short.
 */
static void name_run(struct player *player, json_t *want, json_t *got)
{
    const char *name = json_string_value(want), *id = json_string_value(got);
    if (!name || !id)
        return;
    bool named = json_object_get(player->runs, id), again = json_object_get(player->renamed, id);
    if (named && !again)
        return;
    const char *other;
    json_t *taken;
    json_object_foreach(player->runs, other, taken)
    {
        if (strcmp(json_string_value(taken), name) == 0)
            return;
    }
    if (named)
        json_object_set(player->former, json_string_value(json_object_get(player->runs, id)), got);
    json_object_set_new(player->runs, id, json_string(name));
    json_object_del(player->renamed, id);
}

static void name_runs(struct player *player, json_t *then)
{
    size_t at = 0, i;
    json_t *want;
    json_array_foreach(json_object_get(then, "executor"), i, want)
    {
        json_t *apply = json_object_get(want, "apply");
        if (!apply)
            continue;
        while (at < json_array_size(player->calls) && !json_object_get(json_array_get(player->calls, at), "apply"))
            at++;
        json_t *ours = json_object_get(json_array_get(player->calls, at++), "apply");
        name_run(player, json_object_get(apply, "run"), json_object_get(ours, "run"));
    }
}

/* Wherever `run` stands, the trace's name. */
static void translate(const struct player *player, json_t *value)
{
    const char *key;
    json_t *item;
    size_t i;
    json_array_foreach(value, i, item)
    {
        translate(player, item);
    }
    if (!json_is_object(value))
        return;
    json_t *name = json_object_get(player->runs, text_of(value, "run"));
    if (name)
        json_object_set(value, "run", name);
    json_object_foreach(value, key, item)
    {
        translate(player, item);
    }
}

/* --- the state --- */

static void compare_row(struct player *player, const char *name, json_t *want, json_t *got)
{
    static const char *const keys[] = {"phase", "attempts", "run", "boundary_sequence", "terminal"};
    static const char *const fields[] = {"inputs.phase", "inputs.attempts", "inputs.run", "inputs.boundary_sequence",
                                         "inputs.terminal"};
    if (json_is_null(want) || json_is_null(got)) {
        same(player, "inputs.known", name, want, got);
        return;
    }
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        json_t *asked = json_object_get(want, keys[i]);
        bool must_be_absent = i == 2 || i == 4; /* attempts and sequences are left out where they are not compared */
        if (asked || must_be_absent)
            same(player, fields[i], name, asked, json_object_get(got, keys[i]));
    }
}

/* A row is what the trace said of it last. */
static void compare_rows(struct player *player, json_t *then, json_t *rows)
{
    const char *name;
    json_t *want, *input;
    json_object_foreach(json_object_get(then, "inputs"), name, want)
    {
        input = json_object_get(player->inputs, name);
        if (input)
            json_object_set(input, "row", want);
    }
    if (json_is_null(json_object_get(then, "phase")) && !json_object_get(then, "inputs"))
        return;
    json_object_foreach(player->inputs, name, input)
    {
        json_t *got = json_object_get(rows, name);
        want = json_object_get(input, "row");
        if (got)
            compare_row(player, name, want ? want : json_null(), got);
    }
}

static bool is_soft_cancel(const json_t *call)
{
    return strcmp(text_of(call, "call"), "cancel_after_boundary") == 0;
}

/* The calls but cancels at the boundary, which are a field of their own. New reference. */
static json_t *without_soft_cancel(json_t *calls)
{
    json_t *out = json_array(), *call;
    size_t i;
    json_array_foreach(calls, i, call)
    {
        if (!is_soft_cancel(call))
            json_array_append_new(out, json_deep_copy(call));
    }
    return out;
}

/* How many. New reference. */
static json_t *soft_cancels(json_t *calls)
{
    json_int_t count = 0;
    json_t *call;
    size_t i;
    json_array_foreach(calls, i, call)
    {
        count += is_soft_cancel(call);
    }
    return json_integer(count);
}

/* What the executor was asked before the trace says so is kept until the session is back whole. */
static void compare_calls(struct player *player, json_t *then)
{
    json_t *want = without_soft_cancel(json_object_get(then, "executor")), *got = without_soft_cancel(player->calls);
    json_t *soft_want = soft_cancels(json_object_get(then, "executor")), *soft_got = soft_cancels(player->calls);
    translate(player, got);
    same(player, "executor", "", want, got);
    same(player, "executor.cancel_after_boundary", "", soft_want, soft_got);
    if (!player->coming_back)
        json_array_clear(player->calls);
    json_decref(want);
    json_decref(got);
    json_decref(soft_want);
    json_decref(soft_got);
}

static int by_input(const void *a, const void *b)
{
    return strcmp(text_of(*(json_t *const *)a, "input"), text_of(*(json_t *const *)b, "input"));
}

/* Sorted by input, without those that the source resolves early, never or otherwise. New reference. */
static json_t *sorted(const struct player *player, json_t *list)
{
    json_t *items[256], *item, *out = json_array(), *name;
    size_t count = 0, i, j;
    json_array_foreach(list, i, item)
    {
        bool compared = true;
        json_array_foreach(json_object_get(player->scenario, "completions_not_compared"), j, name)
        {
            compared &= strcmp(json_string_value(name), text_of(item, "input")) != 0;
        }
        if (compared && count < sizeof items / sizeof *items)
            items[count++] = item;
    }
    qsort(items, count, sizeof *items, by_input);
    for (i = 0; i < count; i++)
        json_array_append(out, items[i]);
    return out;
}

/* One completion to each address, and never two. New reference: those whose admission gave a waiter. */
static json_t *completions_of(struct player *player)
{
    json_t *out = json_array(), *said;
    size_t i;
    json_array_foreach(player->answers, i, said)
    {
        json_t *message = json_object_get(said, "message");
        const char *to = text_of(said, "to");
        json_t *input = strncmp(to, "w.", 2) ? NULL : json_object_get(player->inputs, to + 2);
        if (!input || strcmp(text_of(message, "t"), "completion"))
            continue;
        json_int_t count = json_integer_value(json_object_get(input, "completed")) + 1;
        json_object_set_new(input, "completed", json_integer(count));
        json_object_set(input, "outcome", json_object_get(message, "outcome"));
        if (json_is_true(json_object_get(input, "waiter")))
            json_array_append_new(
                out, json_pack("{s:s,s:O?}", "input", to + 2, "outcome", json_object_get(message, "outcome")));
    }
    return out;
}

static void compare_completions(struct player *player, json_t *then)
{
    json_t *ours = completions_of(player);
    json_t *want = sorted(player, json_object_get(then, "completions")), *got = sorted(player, ours);
    same(player, "completions", "", want, got);
    json_decref(ours);
    json_decref(want);
    json_decref(got);
}

/* Coalesced in ours, and for good; the source had not written it down. */
static void find_merged(struct player *player, json_t *then)
{
    const char *name;
    json_t *want;
    json_object_foreach(json_object_get(then, "inputs"), name, want)
    {
        json_t *before = json_object_get(json_object_get(player->inputs, name), "was");
        bool active = strcmp(text_of(want, "phase"), "queued") == 0;
        if (player->crashed && active && before && strcmp(json_string_value(before), "coalesced") == 0)
            json_object_set_new(player->merged, name, json_true());
    }
}

void compare_state(struct player *player, json_t *then, json_t *state)
{
    static const char *const plain[] = {"phase", "registered", "has_executor", "active"};
    json_t *named = json_deep_copy(state);
    find_merged(player, then);
    name_runs(player, then);
    translate(player, named);
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        same(player, plain[i], "", json_object_get(then, plain[i]), json_object_get(named, plain[i]));
    same(player, "running", "", json_object_get(then, "running"), json_object_get(named, "running"));
    compare_rows(player, then, json_object_get(named, "inputs"));
    compare_calls(player, then);
    compare_completions(player, then);
    json_decref(named);
}

/* --- P1, whatever the source does with its waiters: one completion, with the true outcome, for each input that is over
 * --- */

static bool fits(const char *phase, const char *reason, const char *outcome)
{
    if (strcmp(phase, "consumed") == 0)
        return strncmp(outcome, "completed", 9) == 0 || strcmp(outcome, "callback_pending") == 0;
    if (strcmp(phase, "abandoned") == 0 && strcmp(reason, "cancelled") == 0)
        return strcmp(outcome, "cancelled") == 0;
    if (strcmp(phase, "abandoned") == 0)
        return strcmp(outcome, "runtime_terminated") == 0 || strcmp(outcome, "abandoned_with_error") == 0;
    return strcmp(phase, outcome) == 0;
}

void compare_end(struct player *player)
{
    const char *name;
    json_t *input;
    if (player->crashed) /* the addresses of waiters die with their node, as the source's do */
        return;
    json_object_foreach(player->inputs, name, input)
    {
        json_t *row = json_object_get(json_object_get(player->state, "inputs"), name);
        json_t *terminal = json_object_get(row, "terminal"), *count = json_object_get(input, "completed");
        json_t *one = json_integer(terminal != NULL);
        if (json_is_object(row))
            same(player, "completions.count", name, one, count);
        if (terminal && !fits(text_of(row, "phase"), text_of(terminal, "reason"), text_of(input, "outcome")))
            same(player, "completions.outcome", name, terminal, json_object_get(input, "outcome"));
        json_decref(one);
    }
}
