/* What cannot be equal because we decided otherwise. A row covers one field and nothing else; what it excused is
 * counted by scenarios. */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/traces/play.h"

enum when { ALWAYS, COMING_BACK, STOP_SURVIVED, LEFT_STORELESS, MERGED, RENAMED, WHEN_COUNT };

struct excuse {
    const char *scenarios, *ops;    /* patterns of the shell */
    const char *field, *want, *got; /* got and want: of the values as JSON */
    enum when when;
    const char *decision, *why;
};

#define D_BACK   "D17, P8"
#define D_RUN    "rule 3"
#define D_STOP   "D18"
#define D_LEFT   "D14"
#define D_MERGED "rule 1"

/* clang-format off */
static const struct excuse excuses[] = {
    /* scenarios, operations, field, want, got, when, decision, why */
    {"*", "*", "phase", "\"idle\"", "*", COMING_BACK, D_BACK, "a new owner brings the session back with its executor"},
    {"*", "register", "phase", "\"stopped\"", "\"idle\"", COMING_BACK, "D5", "registering a stopped session again revives it"},
    {"*", "*", "has_executor", "false", "true", COMING_BACK, D_BACK, "the same"},
    {"*", "attach", "result.error", "\"validation_failed\"", "nothing", COMING_BACK, D_BACK, "the executor of a retired session is there already, and drains it"},
    {"*", "*", "running", "nothing", "*", COMING_BACK, D_RUN, "recovery first runs exactly what was cut short"},
    {"*", "*", "inputs.phase", "\"queued\"", "\"staged\"", COMING_BACK, D_RUN, "its inputs are staged again"},
    {"*", "*", "inputs.run", "*", "*", COMING_BACK, D_RUN, "they keep their run"},
    {"*", "*", "executor", "*", "*", COMING_BACK, D_RUN, "the executor is asked before the attach; compared there"},

    {"*", "*", "inputs.run", "*", "*", RENAMED, "P6", "what was injected before the crash, too"},

    {"*", "cancel_after_boundary", "executor.cancel_after_boundary", "0", "1", ALWAYS, "section 7", "an executor is told while it can still end its run"},
    {"*", "finish",                "executor.cancel_after_boundary", "1", "0", ALWAYS, "section 7", "and is not told again when the run is over"},

    {"*", "destroy",  "running", "*", "nothing", ALWAYS, "a run that is left behind", "it is cancelled, and ours no more"},
    {"*", "reset",    "running", "*", "nothing", ALWAYS, "a run that is left behind", "it is cancelled, and ours no more"},
    {"*", "cp_reset", "running", "*", "nothing", ALWAYS, "a run that is left behind", "it is cancelled, and ours no more"},
    {"*", "destroy",  "executor", "\\[\\]", "*", ALWAYS, "a run that is left behind", "the executor is told so"},
    {"*", "reset",    "executor", "\\[\\]", "*", ALWAYS, "a run that is left behind", "the executor is told so"},
    {"*", "cp_reset", "executor", "\\[\\]", "*", ALWAYS, "a run that is left behind", "the executor is told so"},

    {"*", "*", "inputs.known", "*", "*", LEFT_STORELESS, D_LEFT, "what is over is remembered, without a store too"},

    {"*", "*", "phase", "*", "*", STOP_SURVIVED, D_STOP, "a stop that was answered is carried out by the next owner"},
    {"*", "*", "has_executor", "*", "*", STOP_SURVIVED, D_STOP, "the same"},
    {"*", "*", "active", "*", "*", STOP_SURVIVED, D_STOP, "the same"},
    {"*", "*", "running", "*", "*", STOP_SURVIVED, D_STOP, "the same"},
    {"*", "*", "inputs.phase", "*", "*", STOP_SURVIVED, D_STOP, "the same"},
    {"*", "*", "inputs.run", "*", "*", STOP_SURVIVED, D_STOP, "the same"},
    {"*", "*", "inputs.terminal", "*", "*", STOP_SURVIVED, D_STOP, "the same"},
    {"*", "*", "inputs.boundary_sequence", "*", "*", STOP_SURVIVED, D_STOP, "the same"},
    {"*", "*", "executor", "*", "*", STOP_SURVIVED, D_STOP, "the same"},
    {"*", "*", "result.*", "*", "*", STOP_SURVIVED, D_STOP, "the same"},

    {"*", "*", "active", "*", "*", MERGED, D_MERGED, "what was coalesced stays so over a crash"},
    {"*", "*", "running", "*", "*", MERGED, D_MERGED, "the same"},
    {"*", "*", "executor", "*", "*", MERGED, D_MERGED, "the same"},
    {"*", "*", "completions", "*", "*", MERGED, D_MERGED, "the same"},
    {"*", "*", "inputs.phase", "*", "*", MERGED, D_MERGED, "the same"},
    {"*", "*", "inputs.run", "*", "*", MERGED, D_MERGED, "the same"},
    {"*", "*", "inputs.terminal", "*", "*", MERGED, D_MERGED, "the same"},
    {"*", "*", "inputs.boundary_sequence", "*", "*", MERGED, D_MERGED, "the same"},
};
/* clang-format on */

