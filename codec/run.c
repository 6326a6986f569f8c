#include "codec/run.h"

#include "codec/field_table.h"
#include "codec/pack.h"
#include "codec/utf8.h"

/* --- to the child --- */

static void put_nil(struct map_pack *map, const char *key)
{
    map_key(map, key);
    msgpack_pack_nil(&map->packer);
}

/* What the input's message said, as docs/protocol.md names it; what concerns only the bus is left out. */
static void put_headers(struct map_pack *map, const struct mk_input *in)
{
    struct map_pack visibility;
    map_text(map, "durability", span_of(mk_durability_name(in->durability)));
    map_text(map, "origin", span_of(mk_origin_name(in->origin)));
    if (in->handling != MK_HANDLING_NONE)
        map_text(map, "handling", span_of(mk_handling_name(in->handling)));
    map_u64(map, "ts", in->h.ts);
    map_some(map, "born", in->born);
    map_text(map, "idem", in->idem);
    map_text(map, "supersede", in->supersede);
    map_text(map, "corr", in->corr);
    map_text(map, "after", in->after);
    map_key(map, "visibility");
    map_open(&visibility, map->out);
    map_bool(&visibility, "transcript", in->transcript_eligible);
    map_bool(&visibility, "operator", in->operator_eligible);
    map_close(&visibility);
}

static void put_kind(struct map_pack *map, const struct mk_input *in)
{
    map_text(map, "peer_id", in->peer_id);
    map_text(map, "peer_name", in->peer_name);
    map_text(map, "request_id", in->request_id);
    map_text(map, "intent", in->intent);
    if (in->status != MK_STATUS_NONE)
        map_text(map, "status", span_of(mk_status_name(in->status)));
    map_text(map, "event_type", in->event_type);
    map_text(map, "step_id", in->step_id);
    map_text(map, "operation_id", in->operation_id);
    if (in->kind == MK_CONTINUATION)
        map_text(map, "continuation", span_of(mk_continuation_name(in->continuation)));
}

void run_input_pack(struct buf *out, const struct run_input *run)
{
    const struct mk_input *in = run->input;
    struct map_pack map;
    map_open(&map, out);
    map_text(&map, "id", in->h.id);
    map_text(&map, "kind", span_of(mk_kind_name(in->kind)));
    if (in->body.bytes)
        map_raw(&map, "body", in->body);
    else
        put_nil(&map, "body");
    map_u64(&map, "attempts", run->attempts);
    put_headers(&map, in);
    put_kind(&map, in);
    map_close(&map);
}

static size_t begin_frame(struct buf *out)
{
    size_t head = out->bytes;
    buf_append(out, "\0\0\0", RUN_HEAD_BYTES);
    return head;
}

static void end_frame(struct buf *out, size_t head)
{
    size_t bytes = out->bytes - head - RUN_HEAD_BYTES;
    out->failed = out->failed || bytes > UINT32_MAX;
    for (size_t i = 0; i < RUN_HEAD_BYTES && !out->failed; i++)
        out->at[head + i] = (char)(bytes >> (24 - 8 * i));
}

/* A map's or array's 16-bit count, behind its first byte. */
static void put_count(char *at, size_t count)
{
    at[1] = (char)(count >> 8);
    at[2] = (char)(count & 0xff);
}

size_t run_pack(struct buf *out, const struct run_request *request)
{
    struct map_pack map;
    size_t head = begin_frame(out);
    map_open(&map, out);
    map_text(&map, "run", id_span(&request->run->id));
    map_text(&map, "session", request->session);
    map_u64(&map, "attempt", request->run->attempt);
    map_u64(&map, "fence", request->fence);
    map_u64(&map, "generation", request->generation);
    if (span_given(request->state))
        map_bytes(&map, "state", request->state);
    else
        put_nil(&map, "state");
    map_key(&map, "inputs");
    msgpack_pack_array(&map.packer, request->input_count);
    for (size_t i = 0; i < request->input_count; i++)
        run_input_pack(out, &request->inputs[i]);
    /* Sessions have neither yet: who reads them must be ready for a map. */
    put_nil(&map, "visibility");
    put_nil(&map, "identity");
    /* The last key: what is injected later goes behind it (run_again_pack). */
    map_key(&map, "injected");
    size_t count_at = out->bytes - head;
    char array[3] = {(char)0xdc};
    put_count(array, request->injected_count);
    buf_append(out, array, sizeof array);
    for (size_t i = 0; i < request->injected_count; i++)
        run_input_pack(out, &request->injected[i]);
    map_close(&map);
    end_frame(out, head);
    return count_at;
}

