/* The state as anybody sees it: queries over the wire, in the form of a trace's `then`. */
#include <stdio.h>
#include <string.h>

#include "tests/traces/play.h"

static bool is(const json_t *object, const char *key, const char *text)
{
    const char *value = json_string_value(json_object_get(object, key));
    return value && strcmp(value, text) == 0;
}

static void copy(json_t *to, const char *key, const json_t *from, const char *from_key)
{
    json_t *value = json_object_get(from, from_key);
    bool empty = !value || json_is_null(value) || (json_is_string(value) && !json_string_length(value));
    if (!empty)
        json_object_set(to, key, value);
}

static json_t *terminal_of(const json_t *data)
{
    json_t *terminal = json_object();
    copy(terminal, "outcome_type", data, "phase");
    if (is(data, "phase", "abandoned"))
        copy(terminal, "reason", data, "reason");
    copy(terminal, is(data, "phase", "superseded") ? "superseded_by" : "aggregate_id",
         json_object_get(data, "completion"), "aggregate");
    return terminal;
}

/* null: nothing is known of it. */
static json_t *row_of(struct player *player, const char *name, json_t *input)
{
    json_t *data = play_command(player, "input_state", json_pack("{s:s}", "id", name));
    bool known = json_is_true(json_object_get(data, "ok"));
    bool over = known && json_object_get(data, "outcome");
    json_t *row = known ? json_object() : json_null();
    json_object_set_new(input, "over", json_boolean(over));
    if (known) {
        copy(row, "phase", data, "phase");
        copy(row, "attempts", data, "attempts");
        copy(row, "run", data, "run");
    }
    if (over) {
        json_t *receipt = json_object_get(json_object_get(data, "completion"), "receipt");
        json_object_set_new(row, "terminal", terminal_of(data));
        copy(row, "boundary_sequence", receipt, "sequence");
    }
    json_decref(data);
    return row;
}

/* What is over cannot change: it is looked at when the trace speaks of it, and at the end. */
static json_t *rows_of(struct player *player, const json_t *then, bool every)
{
    json_t *rows = json_object(), *input;
    const char *name;
    json_object_foreach(player->inputs, name, input)
    {
        bool over = json_is_true(json_object_get(input, "over"));
        if (every || !over || json_object_get(json_object_get(then, "inputs"), name))
            json_object_set_new(rows, name, row_of(player, name, input));
    }
    return rows;
}

static void put_running(json_t *state, const json_t *shown)
{
    json_t *run = json_object_get(shown, "run");
    if (json_is_object(run))
        json_object_set_new(
            state, "running",
            json_pack("{s:O?,s:O?}", "run", json_object_get(run, "id"), "inputs", json_object_get(run, "inputs")));
}

json_t *look(struct player *player, bool every)
{
    if (!world_alive(player->world))
        return json_pack("{s:n,s:b,s:b,s:[],s:{}}", "phase", "registered", false, "has_executor", false, "active",
                         "inputs");
    json_t *step = json_array_get(json_object_get(player->scenario, "steps"), player->step);
    json_t *shown = play_command(player, "show", NULL), *phase = play_command(player, "state", NULL);
    json_t *listed = play_command(player, "list_active_inputs", NULL);
    bool known = json_is_true(json_object_get(shown, "ok"));
    json_t *active = json_object_get(listed, "inputs");
    json_t *state =
        json_pack("{s:b,s:b,s:o}", "registered", known, "has_executor", known && is(shown, "registration", "active"),
                  "active", active ? json_incref(active) : json_array());
    json_object_set(state, "phase",
                    json_is_true(json_object_get(phase, "ok")) ? json_object_get(phase, "phase") : json_null());
    put_running(state, shown);
    json_object_set_new(state, "inputs", rows_of(player, json_object_get(step, "then"), every));
    json_decref(shown);
    json_decref(phase);
    json_decref(listed);
    return state;
}
