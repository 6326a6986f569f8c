#include "node/builtin.h"

#include <stdio.h>

#include "codec/scan.h"

static const char *const names[BUILTIN_COUNT] = {
    [BUILTIN_ECHO] = "echo", [BUILTIN_COUNTER] = "counter", [BUILTIN_SLEEP] = "sleep", [BUILTIN_FAIL] = "fail"};

const char *builtin_name(enum builtin builtin)
{
    return names[builtin];
}

enum builtin builtin_parse(struct span name)
{
    enum builtin b = BUILTIN_ECHO;
    while (b < BUILTIN_COUNT && !span_is(name, names[b]))
        b++;
    return b;
}

/* --- bodies: msgpack that was scanned when the input came --- */

/* False: no integer, or one that 63 bits and a sign cannot hold. */
static bool read_integer(struct span bytes, int64_t *out)
{
    struct cursor cursor = cursor_of(bytes);
    struct value value;
    if (!bytes.bytes || !cursor_read(&cursor, &value))
        return false;
    if (value.type == VALUE_NEGATIVE)
        *out = value.negative;
    else if (value.type == VALUE_UINT && value.number <= INT64_MAX)
        *out = (int64_t)value.number;
    else
        return false;
    return true;
}

static uint64_t read_ms(struct span body)
{
    int64_t ms;
    return read_integer(body, &ms) && ms > 0 ? (uint64_t)ms : 0;
}

/* What `fail` was asked for: to fail attempts 1..n, or all. 0: none. */
static uint64_t read_failures(struct span body)
{
    struct cursor cursor = cursor_of(body);
    struct value map, key, value;
    struct span bytes;
    int64_t failures = 0;
    if (!body.bytes || !cursor_read(&cursor, &map) || map.type != VALUE_MAP)
        return 0;
    for (uint64_t i = 0; i < map.number; i++) {
        if (!cursor_read(&cursor, &key) || !cursor_skip(&cursor, &bytes))
            return 0;
        struct cursor inner = cursor_of(bytes);
        bool named = key.type == VALUE_STR && cursor_read(&inner, &value);
        if (named && span_is(key.text, "die") && value.type == VALUE_BOOL && value.number)
            return UINT64_MAX;
        if (named && span_is(key.text, "fail"))
            read_integer(bytes, &failures);
    }
    return failures > 0 ? (uint64_t)failures : 0;
}

/* --- results --- */

/* One msgpack integer, as the codec's scanner reads it. */
static void put_integer(struct buf *out, int64_t number)
{
    char bytes[9] = {(char)0xd3};
    if (number >= 0 && number < 128) {
        bytes[0] = (char)number;
        buf_append(out, bytes, 1);
        return;
    }
    for (int i = 0; i < 8; i++)
        bytes[1 + i] = (char)((uint64_t)number >> (56 - 8 * i));
    buf_append(out, bytes, sizeof bytes);
}

/* What was appended since `from` is the next input's result. Its place is known once the buffer has stopped growing. */
static void end_result(struct builtin_run *out, size_t from)
{
    out->results[out->done.result_count++].bytes = out->bytes.bytes - from;
}

static void echo(struct builtin_run *out, struct span body)
{
    size_t from = out->bytes.bytes;
    struct span nil = SPAN_LIT("\xc0");
    struct span result = body.bytes ? body : nil;
    buf_append(&out->bytes, result.at, result.bytes);
    end_result(out, from);
}

static void fail(struct builtin_run *out, enum mk_err error, const char *message)
{
    snprintf(out->message, sizeof out->message, "%s", message);
    out->done.end = RUN_FAILED;
    out->done.cause = CAUSE_RUNTIME_APPLY;
    out->done.error = error;
    out->done.message = span_of(out->message);
    out->done.results = NULL;
    out->done.result_count = 0;
    out->done.has_state = false;
}

/* --- the builtins --- */

static void echo_all(struct builtin_run *out, const struct run_request *request)
{
    for (size_t i = 0; i < request->input_count; i++)
        echo(out, request->inputs[i].input->body);
}

static void count(struct builtin_run *out, const struct run_request *request)
{
    int64_t total = 0;
    if (span_given(request->state) && !read_integer(request->state, &total)) {
        fail(out, MK_ERR_EXECUTOR_FAILED, "the session's state is no counter's");
        return;
    }
    for (size_t i = 0; i < request->input_count; i++) {
        size_t from = out->bytes.bytes;
        int64_t n;
        if (!read_integer(request->inputs[i].input->body, &n))
            n = 1;
        if (__builtin_add_overflow(total, n, &total)) {
            fail(out, MK_ERR_EXECUTOR_FAILED, "the sum does not fit 64 bits");
            return;
        }
        buf_append(&out->bytes, "\x81\xa5value", 7);
        put_integer(&out->bytes, total);
        end_result(out, from);
    }
    put_integer(&out->bytes, total);
    out->done.has_state = true;
}

static void sleep_all(struct builtin_run *out, const struct run_request *request)
{
    for (size_t i = 0; i < request->input_count; i++) {
        uint64_t ms = read_ms(request->inputs[i].input->body);
        out->delay_ms = ms > UINT64_MAX - out->delay_ms ? UINT64_MAX : out->delay_ms + ms;
    }
    echo_all(out, request);
}

static void fail_some(struct builtin_run *out, const struct run_request *request)
{
    for (size_t i = 0; i < request->input_count; i++) {
        char message[96];
        uint64_t attempt = request->inputs[i].attempts;
        uint64_t failures = read_failures(request->inputs[i].input->body);
        if (attempt > failures)
            continue;
        snprintf(message, sizeof message, "attempt %llu failed, as it was asked to", (unsigned long long)attempt);
        fail(out, MK_ERR_EXECUTOR_FAILED, message);
        return;
    }
    echo_all(out, request);
}

/* The buffer has its final place: results and state get theirs. */
static void place(struct builtin_run *out)
{
    const char *at = out->bytes.at;
    if (out->done.end != RUN_RESULT)
        return;
    for (size_t i = 0; i < out->done.result_count; i++) {
        out->results[i].at = at;
        at += out->results[i].bytes;
    }
    out->done.results = out->results;
    if (out->done.has_state)
        out->done.state = span_bytes(at, (size_t)(out->bytes.at + out->bytes.bytes - at));
}

void builtin_apply(struct builtin_run *out, enum builtin builtin, const struct run_request *request)
{
    static void (*const apply[BUILTIN_COUNT])(struct builtin_run *, const struct run_request *) = {
        [BUILTIN_ECHO] = echo_all, [BUILTIN_COUNTER] = count, [BUILTIN_SLEEP] = sleep_all, [BUILTIN_FAIL] = fail_some};
    out->done = (struct run_done){.run = request->run->id, .attempt = request->run->attempt, .end = RUN_RESULT};
    apply[builtin](out, request);
    if (out->bytes.failed)
        fail(out, MK_ERR_OVERLOADED, "no memory for the results");
    place(out);
}

void builtin_cut_short(struct builtin_run *run, enum run_end end)
{
    run->done = (struct run_done){.run = run->done.run, .attempt = run->done.attempt, .end = end};
}

void builtin_release(struct builtin_run *run)
{
    buf_fini(&run->bytes);
    memset(run, 0, sizeof *run);
}
