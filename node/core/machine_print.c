#include "node/core/machine_print.h"

#include "node/core/machine_rows.h"

#include <assert.h>
#include <stdio.h>

static const char *const phase_titles[PHASE_COUNT] = {"Initializing", "Idle",    "Attached", "Running",
                                                      "Retired",      "Stopped", "Destroyed"};

static const char *const guard_words[MACHINE_GUARD_COUNT] = {
#define X(word) [word] = #word,
    MACHINE_GUARDS(X)
#undef X
};

static const char *const update_words[MACHINE_UPDATE_COUNT] = {
#define X(word) [word] = #word,
    MACHINE_UPDATES(X)
#undef X
};

/* Appends one more name to a list, after a comma unless it is the first. */
static void add(char *list, size_t room, const char *sign, const char *name)
{
    size_t used = strlen(list);
    int more = snprintf(list + used, room - used, "%s%s%s", used ? "," : "", sign, name);
    assert(more > 0 && (size_t)more < room - used);
}

static void close_list(char *list, size_t room)
{
    if (!*list)
        add(list, room, "", "-");
}

static void describe_from(unsigned from, char *list, size_t room)
{
    for (enum phase phase = PHASE_INITIALIZING; phase < PHASE_COUNT; phase++)
        if (from & 1u << phase)
            add(list, room, "", phase_titles[phase]);
}

static void describe_guards(const struct machine_row *row, char *list, size_t room)
{
    for (size_t i = 0; i < MACHINE_GUARDS_MAX && row->guards[i] != always; i++)
        if (row->guards[i] < 0)
            add(list, room, "!", guard_words[-row->guards[i]]);
        else
            add(list, room, "", guard_words[row->guards[i]]);
    close_list(list, room);
}

static void describe_updates(const struct machine_row *row, char *list, size_t room)
{
    for (size_t i = 0; i < MACHINE_UPDATES_MAX && row->updates[i] != nothing; i++)
        add(list, room, "", update_words[row->updates[i]]);
    close_list(list, room);
}

static void describe_effects(const struct machine_row *row, char *list, size_t room)
{
    for (size_t i = 0; i < MACHINE_EFFECTS_MAX && row->effects[i] != FX_NONE; i++)
        add(list, room, "", machine_effect_name((enum machine_effect)row->effects[i]));
    close_list(list, room);
}

static const char *title_of(unsigned to)
{
    switch (to) {
    case Same:
        return "=";
    case Pre:
        return "pre_run";
    case Asked:
        return "given";
    default:
        break;
    }
    enum phase phase = PHASE_INITIALIZING;
    while (1u << phase != to)
        phase++;
    return phase_titles[phase];
}

bool machine_row_describe(size_t row, struct machine_row_text *out)
{
    memset(out, 0, sizeof *out);
    if (row >= machine_row_count())
        return false;
    const struct machine_row *from = &machine_rows[row];
    out->input = machine_input_name(from->input);
    out->to = title_of(from->to);
    describe_from(from->from, out->from, sizeof out->from);
    describe_guards(from, out->guards, sizeof out->guards);
    describe_updates(from, out->updates, sizeof out->updates);
    describe_effects(from, out->effects, sizeof out->effects);
    return true;
}
