/* Bytes -> messages. Each message is a table of its keys. */
#include "codec/field_table.h"
#include "codec/message.h"

/* The names of an enumeration, seen as plain numbers. */
#define NAMED(type)                                                                                                    \
    static const char *type##_text(unsigned value)                                                                     \
    {                                                                                                                  \
        return type##_name((enum type)value);                                                                          \
    }
NAMED(mk_kind)
NAMED(mk_origin)
NAMED(mk_durability)
NAMED(mk_handling)
NAMED(mk_continuation)
NAMED(mk_status)
NAMED(mk_admitted)
NAMED(mk_outcome)
NAMED(mk_boundary)

/* Times and durations: far below what arithmetic on them could overflow. */
#define MS_MAX (1ull << 52)

enum mk_err message_head_read(struct span map, struct message_head *out, struct mk_note *note)
{
    /* The type is read as text first, so that an unknown one is told from a missing one. */
    struct head_fields {
        struct message_head head;
        struct span type;
    } read = {.head = {.type = MK_TYPE_COUNT}};
    static const struct field soft[] = {
        TEXT("t", AT(head_fields, type), 0, FRAME_BYTES_MAX),
        U64("v", AT(head_fields, head.version)),
        TEXT("id", AT(head_fields, head.h.id), 1, MESSAGE_ID_BYTES_MAX),
        U64("ts", AT(head_fields, head.h.ts)),
        TEXT("pub", AT(head_fields, head.h.pub), 1, MESSAGE_ID_BYTES_MAX),
        U64("pe", AT(head_fields, head.h.pe)),
        U64("ps", AT(head_fields, head.h.ps)),
        TOKEN("reply_to", AT(head_fields, head.reply_to)),
        SESSION("session", AT(head_fields, head.session), false),
    };
    enum mk_err err = scan_whole(map, note);
    *out = read.head;
    if (err)
        return err;
    /* Key by key, so that one wrong key does not hide the others: whoever sent it is to be answered. */
    enum mk_err first = MK_ERR_OK;
    for (size_t i = 0; i < COUNT(soft); i++) {
        struct mk_note each = {""};
        err = fields_read(map, &soft[i], 1, &read, &each);
        if (err && !first) {
            first = err;
            err_set(note, err, "%s", each.text);
        }
    }
    read.head.type = mk_type_parse(read.type);
    *out = read.head;
    /* The version first: another one may have quite other keys. */
    if (read.head.version && read.head.version != MESSAGE_VERSION)
        return err_set(note, MK_ERR_UNSUPPORTED_VERSION, "v: %llu, known %d", (unsigned long long)read.head.version,
                       MESSAGE_VERSION);
    if (first)
        return first;
    if (!span_given(read.type))
        return err_set(note, MK_ERR_MISSING_FIELD, "t: missing");
    if (!read.head.version)
        return err_set(note, MK_ERR_MISSING_FIELD, "v: missing");
    if (read.head.type == MK_TYPE_COUNT)
        return err_set(note, MK_ERR_UNKNOWN_TYPE, "t: \"%.*s\"", read.type.bytes < 40 ? (int)read.type.bytes : 40,
                       read.type.at);
    return span_given(read.head.h.id) ? MK_ERR_OK : err_set(note, MK_ERR_MISSING_FIELD, "id: missing");
}

enum mk_err batch_open(struct span map, struct batch_reader *out, struct mk_note *note)
{
    struct span items = {NULL, 0};
    static const struct field fields[] = {{.key = "items", .type = FIELD_RAW, .required = true}};
    enum mk_err err = fields_read(map, fields, 1, &items, note);
    if (err)
        return err;
    struct cursor cursor = cursor_of(items);
    struct value head;
    if (!cursor_read(&cursor, &head) || head.type != VALUE_ARRAY)
        return err_set(note, MK_ERR_INVALID_FIELD, "items: an array wanted");
    if (head.number > BATCH_ITEMS_MAX)
        return err_set(note, MK_ERR_TOO_LARGE, "items: %llu, limit %d", (unsigned long long)head.number,
                       BATCH_ITEMS_MAX);
    *out = (struct batch_reader){cursor.at, cursor.end, (size_t)head.number};
    return MK_ERR_OK;
}

bool batch_next(struct batch_reader *reader, struct span *item)
{
    struct cursor cursor = {reader->at, reader->end};
    if (!reader->left || !cursor_skip(&cursor, item))
        return false;
    reader->left--;
    reader->at = cursor.at;
    return true;
}