void run_again_pack(struct buf *out, struct span frame, size_t count_at, struct span inputs, size_t count)
{
    size_t head = out->bytes;
    buf_append(out, frame.at, frame.bytes);
    buf_append(out, inputs.at, inputs.bytes);
    if (!out->failed)
        put_count(out->at + head + count_at, count);
    end_frame(out, head);
}

void run_inject_pack(struct buf *out, struct span run, const struct run_input *input)
{
    struct map_pack map;
    size_t head = begin_frame(out);
    map_open(&map, out);
    map_text(&map, "inject", run);
    map_key(&map, "input");
    run_input_pack(out, input);
    map_close(&map);
    end_frame(out, head);
}

void run_cancel_pack(struct buf *out, struct span run, bool hard)
{
    struct map_pack map;
    size_t head = begin_frame(out);
    map_open(&map, out);
    map_text(&map, "cancel", run);
    map_bool(&map, "hard", hard);
    map_close(&map);
    end_frame(out, head);
}

/* --- from the child --- */

static enum mk_err wrong(struct mk_note *note, const char *what)
{
    return err_set(note, MK_ERR_EXECUTOR_FAILED, "%s", what);
}

static enum mk_err read_state(struct span raw, struct run_answer *out, struct mk_note *note)
{
    struct cursor cursor = cursor_of(raw);
    struct value value;
    out->has_state = span_given(raw);
    if (!out->has_state || is_nil(raw))
        return MK_ERR_OK;
    if (!cursor_read(&cursor, &value) || (value.type != VALUE_BIN && value.type != VALUE_STR))
        return wrong(note, "state: bytes or nil wanted");
    if (value.text.bytes > STATE_BYTES_MAX)
        return err_set(note, MK_ERR_RESULT_TOO_LARGE, "state: %zu bytes, limit %u", value.text.bytes, STATE_BYTES_MAX);
    out->state = value.text;
    return MK_ERR_OK;
}

/* It lies in a completion or an effect, a level further in. */
static enum mk_err check_depth(struct span raw, const char *key, struct mk_note *note)
{
    struct mk_note why = {""};
    if (!scan_depth(raw, BODY_NESTING_MAX, &why))
        return MK_ERR_OK;
    return err_set(note, MK_ERR_RESULT_TOO_LARGE, "%s: maps and arrays within one another, limit %d", key,
                   BODY_NESTING_MAX);
}

/* The items of an array, each with its place; false: it is none. */
static bool open_array(struct span raw, struct cursor *cursor, uint64_t *count)
{
    struct value head;
    *cursor = cursor_of(raw);
    if (!cursor_read(cursor, &head) || head.type != VALUE_ARRAY)
        return false;
    *count = head.number;
    return true;
}

static enum mk_err read_results(struct span raw, size_t input_count, struct run_answer *out, struct mk_note *note)
{
    struct cursor cursor;
    uint64_t count;
    if (!open_array(raw, &cursor, &count))
        return wrong(note, "results: an array wanted");
    if (count != input_count)
        return err_set(note, MK_ERR_EXECUTOR_FAILED, "results: %llu, for %zu inputs", (unsigned long long)count,
                       input_count);
    enum mk_err err = MK_ERR_OK;
    for (uint64_t i = 0; i < count && !err; i++) {
        struct span *result = &out->results[out->result_count++];
        cursor_skip(&cursor, result);
        err = check_depth(*result, "results", note);
    }
    return err;
}

static enum mk_err read_result(struct span raw, struct run_answer *out, struct mk_note *note)
{
    out->results[0] = raw;
    out->result_count = 1;
    return check_depth(raw, "result", note);
}

