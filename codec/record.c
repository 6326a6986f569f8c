#include "codec/record.h"

#include "codec/field_table.h"
#include "codec/message.h"
#include "codec/pack.h"
#include "node/core/crc16.h"

#include <stdio.h>

#define RECORD_BYTES_MAX FRAME_BYTES_MAX

/* clang-format off */
#define NEED_U64(text, at)          {.key = text, .type = FIELD_U64, .offset = at, .required = true}
#define ID(text, at)                {.key = text, .type = FIELD_ID, .offset = at}
#define NAME(text, at)              {.key = text, .type = FIELD_TEXT, .offset = at, .most = MESSAGE_ID_BYTES_MAX}
#define BYTES(text, at)             {.key = text, .type = FIELD_BYTES, .offset = at, .most = RECORD_BYTES_MAX}
/* clang-format on */

#define NAMED(names, type, function)                                                                                   \
    static const char *names##_text(unsigned value)                                                                    \
    {                                                                                                                  \
        return function((enum type)value);                                                                             \
    }
NAMED(phase, phase, phase_name)
NAMED(input_phase, input_phase, input_phase_name)
NAMED(abandon, abandon_reason, abandon_reason_name)
NAMED(outcome, mk_outcome, mk_outcome_name)
NAMED(boundary, mk_boundary, mk_boundary_name)

static const char *lane_text(unsigned value)
{
    return value == LANE_STEER ? "steer" : "queue";
}

static const char *fact_text(unsigned value)
{
    static const char *const names[FACT_KIND_COUNT] = {
        [FACT_INPUT] = "input", [FACT_KEY] = "key", [FACT_COMMAND] = "command", [FACT_RECEIPT] = "receipt"};
    return value < FACT_KIND_COUNT ? names[value] : "unknown";
}

static enum mk_err check_version(uint64_t version, uint64_t known, const char *what, struct mk_note *note)
{
    if (version == known)
        return MK_ERR_OK;
    return err_set(note, MK_ERR_UNSUPPORTED_VERSION, "%s record of version %llu, known %llu", what,
                   (unsigned long long)version, (unsigned long long)known);
}

/* --- sequences in clear text: "3,5-9" --- */

static void pack_ranges(struct buf *out, const uint64_t *list, size_t count)
{
    for (size_t i = 0; i < count;) {
        size_t last = i;
        while (last + 1 < count && list[last + 1] == list[last] + 1)
            last++;
        char text[48];
        int bytes = last == i ? snprintf(text, sizeof text, "%s%llu", i ? "," : "", (unsigned long long)list[i])
                              : snprintf(text, sizeof text, "%s%llu-%llu", i ? "," : "", (unsigned long long)list[i],
                                         (unsigned long long)list[last]);
        buf_append(out, text, (size_t)bytes);
        i = last + 1;
    }
}

static bool read_digits(struct span text, size_t *at, uint64_t *out)
{
    size_t from = *at;
    *out = 0;
    while (*at < text.bytes && text.at[*at] >= '0' && text.at[*at] <= '9' && *at - from < 18)
        *out = 10 * *out + (uint64_t)(text.at[(*at)++] - '0');
    return *at > from;
}

/* Ascending, at most ACTIVE_INPUTS_MAX in all. */
static bool read_ranges(struct span text, uint64_t *list, size_t *count)
{
    size_t at = 0;
    *count = 0;
    while (at < text.bytes) {
        uint64_t first, last;
        if (!read_digits(text, &at, &first))
            return false;
        last = first;
        if (at < text.bytes && text.at[at] == '-') {
            at++;
            if (!read_digits(text, &at, &last))
                return false;
        }
        bool ascending = first > (*count ? list[*count - 1] : 0) && last >= first;
        if (!ascending || last - first >= ACTIVE_INPUTS_MAX - *count)
            return false;
        for (uint64_t seq = first; seq <= last; seq++)
            list[(*count)++] = seq;
        if (at < text.bytes && (text.at[at++] != ',' || at == text.bytes))
            return false;
    }
    return true;
}

/* --- head --- */

static void pack_binding(struct map_pack *outer, const struct binding *in)
{
    struct map_pack map;
    map_key(outer, "b");
    map_open(&map, outer->out);
    map_bool(&map, "rt", in->runtime);
    if (in->has_fence)
        map_u64(&map, "f", in->fence);
    if (in->has_generation)
        map_u64(&map, "g", in->generation);
    map_text(&map, "e", id_span(&in->epoch));
    map_close(&map);
}