/* --- input, command --- */

struct visibility {
    bool transcript, operators;
};

struct input_fields {
    struct mk_input in;
    struct span durability, visibility;
};

static const struct field input_table[] = {
    HEADER(input_fields, in.h),
    SESSION("session", AT(input_fields, in.session), true),
    ENUM("kind", AT(input_fields, in.kind), mk_kind, MK_KIND_COUNT),
    RAW("body", AT(input_fields, in.body)),
    RAW("durability", AT(input_fields, durability)),
    ENUM("origin", AT(input_fields, in.origin), mk_origin, MK_ORIGIN_COUNT),
    ENUM("handling", AT(input_fields, in.handling), mk_handling, MK_HANDLING_COUNT),
    TEXT("idem", AT(input_fields, in.idem), 1, MESSAGE_ID_BYTES_MAX),
    TEXT("supersede", AT(input_fields, in.supersede), 1, MESSAGE_ID_BYTES_MAX),
    TEXT("corr", AT(input_fields, in.corr), 1, MESSAGE_ID_BYTES_MAX),
    TEXT("after", AT(input_fields, in.after), 1, MESSAGE_ID_BYTES_MAX),
    TOKEN("reply_to", AT(input_fields, in.reply_to)),
    TOKEN("executor", AT(input_fields, in.executor)),
    UP_TO("born", AT(input_fields, in.born), MS_MAX),
    UP_TO("deadline_ms", AT(input_fields, in.deadline_ms), MS_MAX),
    BOOL("wake", AT(input_fields, in.wake)),
    RAW("visibility", AT(input_fields, visibility)),
    TEXT("peer_id", AT(input_fields, in.peer_id), 1, MESSAGE_ID_BYTES_MAX),
    TEXT("peer_name", AT(input_fields, in.peer_name), 1, MESSAGE_ID_BYTES_MAX),
    TEXT("request_id", AT(input_fields, in.request_id), 1, MESSAGE_ID_BYTES_MAX),
    TEXT("intent", AT(input_fields, in.intent), 1, MESSAGE_ID_BYTES_MAX),
    ENUM("status", AT(input_fields, in.status), mk_status, MK_STATUS_COUNT),
    TEXT("event_type", AT(input_fields, in.event_type), 1, MESSAGE_ID_BYTES_MAX),
    TEXT("step_id", AT(input_fields, in.step_id), 1, MESSAGE_ID_BYTES_MAX),
    TEXT("operation_id", AT(input_fields, in.operation_id), 1, MESSAGE_ID_BYTES_MAX),
    ENUM("continuation", AT(input_fields, in.continuation), mk_continuation, MK_CONTINUATION_COUNT),
};

/* nil is what a publisher that has no durability says: validation refuses it as the source does. */
static enum mk_err read_durability(struct span raw, struct mk_input *out, struct mk_note *note)
{
    struct cursor cursor = cursor_of(raw);
    struct value value;
    if (!span_given(raw))
        return MK_ERR_OK;
    out->durability = MK_DURABILITY_MISSING;
    if (is_nil(raw))
        return MK_ERR_OK;
    if (cursor_read(&cursor, &value) && value.type == VALUE_STR)
        out->durability = mk_durability_parse(value.text);
    if (out->durability < MK_DURABILITY_MISSING)
        return MK_ERR_OK;
    return err_set(note, MK_ERR_INVALID_FIELD, "durability: durable, ephemeral or derived wanted");
}

static enum mk_err read_visibility(struct span raw, struct mk_input *out, struct mk_note *note)
{
    static const struct field table[] = {
        BOOL("transcript", AT(visibility, transcript)),
        BOOL("operator", AT(visibility, operators)),
    };
    struct visibility read = {true, true};
    enum mk_err err = MK_ERR_OK;
    if (span_given(raw) && !is_nil(raw))
        err = fields_read_in(raw, "visibility", table, COUNT(table), &read, note);
    out->transcript_eligible = read.transcript;
    out->operator_eligible = read.operators;
    return err;
}

/* External events and continuations always carry a mode: absent = queue. */
static void default_handling(struct mk_input *in)
{
    bool always = in->kind == MK_EXTERNAL_EVENT || in->kind == MK_CONTINUATION;
    if (always && in->handling == MK_HANDLING_NONE)
        in->handling = MK_HANDLING_QUEUE;
}

