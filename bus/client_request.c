/* Requests: what the caller gave is checked and copied into one pending request, with one allocation for all its texts.
 */
#include <errno.h>
#include <stdlib.h>

#include "bus/client.h"
#include "node/core/crc16.h"

#define KEYS_BYTES_MAX 4096 /* all keys of a message but its body, with every text at its limit */
#define COUNT(list)    (sizeof(list) / sizeof *(list))

/* Copies texts one behind the other; only measures while `at` is NULL. */
struct store {
    char *at;
    size_t used;
};

static struct span keep(struct store *store, struct span text)
{
    char *to = store->at ? store->at + store->used : NULL;
    if (!text.at)
        return text;
    store->used += text.bytes + 1; /* an empty text that is present keeps an address */
    if (!to)
        return text;
    if (text.bytes)
        memcpy(to, text.at, text.bytes);
    return (struct span){to, text.bytes};
}

static enum mk_client_error invalid(struct mk_client *client, const char *what, const char *value, const char *wanted)
{
    err_set(&client->note, MK_ERR_INVALID_FIELD, "%s `%.80s`: wanted %s", what, value ? value : "", wanted);
    return MK_CLIENT_INVALID;
}

enum mk_client_error client__check_size(struct mk_client *client, const char *what, size_t bytes)
{
    size_t most = client->frame_bytes_max - KEYS_BYTES_MAX;
    if (bytes <= most)
        return MK_CLIENT_OK;
    err_set(&client->note, MK_ERR_TOO_LARGE, "the %s is %zu bytes: at most %zu fit a frame", what, bytes, most);
    return MK_CLIENT_TOO_LARGE;
}

/* --- inputs --- */

/* The texts of an input that are copied as they are. */
static const struct text_key {
    const char *name;
    size_t from, to;
} text_keys[] = {
#define KEY(name)                                                                                                      \
    {                                                                                                                  \
#name, offsetof(struct mk_send, name), offsetof(struct mk_input, name)                                         \
    }
    KEY(idem),      KEY(supersede),  KEY(corr),   KEY(after),      KEY(executor), KEY(peer_id),
    KEY(peer_name), KEY(request_id), KEY(intent), KEY(event_type), KEY(step_id),  KEY(operation_id),
#undef KEY
};

static const char *text_at(const void *base, size_t offset)
{
    const char *text;
    memcpy(&text, (const char *)base + offset, sizeof text);
    return text;
}

static void set_span(void *base, size_t offset, struct span value)
{
    memcpy((char *)base + offset, &value, sizeof value);
}

/* Whether a name was given that names nothing. */
#define NAMES_NOTHING(text, parse, count) ((text) && parse(span_of(text)) == (count))

static enum mk_client_error check_send(struct mk_client *client, const struct mk_send *send)
{
    if (!send->session || !session_id_valid(span_of(send->session)))
        return invalid(client, "session", send->session, "1..128 bytes of [A-Za-z0-9._:-]");
    if (NAMES_NOTHING(send->kind, mk_kind_parse, MK_KIND_COUNT))
        return invalid(client, "kind", send->kind,
                       "prompt, peer_message, peer_request, peer_response_progress, peer_response_terminal, flow_step, "
                       "external_event, continuation or operation");
    if (NAMES_NOTHING(send->handling, mk_handling_parse, MK_HANDLING_COUNT))
        return invalid(client, "handling", send->handling, "queue or steer");
    if (NAMES_NOTHING(send->durability, mk_durability_parse, MK_DURABILITY_COUNT))
        return invalid(client, "durability", send->durability, "durable, ephemeral or derived");
    if (NAMES_NOTHING(send->origin, mk_origin_parse, MK_ORIGIN_COUNT))
        return invalid(client, "origin", send->origin, "operator, peer, flow, system or external");
    if (NAMES_NOTHING(send->status, mk_status_parse, MK_STATUS_COUNT))
        return invalid(client, "status", send->status, "accepted, completed, failed or cancelled");
    if (NAMES_NOTHING(send->continuation, mk_continuation_parse, MK_CONTINUATION_COUNT))
        return invalid(client, "continuation", send->continuation, "ordinary or workgraph_attention");
    for (size_t i = 0; i < COUNT(text_keys); i++) {
        const char *text = text_at(send, text_keys[i].from);
        if (text && (!*text || strlen(text) > MESSAGE_ID_BYTES_MAX))
            return invalid(client, text_keys[i].name, text, "1..64 bytes");
    }
    return client__check_size(client, "body", send->body.bytes);
}