static enum mk_err read_event(struct span raw, struct executor_event *out, struct mk_note *note)
{
    static const struct field fields[] = {
        {.key = "name",
         .type = FIELD_TOKEN,
         .offset = offsetof(struct executor_event, name),
         .required = true,
         .least = 1,
         .most = MESSAGE_ID_BYTES_MAX},
        {.key = "data", .type = FIELD_RAW, .offset = offsetof(struct executor_event, data)},
    };
    enum mk_err err = fields_read_in(raw, "events", fields, sizeof fields / sizeof *fields, out, note);
    if (err)
        return MK_ERR_EXECUTOR_FAILED;
    /* A watcher must be able to believe the machine's own. */
    if (mk_effect_name_parse(out->name) != MK_EFFECT_NAME_COUNT)
        return err_set(note, MK_ERR_EXECUTOR_FAILED, "events: \"%.*s\" is the machine's own", SPAN_ARGS(out->name));
    return span_given(out->data) ? check_depth(out->data, "events: data", note) : MK_ERR_OK;
}

static enum mk_err read_events(struct span raw, struct run_answer *out, struct mk_note *note)
{
    struct cursor cursor;
    uint64_t count;
    if (!open_array(raw, &cursor, &count))
        return wrong(note, "events: an array wanted");
    if (count > RUN_EVENTS_MAX)
        return err_set(note, MK_ERR_RESULT_TOO_LARGE, "events: %llu, limit %d", (unsigned long long)count,
                       RUN_EVENTS_MAX);
    enum mk_err err = MK_ERR_OK;
    for (uint64_t i = 0; i < count && !err; i++) {
        struct span event;
        cursor_skip(&cursor, &event);
        err = read_event(event, &out->events[out->event_count++], note);
    }
    return err;
}

/* An unknown one is as good as none: display text never classifies a cause. */
static enum failure_cause read_cause(struct span kind)
{
    static const struct {
        const char *kind;
        enum failure_cause cause;
    } causes[] = {
        {"budget_exhausted", CAUSE_BUDGET_EXHAUSTED},
        {"time_budget_exceeded", CAUSE_TIME_BUDGET_EXCEEDED},
        {"structured_output_validation_failed", CAUSE_STRUCTURED_OUTPUT_VALIDATION_FAILED},
    };
    for (size_t i = 0; i < sizeof causes / sizeof *causes; i++)
        if (span_is(kind, causes[i].kind))
            return causes[i].cause;
    return CAUSE_FAILED;
}

static enum mk_err read_failure(struct span raw, struct run_answer *out, struct mk_note *note)
{
    struct failure {
        struct span message, kind;
        bool final;
    } read = {{NULL, 0}, {NULL, 0}, false};
    static const struct field fields[] = {
        {.key = "message", .type = FIELD_TEXT, .offset = offsetof(struct failure, message), .most = UINT32_MAX},
        {.key = "kind", .type = FIELD_TEXT, .offset = offsetof(struct failure, kind), .most = UINT32_MAX},
        {.key = "final", .type = FIELD_BOOL, .offset = offsetof(struct failure, final)},
    };
    if (fields_read_in(raw, "failure", fields, sizeof fields / sizeof *fields, &read, note))
        return MK_ERR_EXECUTOR_FAILED;
    out->failed = true;
    out->message = read.message;
    out->cause = read_cause(read.kind);
    out->final = read.final;
    return MK_ERR_OK;
}

struct answer_fields {
    struct span state, result, results, events, failure;
    bool cancelled;
    struct span boundary, live, injected, ok;
};

/* What is said while the run goes on: about what, and yes or no; nothing else of the frame counts. */
static enum mk_err read_word(struct span about, struct span yes, enum child_word word, struct run_answer *out,
                             struct mk_note *note)
{
    struct cursor cursor = cursor_of(about);
    struct value value;
    if (!cursor_read(&cursor, &value) || value.type != VALUE_STR || !value.text.bytes ||
        value.text.bytes > MESSAGE_ID_BYTES_MAX)
        return wrong(note, word == WORD_BOUNDARY ? "boundary: the run's id wanted" : "injected: an input's id wanted");
    out->word = word;
    out->about = value.text;
    cursor = cursor_of(yes);
    if (!cursor_read(&cursor, &value) || value.type != VALUE_BOOL)
        return wrong(note, word == WORD_BOUNDARY ? "live: a boolean wanted" : "ok: a boolean wanted");
    out->yes = value.number != 0;
    return MK_ERR_OK;
}