enum mk_err input_read(struct span map, struct mk_input *out, struct mk_note *note)
{
    struct input_fields read = {.in = {.origin = MK_EXTERNAL, .wake = true}};
    enum mk_err err = fields_read(map, input_table, COUNT(input_table), &read, note);
    if (!err && span_given(read.in.body))
        err = err_wrap(note, scan_depth(read.in.body, BODY_NESTING_MAX, note), "body");
    if (!err)
        err = read_durability(read.durability, &read.in, note);
    if (!err)
        err = read_visibility(read.visibility, &read.in, note);
    default_handling(&read.in);
    *out = read.in;
    return err;
}

struct args_fields {
    struct mk_args args;
    struct span intents;
};

static enum mk_err read_intents(struct span raw, struct mk_args *out, struct mk_note *note)
{
    struct cursor cursor = cursor_of(raw);
    struct value value;
    if (!span_given(raw) || is_nil(raw))
        return MK_ERR_OK;
    if (!cursor_read(&cursor, &value) || value.type != VALUE_ARRAY || value.number > SILENT_INTENTS_MAX)
        return err_set(note, MK_ERR_INVALID_FIELD, "intents: an array of at most %d strings wanted",
                       SILENT_INTENTS_MAX);
    for (uint64_t left = value.number; left > 0; left--) {
        if (!cursor_read(&cursor, &value) || value.type != VALUE_STR || value.text.bytes > MESSAGE_ID_BYTES_MAX)
            return err_set(note, MK_ERR_INVALID_FIELD, "intents: strings of at most %d bytes wanted",
                           MESSAGE_ID_BYTES_MAX);
        out->intents[out->intent_count++] = value.text;
    }
    return MK_ERR_OK;
}

static enum mk_err read_args(struct span raw, struct mk_args *out, struct mk_note *note)
{
    static const struct field table[] = {
        TEXT("id", AT(args_fields, args.id), 1, MESSAGE_ID_BYTES_MAX),
        TEXT("idem", AT(args_fields, args.idem), 1, MESSAGE_ID_BYTES_MAX),
        TEXT("run", AT(args_fields, args.run), 1, MESSAGE_ID_BYTES_MAX),
        TEXT("reason", AT(args_fields, args.reason), 0, REASON_BYTES_MAX),
        TOKEN("executor", AT(args_fields, args.executor)),
        TEXT("epoch", AT(args_fields, args.epoch), 1, MESSAGE_ID_BYTES_MAX),
        TEXT("incarnation", AT(args_fields, args.incarnation), 1, MESSAGE_ID_BYTES_MAX),
        TEXT("kind", AT(args_fields, args.kind), 0, MESSAGE_ID_BYTES_MAX),
        TEXT("cursor", AT(args_fields, args.cursor), 1, MESSAGE_ID_BYTES_MAX),
        RAW("intents", AT(args_fields, intents)),
        U64("from", AT(args_fields, args.from)),
        U64("limit", AT(args_fields, args.limit)),
        U64("sequence", AT(args_fields, args.sequence)),
        UP_TO("timeout_ms", AT(args_fields, args.timeout_ms), MS_MAX),
        RAW("input", AT(args_fields, args.input)),
        BOOL("running", AT(args_fields, args.running)),
        BOOL("active_inputs", AT(args_fields, args.active_inputs)),
    };
    struct args_fields read = {0};
    enum mk_err err = MK_ERR_OK;
    if (span_given(raw) && !is_nil(raw))
        err = fields_read_in(raw, "args", table, COUNT(table), &read, note);
    if (!err)
        err = err_wrap(note, read_intents(read.intents, &read.args, note), "args");
    *out = read.args;
    return err;
}

/* What `ingest` carries is a message like those on `in/`, and read like them. */
static enum mk_err read_ingested(struct span raw, struct mk_input *out, struct mk_note *note)
{
    struct message_head head;
    enum mk_err err = MK_ERR_OK;
    if (!span_given(raw) || is_nil(raw))
        return MK_ERR_OK;
    err = message_head_read(raw, &head, note);
    if (!err && head.type != MK_INPUT)
        err = err_set(note, MK_ERR_INVALID_FIELD, "t: an input wanted");
    if (!err)
        err = input_read(raw, out, note);
    return err_wrap(note, err, "args.input");
}