static void fill_input(struct mk_client *client, const struct mk_send *send, struct store *store, struct mk_input *out)
{
    *out = (struct mk_input){
        .session = keep(store, span_of(send->session)),
        .kind = send->kind ? mk_kind_parse(span_of(send->kind)) : MK_PROMPT,
        .body = keep(store, span_from(send->body)),
        .durability = send->durability ? mk_durability_parse(span_of(send->durability)) : MK_DURABLE,
        .origin = send->origin ? mk_origin_parse(span_of(send->origin)) : MK_EXTERNAL,
        .handling = send->handling ? mk_handling_parse(span_of(send->handling)) : MK_HANDLING_NONE,
        .status = send->status ? mk_status_parse(span_of(send->status)) : MK_STATUS_NONE,
        .continuation = send->continuation ? mk_continuation_parse(span_of(send->continuation)) : MK_ORDINARY,
        .reply_to = id_span(&client->id),
        .deadline_ms = send->deadline_ms,
        .wake = !send->no_wake,
        .transcript_eligible = true,
        .operator_eligible = true,
    };
    for (size_t i = 0; i < COUNT(text_keys); i++)
        set_span(out, text_keys[i].to, keep(store, span_of(text_at(send, text_keys[i].from))));
}

/* --- commands --- */

enum arg_type { ARG_TEXT, ARG_NUMBER, ARG_BOOL };

static const struct arg_key {
    const char *name;
    enum arg_type type;
    size_t to;
} arg_keys[] = {
#define KEY(name, type)                                                                                                \
    {                                                                                                                  \
#name, type, offsetof(struct mk_args, name)                                                                    \
    }
    KEY(id, ARG_TEXT),           KEY(idem, ARG_TEXT),    KEY(run, ARG_TEXT),           KEY(reason, ARG_TEXT),
    KEY(executor, ARG_TEXT),     KEY(epoch, ARG_TEXT),   KEY(incarnation, ARG_TEXT),   KEY(kind, ARG_TEXT),
    KEY(cursor, ARG_TEXT),       KEY(from, ARG_NUMBER),  KEY(limit, ARG_NUMBER),       KEY(sequence, ARG_NUMBER),
    KEY(timeout_ms, ARG_NUMBER), KEY(running, ARG_BOOL), KEY(active_inputs, ARG_BOOL),
#undef KEY
};

static const struct arg_key *arg_key_of(const char *name)
{
    for (size_t i = 0; i < COUNT(arg_keys); i++)
        if (strcmp(arg_keys[i].name, name) == 0)
            return &arg_keys[i];
    return NULL;
}

static bool number_of(const char *text, uint64_t *out)
{
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    *out = value;
    return *text >= '0' && *text <= '9' && !*end && errno == 0;
}

static enum mk_client_error check_arg(struct mk_client *client, const struct mk_arg *arg)
{
    uint64_t number;
    const struct arg_key *key = arg_key_of(arg->key);
    bool truth = strcmp(arg->value, "true") == 0 || strcmp(arg->value, "false") == 0;
    if (!key && strcmp(arg->key, "intents") != 0)
        return invalid(client, "argument", arg->key,
                       "id, idem, run, reason, executor, epoch, incarnation, kind, cursor, from, limit, sequence, "
                       "timeout_ms, running, "
                       "active_inputs, intents or (a JSON object) input");
    if (key && key->type == ARG_NUMBER && !number_of(arg->value, &number))
        return invalid(client, arg->key, arg->value, "a whole number");
    if (key && key->type == ARG_BOOL && !truth)
        return invalid(client, arg->key, arg->value, "true or false");
    if (strlen(arg->value) > REASON_BYTES_MAX)
        return invalid(client, arg->key, arg->value, "at most 512 bytes");
    return MK_CLIENT_OK;
}

/* Each on its own, and none twice but `intents`. */
static enum mk_client_error check_args(struct mk_client *client, const struct mk_order *order)
{
    size_t intents = 0;
    for (size_t i = 0; i < order->arg_count; i++) {
        const struct mk_arg *arg = &order->args[i];
        enum mk_client_error error = check_arg(client, arg);
        if (error)
            return error;
        bool is_intent = strcmp(arg->key, "intents") == 0;
        intents += is_intent;
        for (size_t j = 0; j < i && !is_intent; j++)
            if (strcmp(order->args[j].key, arg->key) == 0)
                return invalid(client, arg->key, arg->value, "no second value of it");
    }
    return intents > SILENT_INTENTS_MAX ? invalid(client, "intents", "too many", "at most 64") : MK_CLIENT_OK;
}

static enum mk_client_error check_op(struct mk_client *client, const struct mk_order *order)
{
    enum mk_op op = order->op ? mk_op_parse(span_of(order->op)) : MK_OP_COUNT;
    if (op == MK_OP_COUNT)
        return invalid(client, "operation", order->op, "one of docs/protocol.md (register, retire, state, outcome...)");
    if (order->session && op > MK_OP_LAST_OF_SESSION)
        return invalid(client, "operation", order->op, "one of a session; this is one of a node");
    if (!order->input.at != (op != MK_OP_INGEST))
        return invalid(client, "operation", order->op, "the argument input with ingest, and with nothing else");
    return MK_CLIENT_OK;
}