static void pack_sequences(struct map_pack *map, const char *key, const uint64_t *list, size_t count)
{
    map_key(map, key);
    msgpack_pack_array(&map->packer, count);
    for (size_t i = 0; i < count; i++)
        msgpack_pack_uint64(&map->packer, list[i]);
}

static void pack_run(struct map_pack *outer, const struct run_record *in)
{
    struct map_pack map;
    map_key(outer, "run");
    map_open(&map, outer->out);
    map_text(&map, "id", id_span(&in->id));
    map_u64(&map, "at", in->attempt);
    map_some(&map, "de", in->deaths);
    map_text(&map, "bo", span_of(mk_boundary_name(in->boundary)));
    if (in->cancelled)
        map_bool(&map, "ca", true);
    pack_sequences(&map, "in", in->inputs, in->input_count);
    map_close(&map);
}

static void pack_failure(struct map_pack *outer, const struct failure_record *in)
{
    struct map_pack map;
    map_key(outer, "lf");
    map_open(&map, outer->out);
    map_u64(&map, "at", in->at_ms);
    map_text(&map, "run", id_span(&in->run));
    map_text(&map, "er", span_of(mk_err_code(in->error)));
    map_text(&map, "ms", span_bytes(in->message, in->bytes));
    if (in->will_retry)
        map_bool(&map, "re", true);
    map_close(&map);
}

void session_record_pack(struct buf *out, const struct session_record *in)
{
    struct map_pack map;
    pack_ranges(out, in->active, in->active_count);
    buf_append(out, "|", 1);
    map_open(&map, out);
    map_u64(&map, "v", in->version);
    map_text(&map, "ph", span_of(phase_name(in->phase)));
    map_bool(&map, "reg", in->registered);
    map_bool(&map, "att", in->attached);
    if (in->stop_deferred)
        map_bool(&map, "stp", true);
    pack_binding(&map, &in->binding);
    map_text(&map, "ex", in->executor);
    map_u64(&map, "na", in->next_admission);
    map_u64(&map, "ne", in->next_event);
    map_some(&map, "tc", in->terminal_count);
    map_some(&map, "hz", in->horizon_ms);
    map_some(&map, "cr", in->created_ms);
    map_some(&map, "up", in->updated_ms);
    map_text(&map, "lr", id_span(&in->last_run));
    map_some(&map, "lq", in->last_receipt_sequence);
    if (in->failure.at_ms)
        pack_failure(&map, &in->failure);
    if (in->run)
        pack_run(&map, in->run);
    if (in->injected_count)
        pack_sequences(&map, "inj", in->injected, in->injected_count);
    map_close(&map);
}

struct binding_fields {
    struct binding binding;
    uint64_t fence, generation;
};

static enum mk_err read_binding(struct span raw, struct binding *out, struct mk_note *note)
{
    static const struct field table[] = {
        BOOL("rt", AT(binding_fields, binding.runtime)),
        U64("f", AT(binding_fields, fence)),
        U64("g", AT(binding_fields, generation)),
        ID("e", AT(binding_fields, binding.epoch)),
    };
    struct binding_fields read = {.fence = UINT64_MAX, .generation = UINT64_MAX};
    enum mk_err err = span_given(raw) ? fields_read_in(raw, "b", table, COUNT(table), &read, note) : MK_ERR_OK;
    read.binding.has_fence = read.fence != UINT64_MAX;
    read.binding.has_generation = read.generation != UINT64_MAX;
    read.binding.fence = read.binding.has_fence ? read.fence : 0;
    read.binding.generation = read.binding.has_generation ? read.generation : 0;
    *out = read.binding;
    return err;
}

struct run_fields {
    struct run_record run;
    struct span inputs;
};

/* Admission sequences, in the order of the list. */
struct sequences {
    const char *key;
    uint64_t *list;
    size_t *count, most;
};

static enum mk_err read_sequences(struct span raw, const struct sequences *out, struct mk_note *note)
{
    struct cursor cursor = cursor_of(raw);
    struct value value;
    if (!cursor_read(&cursor, &value) || value.type != VALUE_ARRAY || value.number > out->most)
        return err_set(note, MK_ERR_INVALID_FIELD, "%s: an array of at most %zu numbers wanted", out->key, out->most);
    for (uint64_t left = value.number; left > 0; left--) {
        if (!cursor_read(&cursor, &value) || value.type != VALUE_UINT)
            return err_set(note, MK_ERR_INVALID_FIELD, "%s: numbers wanted", out->key);
        out->list[(*out->count)++] = value.number;
    }
    return MK_ERR_OK;
}

