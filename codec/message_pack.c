/* Messages -> bytes. Defaults are left out: what is absent reads as it was. */
#include "codec/message.h"
#include "codec/pack.h"

#include <stdio.h>

static void head(struct map_pack *map, enum mk_type type, struct span id, uint64_t ts)
{
    map_u64(map, "v", MESSAGE_VERSION);
    map_text(map, "t", span_of(mk_type_name(type)));
    map_text(map, "id", id);
    map_some(map, "ts", ts);
}

static void header(struct map_pack *map, enum mk_type type, const struct mk_header *h)
{
    head(map, type, h->id, h->ts);
    map_text(map, "pub", h->pub);
    map_some(map, "pe", h->pe);
    map_some(map, "ps", h->ps);
}

static void name(struct map_pack *map, const char *key, const char *text, bool unless)
{
    if (!unless)
        map_text(map, key, span_of(text));
}

static void visibility(struct map_pack *map, const struct mk_input *in)
{
    if (in->transcript_eligible && in->operator_eligible)
        return;
    struct map_pack inner;
    map_key(map, "visibility");
    map_open(&inner, map->out);
    map_bool(&inner, "transcript", in->transcript_eligible);
    map_bool(&inner, "operator", in->operator_eligible);
    map_close(&inner);
}

static void durability(struct map_pack *map, const struct mk_input *in)
{
    if (in->durability == MK_DURABILITY_MISSING) {
        map_key(map, "durability");
        msgpack_pack_nil(&map->packer);
    } else {
        name(map, "durability", mk_durability_name(in->durability), in->durability == MK_DURABLE);
    }
}

void input_pack(struct buf *out, const struct mk_input *in)
{
    struct map_pack map;
    map_open(&map, out);
    header(&map, MK_INPUT, &in->h);
    map_text(&map, "session", in->session);
    name(&map, "kind", mk_kind_name(in->kind), in->kind == MK_PROMPT);
    map_raw(&map, "body", in->body);
    durability(&map, in);
    name(&map, "origin", mk_origin_name(in->origin), in->origin == MK_EXTERNAL);
    name(&map, "handling", mk_handling_name(in->handling), in->handling == MK_HANDLING_NONE);
    map_text(&map, "idem", in->idem);
    map_text(&map, "supersede", in->supersede);
    map_text(&map, "corr", in->corr);
    map_text(&map, "after", in->after);
    map_text(&map, "reply_to", in->reply_to);
    map_text(&map, "executor", in->executor);
    map_some(&map, "born", in->born);
    map_some(&map, "deadline_ms", in->deadline_ms);
    if (!in->wake)
        map_bool(&map, "wake", false);
    visibility(&map, in);
    map_text(&map, "peer_id", in->peer_id);
    map_text(&map, "peer_name", in->peer_name);
    map_text(&map, "request_id", in->request_id);
    map_text(&map, "intent", in->intent);
    name(&map, "status", mk_status_name(in->status), in->status == MK_STATUS_NONE);
    map_text(&map, "event_type", in->event_type);
    map_text(&map, "step_id", in->step_id);
    map_text(&map, "operation_id", in->operation_id);
    name(&map, "continuation", mk_continuation_name(in->continuation), in->continuation == MK_ORDINARY);
    map_close(&map);
}

static void args(struct map_pack *outer, const struct mk_args *in)
{
    struct map_pack map;
    map_key(outer, "args");
    map_open(&map, outer->out);
    map_text(&map, "id", in->id);
    map_text(&map, "idem", in->idem);
    map_text(&map, "run", in->run);
    map_text(&map, "reason", in->reason);
    map_text(&map, "executor", in->executor);
    map_text(&map, "epoch", in->epoch);
    map_text(&map, "incarnation", in->incarnation);
    map_text(&map, "kind", in->kind);
    map_text(&map, "cursor", in->cursor);
    if (in->intent_count) {
        map_key(&map, "intents");
        msgpack_pack_array(&map.packer, in->intent_count);
        for (size_t i = 0; i < in->intent_count; i++) {
            msgpack_pack_str(&map.packer, in->intents[i].bytes);
            msgpack_pack_str_body(&map.packer, in->intents[i].at, in->intents[i].bytes);
        }
    }
    map_some(&map, "from", in->from);
    map_some(&map, "limit", in->limit);
    map_some(&map, "sequence", in->sequence);
    map_some(&map, "timeout_ms", in->timeout_ms);
    map_raw(&map, "input", in->input);
    if (in->running)
        map_bool(&map, "running", true);
    if (in->active_inputs)
        map_bool(&map, "active_inputs", true);
    map_close(&map);
}

void command_pack(struct buf *out, const struct mk_command *in)
{
    struct map_pack map;
    map_open(&map, out);
    header(&map, MK_COMMAND, &in->h);
    map_text(&map, "session", in->session);
    map_text(&map, "op", span_given(in->op_text) ? in->op_text : span_of(mk_op_name(in->op)));
    map_text(&map, "reply_to", in->reply_to);
    map_text(&map, "run", in->run);
    map_some(&map, "born", in->born);
    map_some(&map, "deadline_ms", in->deadline_ms);
    args(&map, &in->args);
    map_close(&map);
}

