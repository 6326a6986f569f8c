#include "tests/traces/play.h"

#include <stdio.h>
#include <string.h>

#include "node/core/policy.h"

#define PEER_ID    "11111111-1111-4111-8111-111111111111"
#define REQUEST_ID "22222222-2222-4222-8222-222222222222"

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

json_t *play_answer(const struct player *player, const char *client)
{
    size_t i;
    json_t *said;
    json_array_foreach(player->answers, i, said)
    {
        if (strcmp(text_of(said, "to"), client) == 0)
            return json_object_get(said, "message");
    }
    return NULL;
}

/* What was said goes to the step's answers; completions stay there until compared. */
static void settle(struct player *player)
{
    world_settle(player->world);
    json_t *heard = world_heard(player->world);
    json_array_extend(player->answers, heard);
    json_decref(heard);
    json_t *asked = world_asked(player->world);
    json_array_extend(player->calls, asked);
    json_decref(asked);
}

/* --- commands --- */

json_t *play_command(struct player *player, const char *op, json_t *args)
{
    char client[24];
    snprintf(client, sizeof client, "c%u", ++player->asked);
    json_t *message = json_pack("{s:i,s:s,s:s,s:s,s:s,s:s}", "v", 1, "t", "command", "id", client, "session",
                                WORLD_SESSION, "op", op, "reply_to", client);
    if (args)
        json_object_set_new(message, "args", args);
    world_send(player->world, "ctl", message);
    settle(player);
    json_t *answer = play_answer(player, client);
    if (!answer)
        return json_pack("{s:s}", "error", "no answer");
    if (json_is_true(json_object_get(answer, "ok"))) {
        json_t *data = json_object_get(answer, "data");
        json_t *result = data ? json_copy(data) : json_object();
        json_object_set_new(result, "ok", json_true());
        return result;
    }
    json_t *error = json_object_get(answer, "error");
    json_t *result = json_pack("{s:O?}", "error", json_object_get(error, "code"));
    if (json_object_get(error, "phase"))
        json_object_set(result, "phase", json_object_get(error, "phase"));
    return result;
}