static enum mk_err read_run(struct span raw, struct run_record *out, struct mk_note *note)
{
    static const struct field table[] = {
        {.key = "id", .type = FIELD_ID, .offset = AT(run_fields, run.id), .required = true},
        NEED_U64("at", AT(run_fields, run.attempt)),
        U64("de", AT(run_fields, run.deaths)),
        NEED_ENUM("bo", AT(run_fields, run.boundary), boundary, MK_BOUNDARY_COUNT),
        BOOL("ca", AT(run_fields, run.cancelled)),
        {.key = "in", .type = FIELD_RAW, .offset = AT(run_fields, inputs), .required = true},
    };
    struct run_fields read = {.run = {.attempt = 0}};
    enum mk_err err = fields_read_in(raw, "run", table, COUNT(table), &read, note);
    const struct sequences inputs = {"run.in", read.run.inputs, &read.run.input_count, RUN_INPUTS_MAX};
    if (!err)
        err = read_sequences(read.inputs, &inputs, note);
    *out = read.run;
    return err;
}

struct failure_fields {
    struct failure_record failure;
    struct span error, message;
};

/* The code of an error that this program does not know yet reads as `internal`: nobody but people reads it. */
static enum mk_err read_failure(struct span raw, struct failure_record *out, struct mk_note *note)
{
    static const struct field table[] = {
        NEED_U64("at", AT(failure_fields, failure.at_ms)),
        ID("run", AT(failure_fields, failure.run)),
        NAME("er", AT(failure_fields, error)),
        {.key = "ms", .type = FIELD_TEXT, .offset = AT(failure_fields, message), .most = FAILURE_BYTES_MAX},
        BOOL("re", AT(failure_fields, failure.will_retry)),
    };
    struct failure_fields read = {.failure = {.at_ms = 0}};
    enum mk_err err = fields_read_in(raw, "lf", table, COUNT(table), &read, note);
    read.failure.error = mk_err_parse(read.error.at, read.error.bytes);
    read.failure.bytes = read.message.bytes;
    if (!err && read.message.bytes)
        memcpy(read.failure.message, read.message.at, read.message.bytes);
    *out = read.failure;
    return err;
}

struct session_fields {
    struct session_record in;
    struct span binding, run, failure, injected;
};

static const struct field session_table[] = {
    NEED_U64("v", AT(session_fields, in.version)),
    NEED_ENUM("ph", AT(session_fields, in.phase), phase, PHASE_COUNT),
    BOOL("reg", AT(session_fields, in.registered)),
    BOOL("att", AT(session_fields, in.attached)),
    BOOL("stp", AT(session_fields, in.stop_deferred)),
    RAW("b", AT(session_fields, binding)),
    NAME("ex", AT(session_fields, in.executor)),
    NEED_U64("na", AT(session_fields, in.next_admission)),
    NEED_U64("ne", AT(session_fields, in.next_event)),
    U64("tc", AT(session_fields, in.terminal_count)),
    U64("hz", AT(session_fields, in.horizon_ms)),
    U64("cr", AT(session_fields, in.created_ms)),
    U64("up", AT(session_fields, in.updated_ms)),
    ID("lr", AT(session_fields, in.last_run)),
    U64("lq", AT(session_fields, in.last_receipt_sequence)),
    RAW("lf", AT(session_fields, failure)),
    RAW("run", AT(session_fields, run)),
    RAW("inj", AT(session_fields, injected)),
};

/* The version is looked at first: a record of another one may have quite other keys. */
static enum mk_err read_version(struct span map, uint64_t known, const char *what, struct mk_note *note)
{
    static const struct field table[] = {{.key = "v", .type = FIELD_U64, .required = true}};
    uint64_t version = 0;
    enum mk_err err = scan_whole(map, note);
    if (!err)
        err = fields_read(map, table, 1, &version, note);
    return err ? err : check_version(version, known, what, note);
}

enum mk_err session_record_read(struct span bytes, struct session_record *out, struct run_record *run, uint64_t *active,
                                struct mk_note *note)
{
    const char *bar = bytes.bytes ? memchr(bytes.at, '|', bytes.bytes) : NULL;
    if (!bar)
        return err_set(note, MK_ERR_MALFORMED, "a session record without its sequences");
    struct span ranges = {bytes.at, (size_t)(bar - bytes.at)}, map = {bar + 1, bytes.bytes - ranges.bytes - 1};
    struct session_fields read = {.in = {.active = active}};
    enum mk_err err = read_version(map, SESSION_RECORD_VERSION, "a session", note);
    if (!err)
        err = fields_read(map, session_table, COUNT(session_table), &read, note);
    if (!err)
        err = read_binding(read.binding, &read.in.binding, note);
    if (!err && span_given(read.failure))
        err = read_failure(read.failure, &read.in.failure, note);
    if (!err && span_given(read.run)) {
        err = read_run(read.run, run, note);
        read.in.run = run;
    }
    const struct sequences injected = {"inj", read.in.injected, &read.in.injected_count, INJECTED_MAX};
    if (!err && span_given(read.injected))
        err = read_sequences(read.injected, &injected, note);
    if (!err && !read_ranges(ranges, active, &read.in.active_count))
        err = err_set(note, MK_ERR_MALFORMED, "a session record's sequences cannot be read");
    *out = read.in;
    return err;
}