static const char *text_of(const json_t *value)
{
    const char *text = json_string_value(value);
    return text ? text : "";
}

#define EXCUSES (sizeof excuses / sizeof *excuses)

static struct {
    size_t scenarios;
    const json_t *last; /* the scenario that was counted last */
} counts[EXCUSES];

/* The value without the inputs that the source brought back. New reference. */
static json_t *without_merged(const struct player *player, const json_t *value)
{
    json_t *out = json_is_array(value) ? json_array() : json_is_object(value) ? json_object() : json_deep_copy(value);
    const char *key;
    json_t *item;
    size_t i;
    json_array_foreach(value, i, item)
    {
        const char *name = json_string_value(json_is_object(item) ? json_object_get(item, "input") : item);
        if (!name || !json_object_get(player->merged, name))
            json_array_append_new(out, without_merged(player, item));
    }
    if (json_is_object(value))
        json_object_foreach((json_t *)(uintptr_t)value, key, item)
        {
            json_object_set_new(out, key, without_merged(player, item));
        }
    return out;
}

/* The difference lies in nothing but those inputs. */
static bool only_merged(const struct player *player, const struct difference *difference)
{
    if (difference->input[0])
        return json_object_get(player->merged, difference->input) != NULL;
    json_t *want = without_merged(player, difference->want), *got = without_merged(player, difference->got);
    bool equal = want && got && json_equal(want, got);
    json_decref(want);
    json_decref(got);
    return equal;
}

/* One run of ours, which the source ran under two names. */
static bool renamed(const struct player *player, const struct difference *difference)
{
    json_t *id = json_object_get(player->former, text_of(difference->want));
    json_t *name = json_object_get(player->runs, text_of(id));
    return name && json_equal(name, difference->got);
}

static bool holds(const struct player *player, const struct difference *difference, enum when when)
{
    switch (when) {
    case ALWAYS:
        return true;
    case COMING_BACK:
        return player->coming_back;
    case STOP_SURVIVED:
        return player->stop_survived;
    case LEFT_STORELESS:
        return player->left_storeless;
    case MERGED:
        return only_merged(player, difference);
    case RENAMED:
        return renamed(player, difference);
    case WHEN_COUNT:
        break;
    }
    return false;
}

static bool matches(const char *pattern, const json_t *value)
{
    char *text = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    bool matched = fnmatch(pattern, text ? text : "nothing", 0) == 0;
    free(text);
    return matched;
}

static bool covers(const struct excuse *excuse, const struct player *player, const struct difference *difference)
{
    const char *name = json_string_value(json_object_get(player->scenario, "name"));
    return fnmatch(excuse->field, difference->field, 0) == 0 && fnmatch(excuse->scenarios, name ? name : "", 0) == 0 &&
           fnmatch(excuse->ops, player->op, 0) == 0 && matches(excuse->want, difference->want) &&
           matches(excuse->got, difference->got) && holds(player, difference, excuse->when);
}

bool excused(const struct player *player, const struct difference *difference)
{
    for (size_t i = 0; i < EXCUSES; i++) {
        if (!covers(&excuses[i], player, difference))
            continue;
        counts[i].scenarios += counts[i].last != player->scenario;
        counts[i].last = player->scenario;
        return true;
    }
    return false;
}

void excuses_print(void)
{
    static const char *const whens[WHEN_COUNT] = {
        [ALWAYS] = "",
        [COMING_BACK] = "between a crash and the attach: ",
        [STOP_SURVIVED] = "after a crash over a deferred stop: ",
        [LEFT_STORELESS] = "after a storeless unregister: ",
        [RENAMED] = "of a run that a crash cut short: ",
        [MERGED] = "after a crash, of inputs coalesced before: ",
    };
    printf("excused, because we decided otherwise (scenarios, field, operation):\n");
    for (size_t i = 0; i < EXCUSES; i++)
        printf("  %4zu  %-30s %-22s %s%s (%s)\n", counts[i].scenarios, excuses[i].field, excuses[i].ops,
               whens[excuses[i].when], excuses[i].why, excuses[i].decision);
}