struct command_fields {
    struct mk_command command;
    struct span args;
};

enum mk_err command_read(struct span map, struct mk_command *out, struct mk_note *note)
{
    static const struct field table[] = {
        HEADER(command_fields, command.h),
        SESSION("session", AT(command_fields, command.session), false),
        NEED("op", AT(command_fields, command.op_text), 1, MESSAGE_ID_BYTES_MAX),
        TOKEN("reply_to", AT(command_fields, command.reply_to)),
        TEXT("run", AT(command_fields, command.run), 1, MESSAGE_ID_BYTES_MAX),
        UP_TO("born", AT(command_fields, command.born), MS_MAX),
        UP_TO("deadline_ms", AT(command_fields, command.deadline_ms), MS_MAX),
        RAW("args", AT(command_fields, args)),
    };
    struct command_fields read = {0};
    enum mk_err err = fields_read(map, table, COUNT(table), &read, note);
    if (!err)
        err = read_args(read.args, &read.command.args, note);
    read.command.op = mk_op_parse(read.command.op_text);
    if (!err && read.command.op == MK_OP_INGEST)
        err = read_ingested(read.command.args.input, &read.command.input, note);
    *out = read.command;
    return err;
}

/* --- what nodes say --- */

struct admission_fields {
    struct mk_admission in;
    struct span reason;
    uint64_t partitions;
};

enum mk_err admission_read(struct span map, struct mk_admission *out, struct mk_note *note)
{
    static const struct field table[] = {
        NEED("re", AT(admission_fields, in.re), 1, MESSAGE_ID_BYTES_MAX),
        TEXT("session", AT(admission_fields, in.session), 0, SESSION_ID_BYTES_MAX),
        NEED_ENUM("outcome", AT(admission_fields, in.outcome), mk_admitted, MK_ADMITTED_COUNT),
        BOOL("final", AT(admission_fields, in.final)),
        TEXT("existing", AT(admission_fields, in.existing), 1, MESSAGE_ID_BYTES_MAX),
        RAW("completion", AT(admission_fields, in.completion)),
        TEXT("reason", AT(admission_fields, reason), 1, MESSAGE_ID_BYTES_MAX),
        TEXT("detail", AT(admission_fields, in.detail), 0, REASON_BYTES_MAX),
        ENUM("durability", AT(admission_fields, in.durability), mk_durability, MK_DURABILITY_COUNT),
        TEXT("phase", AT(admission_fields, in.phase), 0, MESSAGE_ID_BYTES_MAX),
        UP_TO("partitions", AT(admission_fields, partitions), PARTITIONS_MAX),
    };
    struct admission_fields read = {.in = {.durability = MK_DURABILITY_MISSING}};
    enum mk_err err = fields_read(map, table, COUNT(table), &read, note);
    if (span_given(read.reason))
        read.in.reason = mk_err_parse(read.reason.at, read.reason.bytes);
    read.in.partitions = (uint32_t)read.partitions;
    *out = read.in;
    return err;
}

struct error_fields {
    struct span code, message, phase;
    bool final;
};

static enum mk_err read_error(struct span raw, const char *code_key, struct error_fields *out, struct mk_note *note)
{
    const struct field table[] = {
        {.key = code_key, .type = FIELD_TEXT, .offset = AT(error_fields, code), .most = MESSAGE_ID_BYTES_MAX},
        TEXT("message", AT(error_fields, message), 0, FRAME_BYTES_MAX),
        TEXT("phase", AT(error_fields, phase), 0, MESSAGE_ID_BYTES_MAX),
        BOOL("final", AT(error_fields, final)),
    };
    if (!span_given(raw) || is_nil(raw))
        return MK_ERR_OK;
    return fields_read_in(raw, "error", table, COUNT(table), out, note);
}

struct completion_fields {
    struct mk_completion in;
    struct span re, error, run, receipt;
};

static enum mk_err read_receipt(struct span raw, struct mk_completion *out, struct mk_note *note)
{
    static const struct field table[] = {
        NEED("run", AT(mk_receipt, run), 1, MESSAGE_ID_BYTES_MAX),
        U64("sequence", AT(mk_receipt, sequence)),
        ENUM("boundary", AT(mk_receipt, boundary), mk_boundary, MK_BOUNDARY_COUNT),
        TEXT("digest", AT(mk_receipt, digest), 0, FRAME_BYTES_MAX),
    };
    if (!span_given(raw) || is_nil(raw))
        return MK_ERR_OK;
    out->has_receipt = true;
    return fields_read_in(raw, "receipt", table, COUNT(table), &out->receipt, note);
}