static void from_node(struct map_pack *map, const struct message_from *from)
{
    map_text(map, "node", from->node);
    map_some(map, "fence", from->fence);
}

void admission_pack(struct buf *out, struct span id, const struct message_from *from, const struct mk_admission *in)
{
    struct map_pack map;
    map_open(&map, out);
    head(&map, MK_ADMISSION, id, from->ts);
    map_text(&map, "re", in->re);
    map_text(&map, "session", in->session);
    map_text(&map, "outcome", span_of(mk_admitted_name(in->outcome)));
    if (in->outcome == MK_REJECTED)
        map_bool(&map, "final", in->final);
    map_text(&map, "existing", in->existing);
    map_raw(&map, "completion", in->completion);
    name(&map, "reason", mk_err_code(in->reason), in->reason == MK_ERR_OK);
    map_text(&map, "detail", in->detail);
    name(&map, "durability", mk_durability_name(in->durability), in->durability == MK_DURABILITY_MISSING);
    map_text(&map, "phase", in->phase);
    map_some(&map, "partitions", in->partitions);
    from_node(&map, from);
    map_close(&map);
}

static void error_map(struct map_pack *outer, const char *code_key, enum mk_err err, struct span message)
{
    struct map_pack map;
    map_key(outer, "error");
    map_open(&map, outer->out);
    map_text(&map, code_key, span_of(mk_err_code(err)));
    map_text(&map, "message", span_given(message) ? message : span_of(mk_err_text(err)));
    map_close(&map);
}

static void receipt(struct map_pack *outer, const struct mk_receipt *in)
{
    struct map_pack map;
    map_key(outer, "receipt");
    map_open(&map, outer->out);
    map_text(&map, "run", in->run);
    map_u64(&map, "sequence", in->sequence);
    map_text(&map, "boundary", span_of(mk_boundary_name(in->boundary)));
    map_text(&map, "digest", in->digest);
    map_close(&map);
}

void completion_pack(struct buf *out, struct span id, const struct mk_completion *in)
{
    struct map_pack map;
    map_open(&map, out);
    head(&map, MK_COMPLETION, id, in->ts);
    map_text(&map, "re", in->input);
    map_text(&map, "session", in->session);
    map_text(&map, "input", in->input);
    map_text(&map, "outcome", span_of(mk_outcome_name(in->outcome)));
    map_raw(&map, "result", in->result);
    map_text(&map, "reason", in->reason);
    if (in->error != MK_ERR_OK)
        error_map(&map, "kind", in->error, in->error_message);
    map_text(&map, "aggregate", in->aggregate);
    map_text(&map, "idem", in->idem);
    map_text(&map, "run", in->receipt.run);
    if (in->has_receipt)
        receipt(&map, &in->receipt);
    map_u64(&map, "seq", in->seq);
    map_text(&map, "node", in->node);
    map_u64(&map, "fence", in->fence);
    map_u64(&map, "generation", in->generation);
    map_text(&map, "epoch", in->epoch);
    map_close(&map);
}

void effect_pack(struct buf *out, struct span id, const struct mk_effect *in)
{
    struct map_pack map;
    map_open(&map, out);
    head(&map, MK_EFFECT, id, in->ts);
    map_text(&map, "session", in->session);
    map_text(&map, "name", in->name == MK_EXECUTOR_EVENT ? in->event_name : span_of(mk_effect_name_name(in->name)));
    map_key(&map, "data");
    if (in->data_raw.bytes)
        buf_append(out, in->data_raw.at, in->data_raw.bytes);
    else if (in->data)
        doc_pack(out, in->data);
    else
        msgpack_pack_map(&map.packer, 0);
    map_u64(&map, "seq", in->seq);
    map_text(&map, "node", in->node);
    map_u64(&map, "fence", in->fence);
    map_u64(&map, "generation", in->generation);
    map_text(&map, "epoch", in->epoch);
    map_close(&map);
}

static void result_error(struct map_pack *outer, const struct mk_result *in)
{
    struct map_pack map;
    map_key(outer, "error");
    map_open(&map, outer->out);
    map_text(&map, "code", span_of(mk_err_code(in->error)));
    map_text(&map, "message", span_given(in->message) ? in->message : span_of(mk_err_text(in->error)));
    map_bool(&map, "final", in->final);
    map_text(&map, "phase", in->phase);
    map_some(&map, "partitions", in->partitions);
    map_close(&map);
}

void result_pack(struct buf *out, struct span id, const struct message_from *from, const struct mk_result *in)
{
    struct map_pack map;
    map_open(&map, out);
    head(&map, MK_RESULT, id, from->ts);
    map_text(&map, "re", in->re);
    map_text(&map, "session", in->session);
    map_bool(&map, "ok", in->ok);
    if (in->data) {
        map_key(&map, "data");
        doc_pack(out, in->data);
    }
    if (!in->ok)
        result_error(&map, in);
    from_node(&map, from);
    map_close(&map);
}