/* --- input --- */

void input_record_pack(struct buf *out, const struct input_record *in)
{
    struct map_pack map;
    map_open(&map, out);
    map_u64(&map, "v", in->version);
    map_u64(&map, "seq", in->seq);
    if (in->order != in->seq)
        map_u64(&map, "ord", in->order);
    map_text(&map, "ln", span_of(lane_text(in->lane)));
    map_text(&map, "ph", span_of(input_phase_name(in->phase)));
    map_some(&map, "at", in->attempts);
    map_some(&map, "de", in->deaths);
    map_some(&map, "rc", in->recoveries);
    map_text(&map, "lr", in->last_run);
    map_some(&map, "lb", in->last_boundary_sequence);
    if (in->resume_pending)
        map_bool(&map, "rp", true);
    if (in->admitted_while_running)
        map_bool(&map, "wr", true);
    if (in->silent)
        map_bool(&map, "si", true);
    map_u64(&map, "ad", in->admitted_ms);
    map_some(&map, "dl", in->deadline_at_ms);
    map_key(&map, "in");
    input_pack(out, &in->input);
    map_close(&map);
}

struct input_fields {
    struct input_record in;
    uint64_t order;
    struct span input;
};

enum mk_err input_record_read(struct span bytes, struct input_record *out, struct mk_note *note)
{
    static const struct field table[] = {
        NEED_U64("v", AT(input_fields, in.version)),
        NEED_U64("seq", AT(input_fields, in.seq)),
        U64("ord", AT(input_fields, order)),
        NEED_ENUM("ln", AT(input_fields, in.lane), lane, 2),
        NEED_ENUM("ph", AT(input_fields, in.phase), input_phase, INPUT_PHASE_COUNT),
        U64("at", AT(input_fields, in.attempts)),
        U64("de", AT(input_fields, in.deaths)),
        U64("rc", AT(input_fields, in.recoveries)),
        NAME("lr", AT(input_fields, in.last_run)),
        U64("lb", AT(input_fields, in.last_boundary_sequence)),
        BOOL("rp", AT(input_fields, in.resume_pending)),
        BOOL("wr", AT(input_fields, in.admitted_while_running)),
        BOOL("si", AT(input_fields, in.silent)),
        U64("ad", AT(input_fields, in.admitted_ms)),
        U64("dl", AT(input_fields, in.deadline_at_ms)),
        {.key = "in", .type = FIELD_RAW, .offset = AT(input_fields, input), .required = true},
    };
    struct input_fields read = {.order = UINT64_MAX};
    enum mk_err err = read_version(bytes, INPUT_RECORD_VERSION, "an input", note);
    if (!err)
        err = fields_read(bytes, table, COUNT(table), &read, note);
    if (!err)
        err = input_read(read.input, &read.in.input, note);
    read.in.order = read.order == UINT64_MAX ? read.in.seq : read.order;
    *out = read.in;
    return err;
}

/* --- fact --- */

void fact_record_pack(struct buf *out, const struct fact_record *in)
{
    struct map_pack map;
    map_open(&map, out);
    map_u64(&map, "v", in->version);
    map_text(&map, "k", span_of(fact_text(in->kind)));
    map_u64(&map, "at", in->at_ms);
    if (in->ephemeral)
        map_bool(&map, "ep", true);
    map_some(&map, "st", in->stamp);
    map_some(&map, "dg", in->digest);
    map_text(&map, "in", in->input);
    if (in->kind == FACT_INPUT) {
        map_text(&map, "ph", span_of(input_phase_name(in->phase)));
        map_text(&map, "oc", span_of(mk_outcome_name(in->outcome)));
    }
    if (in->reason != ABANDON_NONE)
        map_text(&map, "rs", span_of(abandon_reason_name(in->reason)));
    map_some(&map, "ev", in->event);
    map_some(&map, "tr", in->attempts);
    map_text(&map, "run", in->run);
    map_bytes(&map, "by", in->bytes);
    map_close(&map);
}