/* The operation's name on our wire. */
static const char *op_of(const char *op)
{
    static const char *const names[][2] = {
        {"cp_retire", "retire"},      {"cp_reset", "reset"},      {"cp_state", "state"},
        {"hard_cancel", "interrupt"}, {"wake_if_active", "wake"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(op, names[i][0]) == 0)
            return names[i][1];
    return op;
}

static json_t *args_of(const json_t *step, const char *op)
{
    if (strcmp(op, "silent_intents") == 0)
        return json_pack("{s:O?}", "intents", json_object_get(step, "intents"));
    if (strcmp(op, "transcript_edit") == 0)
        return json_pack("{s:b,s:b}", "running", json_is_true(json_object_get(step, "running")), "active_inputs",
                         json_is_true(json_object_get(step, "active")));
    return NULL;
}

/* --- inputs --- */

static void put(json_t *to, const char *key, const char *text)
{
    json_object_set_new(to, key, json_string(text));
}

/* What the trace's form leaves out and our wire wants. */
static void put_needs(json_t *message, const json_t *step)
{
    const char *kind = text_of(step, "kind");
    bool response = strncmp(kind, "peer_response", 13) == 0, request = strcmp(kind, "peer_request") == 0;
    json_t *request_id = json_object_get(step, "request_id");
    if (strcmp(text_of(step, "origin"), "peer") == 0) {
        put(message, "peer_id", PEER_ID);
        put(message, "peer_name", "peer");
    }
    if (request_id)
        json_object_set(message, "request_id", request_id);
    else if (response || request)
        put(message, "request_id", REQUEST_ID);
    if (request)
        put(message, "intent", *text_of(step, "intent") ? text_of(step, "intent") : "ask");
    if (response)
        put(message, "status", strcmp(kind, "peer_response_terminal") == 0 ? "completed" : "accepted");
    if (strcmp(kind, "external_event") == 0)
        put(message, "event_type", "tick");
    if (strcmp(kind, "flow_step") == 0)
        put(message, "step_id", "step");
    if (strcmp(kind, "operation") == 0)
        put(message, "operation_id", "operation");
}

static json_t *message_of(const json_t *step, const char *client)
{
    static const char *const same[][2] = {
        {"kind", "kind"},    {"origin", "origin"},       {"lane", "handling"}, {"durability", "durability"},
        {"key", "idem"},     {"supersede", "supersede"}, {"wake", "wake"},     {"continuation_kind", "continuation"},
        {"status", "status"}};
    json_t *message = json_pack("{s:i,s:s,s:s,s:s,s:s,s:O?}", "v", 1, "t", "input", "session", WORLD_SESSION,
                                "reply_to", client, "body", "hello", "id", json_object_get(step, "as"));
    put_needs(message, step);
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        if (json_object_get(step, same[i][0]))
            json_object_set(message, same[i][1], json_object_get(step, same[i][0]));
    return message;
}

static bool terminal(const char *phase)
{
    return *phase && strcmp(phase, "queued") && strcmp(phase, "staged") && strcmp(phase, "applied");
}

/* The policy is not on the wire: as the ledger holds it, or what the core's table says of an input that is over already
 * (an operation, an input that was injected). */
static struct policy policy_held(const struct player *player, const json_t *step)
{
    const struct session *session = world_session(player->world);
    const struct entry *entry = session ? ledger_by_id(&session->core.ledger, span_of(text_of(step, "as"))) : NULL;
    struct mk_input input = {.kind = mk_kind_parse(span_of(text_of(step, "kind"))),
                             .handling = mk_handling_parse(span_of(text_of(step, "lane"))),
                             .wake = !json_is_false(json_object_get(step, "wake"))};
    if (entry)
        return entry->policy;
    if (input.handling == MK_HANDLING_COUNT)
        input.handling = MK_HANDLING_NONE;
    bool busy = player->running != NULL;
    return policy_of(&input, busy, busy, false);
}

static json_t *policy_seen(const struct player *player, const json_t *step)
{
    struct policy policy = policy_held(player, step);
    return json_pack("{s:s,s:s,s:s,s:b,s:i,s:s,s:b,s:s,s:s}", "apply_mode", apply_mode_name(policy.apply),
                     "consume_point", consume_point_name(policy.consume), "drain_policy",
                     drain_policy_name(policy.drain), "emit_operator_content", policy.record_transcript,
                     "policy_version", POLICY_VERSION, "queue_mode", queue_mode_name(policy.queue), "record_transcript",
                     policy.record_transcript, "routing_disposition", routing_name(policy.routing), "wake_mode",
                     wake_mode_name(policy.wake));
}

/* A waiter is there when the call gives one and the input, or the one that stands for it, is not over: its completion
 * comes to the same address. */
static json_t *admission_result(const struct player *player, const json_t *step, json_t *answer)
{
    const char *phase = text_of(answer, "phase"), *outcome = text_of(answer, "outcome");
    bool wake = !json_is_false(json_object_get(step, "wake"));
    if (strcmp(outcome, "rejected") == 0)
        return json_pack("{s:s,s:s}", "error", text_of(answer, "reason"), "phase", phase);
    json_t *result = json_pack("{s:s,s:s,s:b}", "outcome", outcome, "phase", phase, "waiter", wake && !terminal(phase));
    if (strcmp(outcome, "deduplicated") == 0)
        json_object_set(result, "existing", json_object_get(answer, "existing"));
    else
        json_object_set_new(result, "policy", policy_seen(player, step));
    return result;
}

/* The control plane's door: no waiter, and the outcome as a result. The input is an argument of the command. */
static json_t *play_ingest(struct player *player, const json_t *step)
{
    json_object_set_new(player->inputs, text_of(step, "as"),
                        json_pack("{s:b,s:b,s:i}", "waiter", false, "over", false, "completed", 0));
    json_t *input = message_of(step, "nobody");
    json_object_del(input, "reply_to");
    return play_command(player, "ingest", json_pack("{s:o}", "input", input));
}

static json_t *play_input(struct player *player, const json_t *step)
{
    const char *name = text_of(step, "as");
    char client[80];
    snprintf(client, sizeof client, "w.%.70s", name);
    json_t *input = json_pack("{s:b,s:b,s:i}", "waiter", false, "over", false, "completed", 0);
    json_object_set_new(player->inputs, name, input);
    world_send(player->world, "in", message_of(step, client));
    settle(player);
    json_t *answer = play_answer(player, client);
    if (!answer)
        return json_pack("{s:s}", "error", "no answer");
    json_t *result = admission_result(player, step, answer);
    json_object_set_new(input, "waiter", json_boolean(json_is_true(json_object_get(result, "waiter"))));
    return result;
}

/* --- steps --- */

/* The process dies. A new one comes with the next step: until then nobody answers. */
static json_t *play_crash(struct player *player)
{
    if (player->running)
        json_object_set_new(player->renamed, player->running, json_true());
    const struct session *session = world_session(player->world);
    player->stop_survived |= session && session->core.machine.stop_deferred;
    world_crash(player->world);
    player->crashed = player->coming_back = true;
    json_array_clear(player->calls);
    json_t *input;
    const char *key;
    json_object_foreach(player->inputs, key, input)
    {
        json_t *phase = json_object_get(json_object_get(input, "row"), "phase");
        if (phase)
            json_object_set(input, "was", phase);
        json_object_del(input, "row");
    }
    return json_pack("{s:b}", "ok", true);
}

/* The source gives a retired session no executor; ours has kept it, and goes on with its backlog. */
static bool stays_away(const struct player *player)
{
    json_t *step = json_array_get(json_object_get(player->scenario, "steps"), player->step);
    return player->coming_back && json_object_get(json_object_get(step, "result"), "error");
}

static json_t *play_op(struct player *player, const json_t *step)
{
    const char *op = player->op;
    if (strcmp(op, "crash") == 0)
        return play_crash(player);
    if (strcmp(op, "finish") == 0) {
        bool done = world_finish(player->world, text_of(step, "with"));
        settle(player);
        return done ? json_pack("{s:b}", "ok", true) : json_pack("{s:s}", "error", "nothing is being applied");
    }
    if (strcmp(op, "accept") == 0)
        return play_input(player, step);
    if (strcmp(op, "ingest") == 0)
        return play_ingest(player, step);
    if (strcmp(op, "attach") == 0)
        player->coming_back = stays_away(player);
    if (strcmp(op, "unregister") == 0)
        player->left_storeless |= strcmp(text_of(player->scenario, "store"), "none") == 0;
    return play_command(player, op_of(op), args_of(step, op));
}

static void play_step(struct player *player, json_t *step, bool last)
{
    json_t *then = json_object_get(step, "then");
    player->op = text_of(json_object_get(step, "do"), "op");
    if (!world_alive(player->world)) {
        world_start(player->world);
        settle(player);
        json_array_clear(player->answers);
    }
    json_t *result = play_op(player, json_object_get(step, "do"));
    compare_result(player, json_object_get(step, "result"), result);
    json_decref(result);
    json_t *state = look(player, last);
    compare_state(player, then, state);
    json_decref(player->state);
    player->state = state;
    player->running = json_string_value(json_object_get(json_object_get(state, "running"), "run"));
    json_array_clear(player->answers);
}

bool play(json_t *scenario, struct failure *failure)
{
    struct player player = {.scenario = scenario};
    player.world = world_new(strcmp(text_of(scenario, "store"), "none") != 0,
                             json_is_true(json_object_get(scenario, "live_boundary")));
    json_t *steps = json_object_get(scenario, "steps"), *step;
    player.inputs = json_object();
    player.runs = json_object();
    player.renamed = json_object();
    player.merged = json_object();
    player.former = json_object();
    player.answers = json_array();
    player.calls = json_array();
    json_array_foreach(steps, player.step, step)
    {
        play_step(&player, step, player.step + 1 == json_array_size(steps));
        if (player.failure.failed)
            break;
    }
    if (!player.failure.failed)
        compare_end(&player);
    *failure = player.failure;
    json_decref(player.state);
    json_decref(player.inputs);
    json_decref(player.runs);
    json_decref(player.renamed);
    json_decref(player.merged);
    json_decref(player.former);
    json_decref(player.answers);
    json_decref(player.calls);
    world_free(player.world);
    return !failure->failed;
}