static enum mk_client_error check_order(struct mk_client *client, const struct mk_order *order)
{
    if (!order->session == !order->node)
        return invalid(client, "target", order->node, "either a session or a node");
    if (order->session && !session_id_valid(span_of(order->session)))
        return invalid(client, "session", order->session, "1..128 bytes of [A-Za-z0-9._:-]");
    if (order->node && strcmp(order->node, "*") != 0 &&
        (!session_id_valid(span_of(order->node)) || strlen(order->node) > MESSAGE_ID_BYTES_MAX))
        return invalid(client, "node", order->node, "a node's id, or * for every node");
    enum mk_client_error error = check_args(client, order);
    if (!error)
        error = check_op(client, order);
    return error ? error : client__check_size(client, "input", order->input.bytes);
}

static void fill_arg(const struct mk_arg *arg, struct store *store, struct mk_args *out)
{
    const struct arg_key *key = arg_key_of(arg->key);
    struct span text = keep(store, span_of(arg->value));
    uint64_t number = 0;
    bool yes = strcmp(arg->value, "true") == 0;
    if (!key)
        out->intents[out->intent_count++] = text;
    else if (key->type == ARG_TEXT)
        set_span(out, key->to, text);
    else if (key->type == ARG_BOOL)
        memcpy((char *)out + key->to, &yes, sizeof yes);
    else if (number_of(arg->value, &number))
        memcpy((char *)out + key->to, &number, sizeof number);
}

static void fill_command(struct mk_client *client, const struct mk_order *order, struct store *store,
                         struct mk_command *out)
{
    struct span op = keep(store, span_of(order->op));
    *out = (struct mk_command){
        .session = keep(store, span_of(order->session)),
        .op = mk_op_parse(op),
        .op_text = op,
        .reply_to = id_span(&client->id),
        .run = keep(store, span_of(order->run)),
        .args.input = keep(store, span_from(order->input)),
    };
    for (size_t i = 0; i < order->arg_count; i++)
        fill_arg(&order->args[i], store, &out->args);
}

/* --- both --- */

enum mk_client_error client__check_room(struct mk_client *client, struct span id)
{
    if (client->table.count >= client->window) {
        err_set(&client->note, MK_ERR_OVERLOADED, "%zu requests are unanswered: poll before sending more",
                client->table.count);
        return MK_CLIENT_FULL;
    }
    if (span_given(id) && (!id.bytes || id.bytes > MESSAGE_ID_BYTES_MAX))
        return invalid(client, "id", id.at, "1..64 bytes");
    if (span_given(id) && pending_find(&client->table, id))
        return invalid(client, "id", id.at, "one that is not being sent already");
    return MK_CLIENT_OK;
}

struct pending *client__pending_new(const char *id, const char *session, uint64_t timeout_ms, size_t text_bytes)
{
    struct pending *pending = calloc(1, sizeof *pending);
    if (!pending)
        return NULL;
    pending->texts = malloc(text_bytes + 1);
    if (!pending->texts) {
        free(pending);
        return NULL;
    }
    if (id)
        id_set(&pending->id, span_of(id));
    else
        client__random_id(&pending->id);
    if (session)
        memcpy(pending->session, session, strlen(session) + 1);
    pending->deadline_ms = client__now_ms() + (timeout_ms ? timeout_ms : CLIENT_TIMEOUT_MS);
    return pending;
}

enum mk_client_error client__no_memory(struct mk_client *client)
{
    err_set(&client->note, MK_ERR_OVERLOADED, "no memory for a request");
    return MK_CLIENT_NO_MEMORY;
}

enum mk_client_error mk_client_send(struct mk_client *client, const struct mk_send *send)
{
    struct mk_input measured;
    struct store store = {0};
    enum mk_client_error error = client__check_room(client, span_of(send->id));
    if (!error)
        error = check_send(client, send);
    if (error)
        return error;
    fill_input(client, send, &store, &measured);
    struct pending *pending = client__pending_new(send->id, send->session, send->timeout_ms, store.used);
    if (!pending)
        return client__no_memory(client);
    store = (struct store){.at = pending->texts};
    fill_input(client, send, &store, &pending->input);
    pending->await_completion = send->await_completion;
    pending->on_answer = send->on_answer;
    pending->user = send->user;
    pending_add(&client->table, pending);
    return MK_CLIENT_OK;
}

enum mk_client_error mk_client_order(struct mk_client *client, const struct mk_order *order)
{
    struct mk_command measured;
    struct store store = {0};
    enum mk_client_error error = client__check_room(client, span_of(order->id));
    if (!error)
        error = check_order(client, order);
    if (error)
        return error;
    fill_command(client, order, &store, &measured);
    size_t node_bytes = order->node ? strlen(order->node) : 0;
    struct pending *pending =
        client__pending_new(order->id, order->session, order->timeout_ms, store.used + node_bytes + 1);
    if (!pending)
        return client__no_memory(client);
    store = (struct store){.at = pending->texts};
    fill_command(client, order, &store, &pending->command);
    pending->node = keep(&store, span_of(order->node));
    pending->is_command = true;
    pending->node_command = order->node != NULL;
    pending->gather = order->gather;
    pending->on_answer = order->on_answer;
    pending->user = order->user;
    pending_add(&client->table, pending);
    return MK_CLIENT_OK;
}