enum mk_err fact_record_read(struct span bytes, struct fact_record *out, struct mk_note *note)
{
    static const struct field table[] = {
        NEED_U64("v", AT(fact_record, version)),
        NEED_ENUM("k", AT(fact_record, kind), fact, FACT_KIND_COUNT),
        NEED_U64("at", AT(fact_record, at_ms)),
        BOOL("ep", AT(fact_record, ephemeral)),
        U64("st", AT(fact_record, stamp)),
        U64("dg", AT(fact_record, digest)),
        NAME("in", AT(fact_record, input)),
        ENUM("ph", AT(fact_record, phase), input_phase, INPUT_PHASE_COUNT),
        ENUM("oc", AT(fact_record, outcome), outcome, MK_OUTCOME_COUNT),
        ENUM("rs", AT(fact_record, reason), abandon, ABANDON_REASON_COUNT),
        U64("ev", AT(fact_record, event)),
        U64("tr", AT(fact_record, attempts)),
        NAME("run", AT(fact_record, run)),
        BYTES("by", AT(fact_record, bytes)),
    };
    *out = (struct fact_record){.version = 0};
    enum mk_err err = read_version(bytes, FACT_RECORD_VERSION, "a fact", note);
    return err ? err : fields_read(bytes, table, COUNT(table), out, note);
}

/* --- memo --- */

void memo_record_pack(struct buf *out, const struct memo_record *in)
{
    struct map_pack map;
    map_open(&map, out);
    map_u64(&map, "v", in->version);
    map_text(&map, "k", span_of(fact_text(in->kind)));
    map_text(&map, "n", in->name);
    map_u64(&map, "at", in->at_ms);
    map_close(&map);
}

enum mk_err memo_record_read(struct span bytes, struct memo_record *out, struct mk_note *note)
{
    static const struct field table[] = {
        NEED_U64("v", AT(memo_record, version)),
        NEED_ENUM("k", AT(memo_record, kind), fact, FACT_KIND_COUNT),
        {.key = "n",
         .type = FIELD_TEXT,
         .offset = AT(memo_record, name),
         .least = 1,
         .most = MESSAGE_ID_BYTES_MAX,
         .required = true},
        NEED_U64("at", AT(memo_record, at_ms)),
    };
    *out = (struct memo_record){.version = 0};
    enum mk_err err = read_version(bytes, MEMO_RECORD_VERSION, "a memo", note);
    return err ? err : fields_read(bytes, table, COUNT(table), out, note);
}

size_t memo_field(char *out, struct span session)
{
    *out = '/';
    memcpy(out + 1, session.at, session.bytes);
    return session.bytes + 1;
}

struct span memo_session(struct span field)
{
    bool memo = field.bytes > 1 && field.at[0] == '/';
    return memo ? (struct span){field.at + 1, field.bytes - 1} : (struct span){NULL, 0};
}

/* --- fields --- */

static const char fact_letters[FACT_KIND_COUNT] = {
    [FACT_INPUT] = 'i', [FACT_KEY] = 'k', [FACT_COMMAND] = 'c', [FACT_RECEIPT] = 'r'};

size_t fact_field(char *out, struct span session, enum fact_kind kind, struct span name)
{
    char *at = out;
    memcpy(at, session.at, session.bytes);
    at += session.bytes;
    *at++ = '/';
    *at++ = fact_letters[kind];
    *at++ = '/';
    memcpy(at, name.at, name.bytes);
    return (size_t)(at - out) + name.bytes;
}

bool fact_field_split(struct span field, struct span *session, enum fact_kind *kind, struct span *name)
{
    const char *slash = field.bytes ? memchr(field.at, '/', field.bytes) : NULL;
    size_t before = slash ? (size_t)(slash - field.at) : 0;
    if (!slash || field.bytes < before + 4 || slash[2] != '/')
        return false;
    *session = (struct span){field.at, before};
    *name = (struct span){slash + 3, field.bytes - before - 3};
    for (size_t i = 0; i < FACT_KIND_COUNT; i++)
        if (fact_letters[i] == slash[1]) {
            *kind = (enum fact_kind)i;
            return session_id_valid(*session) && name->bytes <= MESSAGE_ID_BYTES_MAX;
        }
    return false;
}

size_t input_field(char *out, struct span session, uint64_t seq)
{
    memcpy(out, session.at, session.bytes);
    return session.bytes + (size_t)snprintf(out + session.bytes, 22, "/%llu", (unsigned long long)seq);
}