static void text(msgpack_packer *packer, struct span text)
{
    msgpack_pack_str(packer, text.bytes);
    msgpack_pack_str_body(packer, text.at, text.bytes);
}

/* The key of a partition, and the head of the array that is its value. */
static void item(struct map_pack *map, uint32_t partition, size_t members)
{
    char pp[8];
    snprintf(pp, sizeof pp, "%04x", (unsigned)(partition & 0xffff));
    map_key(map, pp);
    msgpack_pack_array(&map->packer, members);
}

static void owned(struct map_pack *outer, const struct mk_heartbeat *in)
{
    struct map_pack map;
    map_key(outer, "owned");
    map_open(&map, outer->out);
    for (size_t i = 0; i < in->owned_count; i++) {
        item(&map, in->owned[i].partition, 3);
        text(&map.packer, in->owned[i].history);
        msgpack_pack_uint64(&map.packer, in->owned[i].fence);
        msgpack_pack_uint64(&map.packer, in->owned[i].sequence);
    }
    map_close(&map);
}

static void handing(struct map_pack *outer, const struct mk_heartbeat *in)
{
    struct map_pack map;
    if (!in->handing_count)
        return;
    map_key(outer, "handing");
    map_open(&map, outer->out);
    for (size_t i = 0; i < in->handing_count; i++) {
        item(&map, in->handing[i].partition, 3);
        text(&map.packer, in->handing[i].successor);
        if (in->handing[i].released)
            msgpack_pack_true(&map.packer);
        else
            msgpack_pack_false(&map.packer);
        msgpack_pack_uint64(&map.packer, in->handing[i].fence);
    }
    map_close(&map);
}

static void partitions(struct map_pack *map, const char *key, const uint32_t *list, size_t count)
{
    if (!count)
        return;
    map_key(map, key);
    msgpack_pack_array(&map->packer, count);
    for (size_t i = 0; i < count; i++)
        msgpack_pack_uint32(&map->packer, list[i]);
}

void heartbeat_pack(struct buf *out, struct span id, uint64_t ts, const struct mk_heartbeat *in)
{
    struct map_pack map;
    map_open(&map, out);
    head(&map, MK_HEARTBEAT, id, ts);
    map_text(&map, "role", in->hub ? SPAN_LIT("hub") : SPAN_LIT("node"));
    map_text(&map, "node", in->node);
    map_text(&map, "incarnation", in->incarnation);
    map_text(&map, "phase", in->phase);
    if (in->hub) {
        map_u64(&map, "frames_in", in->frames_in);
        map_u64(&map, "frames_out", in->frames_out);
        map_u64(&map, "dropped", in->dropped);
        map_u64(&map, "bytes_in", in->bytes_in);
    } else {
        map_u64(&map, "partitions_total", in->partitions_total);
        owned(&map, in);
        handing(&map, in);
        partitions(&map, "expecting", in->expecting, in->expecting_count);
        partitions(&map, "suspended", in->suspended, in->suspended_count);
        map_u64(&map, "sessions", in->sessions);
        map_u64(&map, "load", in->load);
    }
    map_close(&map);
}

void batch_head_pack_numbered(struct buf *out, const struct mk_header *h, size_t items)
{
    struct map_pack map;
    map_open(&map, out);
    header(&map, MK_BATCH, h);
    map_key(&map, "items");
    msgpack_pack_array(&map.packer, items);
    map_close(&map);
}

void batch_head_pack(struct buf *out, struct span id, uint64_t ts, size_t items)
{
    struct mk_header h = {.id = id, .ts = ts};
    batch_head_pack_numbered(out, &h, items);
}

static void doc_item(msgpack_packer *packer, struct buf *out, const struct mk_doc_item *item)
{
    switch (item->type) {
    case DOC_MAP:
        msgpack_pack_map(packer, (size_t)item->number);
        break;
    case DOC_ARRAY:
        msgpack_pack_array(packer, (size_t)item->number);
        break;
    case DOC_TEXT:
        msgpack_pack_str(packer, item->text.bytes);
        msgpack_pack_str_body(packer, item->text.at, item->text.bytes);
        break;
    case DOC_U64:
        msgpack_pack_uint64(packer, item->number);
        break;
    case DOC_BOOL:
        if (item->number)
            msgpack_pack_true(packer);
        else
            msgpack_pack_false(packer);
        break;
    case DOC_NIL:
        msgpack_pack_nil(packer);
        break;
    case DOC_RAW:
        buf_append(out, item->text.at, item->text.bytes);
        break;
    }
}

void doc_pack(struct buf *out, const struct mk_doc *doc)
{
    msgpack_packer packer;
    msgpack_packer_init(&packer, out, buf_write);
    if (doc->failed || doc->depth)
        out->failed = true;
    for (size_t i = 0; i < doc->count && !out->failed; i++)
        doc_item(&packer, out, &doc->items[i]);
}