enum mk_err completion_read(struct span map, struct mk_completion *out, struct mk_note *note)
{
    static const struct field table[] = {
        NEED("re", AT(completion_fields, re), 1, MESSAGE_ID_BYTES_MAX),
        SESSION("session", AT(completion_fields, in.session), true),
        TEXT("input", AT(completion_fields, in.input), 1, MESSAGE_ID_BYTES_MAX),
        NEED_ENUM("outcome", AT(completion_fields, in.outcome), mk_outcome, MK_OUTCOME_COUNT),
        RAW("result", AT(completion_fields, in.result)),
        TEXT("reason", AT(completion_fields, in.reason), 0, FRAME_BYTES_MAX),
        RAW("error", AT(completion_fields, error)),
        TEXT("aggregate", AT(completion_fields, in.aggregate), 1, MESSAGE_ID_BYTES_MAX),
        TEXT("idem", AT(completion_fields, in.idem), 1, MESSAGE_ID_BYTES_MAX),
        TEXT("run", AT(completion_fields, run), 1, MESSAGE_ID_BYTES_MAX),
        RAW("receipt", AT(completion_fields, receipt)),
        U64("seq", AT(completion_fields, in.seq)),
        TEXT("node", AT(completion_fields, in.node), 0, MESSAGE_ID_BYTES_MAX),
        U64("fence", AT(completion_fields, in.fence)),
        U64("generation", AT(completion_fields, in.generation)),
        TEXT("epoch", AT(completion_fields, in.epoch), 0, MESSAGE_ID_BYTES_MAX),
        U64("ts", AT(completion_fields, in.ts)),
    };
    struct completion_fields read = {0};
    struct error_fields error = {0};
    enum mk_err err = fields_read(map, table, COUNT(table), &read, note);
    read.in.receipt.run = read.run;
    if (!err)
        err = read_error(read.error, "kind", &error, note);
    if (!err)
        err = read_receipt(read.receipt, &read.in, note);
    if (span_given(error.code))
        read.in.error = mk_err_parse(error.code.at, error.code.bytes);
    read.in.error_message = error.message;
    if (!span_given(read.in.input))
        read.in.input = read.re;
    *out = read.in;
    return err;
}

enum mk_err effect_read(struct span map, struct effect_in *out, struct mk_note *note)
{
    static const struct field table[] = {
        SESSION("session", AT(effect_in, session), true),
        NEED("name", AT(effect_in, name), 1, FRAME_BYTES_MAX),
        RAW("data", AT(effect_in, data)),
        TEXT("node", AT(effect_in, node), 0, MESSAGE_ID_BYTES_MAX),
        TEXT("epoch", AT(effect_in, epoch), 0, MESSAGE_ID_BYTES_MAX),
        U64("seq", AT(effect_in, seq)),
        U64("fence", AT(effect_in, fence)),
        U64("generation", AT(effect_in, generation)),
        U64("ts", AT(effect_in, ts)),
    };
    *out = (struct effect_in){.seq = 0};
    return fields_read(map, table, COUNT(table), out, note);
}

struct result_fields {
    struct result_in in;
    struct span error;
};

enum mk_err result_read(struct span map, struct result_in *out, struct mk_note *note)
{
    static const struct field table[] = {
        NEED("re", AT(result_fields, in.re), 1, MESSAGE_ID_BYTES_MAX),
        TEXT("session", AT(result_fields, in.session), 0, SESSION_ID_BYTES_MAX),
        {.key = "ok", .type = FIELD_BOOL, .offset = AT(result_fields, in.ok), .required = true},
        RAW("data", AT(result_fields, in.data)),
        RAW("error", AT(result_fields, error)),
    };
    struct result_fields read = {.in = {.ok = false}};
    struct error_fields error = {0};
    enum mk_err err = fields_read(map, table, COUNT(table), &read, note);
    if (!err)
        err = read_error(read.error, "code", &error, note);
    read.in.error_code = error.code;
    read.in.error = span_given(error.code) ? mk_err_parse(error.code.at, error.code.bytes) : MK_ERR_OK;
    read.in.message = error.message;
    read.in.phase = error.phase;
    read.in.final = error.final;
    *out = read.in;
    return err;
}