static enum mk_err read_rest(const struct answer_fields *read, size_t input_count, struct run_answer *out,
                             struct mk_note *note)
{
    bool each = span_given(read->results) && !is_nil(read->results);
    if (each && span_given(read->result))
        return wrong(note, "result and results: only one of them");
    enum mk_err err = read_state(read->state, out, note);
    if (!err && each)
        err = read_results(read->results, input_count, out, note);
    else if (!err && span_given(read->result))
        err = read_result(read->result, out, note);
    if (!err && span_given(read->events) && !is_nil(read->events))
        err = read_events(read->events, out, note);
    return err;
}

enum mk_err run_answer_read(struct span map, size_t input_count, struct run_answer *out, struct mk_note *note)
{
    static const struct field fields[] = {
        {.key = "state", .type = FIELD_RAW, .offset = offsetof(struct answer_fields, state)},
        {.key = "result", .type = FIELD_RAW, .offset = offsetof(struct answer_fields, result)},
        {.key = "results", .type = FIELD_RAW, .offset = offsetof(struct answer_fields, results)},
        {.key = "events", .type = FIELD_RAW, .offset = offsetof(struct answer_fields, events)},
        {.key = "failure", .type = FIELD_RAW, .offset = offsetof(struct answer_fields, failure)},
        {.key = "cancelled", .type = FIELD_BOOL, .offset = offsetof(struct answer_fields, cancelled)},
        {.key = "boundary", .type = FIELD_RAW, .offset = offsetof(struct answer_fields, boundary)},
        {.key = "live", .type = FIELD_RAW, .offset = offsetof(struct answer_fields, live)},
        {.key = "injected", .type = FIELD_RAW, .offset = offsetof(struct answer_fields, injected)},
        {.key = "ok", .type = FIELD_RAW, .offset = offsetof(struct answer_fields, ok)},
    };
    struct answer_fields read = {.cancelled = false};
    memset(out, 0, sizeof *out);
    enum mk_err err = scan_whole(map, note);
    if (err)
        return err == MK_ERR_TOO_LARGE ? MK_ERR_RESULT_TOO_LARGE : MK_ERR_EXECUTOR_FAILED;
    if (fields_read(map, fields, sizeof fields / sizeof *fields, &read, note))
        return MK_ERR_EXECUTOR_FAILED;
    if (span_given(read.boundary) && !is_nil(read.boundary))
        return read_word(read.boundary, read.live, WORD_BOUNDARY, out, note);
    if (span_given(read.injected) && !is_nil(read.injected))
        return read_word(read.injected, read.ok, WORD_INJECTED, out, note);
    out->cancelled = read.cancelled;
    if (span_given(read.failure) && !is_nil(read.failure))
        return read_failure(read.failure, out, note);
    return read_rest(&read, input_count, out, note);
}

/* --- text for people --- */

/* Length of the well-formed UTF-8 character at the start of s, 0 when there is none, or it is a control character. */
static size_t character(struct span s)
{
    const uint8_t *c = (const uint8_t *)s.at;
    size_t length = utf8_length(s);
    bool control = c[0] < 0x20 || c[0] == 0x7f || (c[0] == 0xc2 && length == 2 && c[1] < 0xa0);
    return control ? 0 : length;
}

size_t run_text(char *out, size_t room, struct span text)
{
    size_t bytes = 0;
    while (text.bytes) {
        size_t length = character(text), used = length ? length : 1;
        if (bytes + used >= room)
            break;
        memcpy(out + bytes, length ? text.at : text.at[0] == '\t' ? " " : "?", used);
        bytes += used;
        text = span_bytes(text.at + used, text.bytes - used);
    }
    out[bytes] = '\0';
    return bytes;
}
