/* One child: it is started, given runs, heard, and ended; nothing that it says is believed unseen. */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "node/pool_impl.h"

#define SILENCE_MS    500   /* between the end of a pipe and the end of the child */
#define RUN_WORDS_MAX 65536 /* of one run: boundaries that come and go, inputs that are taken */
#define DRAIN_MS      1000  /* for what an ended child's pipes still hold, should somebody else keep them open */

static void on_timer(uv_timer_t *timer);

/* --- its lines in the log --- */

static void say(const struct child *child, enum trace_level level, const char *what, const char *key, struct span text)
{
    const struct trace_port *trace = &child->pool->pools->options.trace;
    struct trace_field fields[5] = {{"executor", id_span(&child->pool->name->name), 0},
                                    {"pid", {NULL, 0}, (uint64_t)child->pid}};
    size_t count = 2;
    if (child->run) {
        fields[count++] = (struct trace_field){"run", id_span(&child->run->id), 0};
        fields[count++] = (struct trace_field){"session", session_id_span(&child->run->session), 0};
    }
    if (key)
        fields[count++] = (struct trace_field){key, text, 0};
    trace->ops->line(trace->self, level, what, fields, count);
}

static void say_line(void *user, struct span line, bool cut)
{
    char text[LINE_BYTES_MAX + 8];
    size_t bytes = run_text(text, sizeof text - 4, line);
    if (cut)
        bytes += (size_t)snprintf(text + bytes, sizeof text - bytes, "...");
    say(user, TRACE_INFO, "the executor says", "line", span_bytes(text, bytes));
}

static struct lines_out lines_out(struct child *child)
{
    return (struct lines_out){say_line, child};
}

static void say_left_out(struct child *child)
{
    uint64_t count = lines_left_out(&child->lines);
    char text[64];
    if (!count)
        return;
    snprintf(text, sizeof text, "%llu, more than %d a second", (unsigned long long)count, LINES_A_SECOND);
    say(child, TRACE_WARN, "lines of an executor were left out", "lines", span_of(text));
}

/* --- its stderr --- */

static void on_window(uv_timer_t *timer)
{
    struct child *child = timer->data;
    say_left_out(child);
    if (child->streams)
        streams_hear(child->streams, true);
}

void child_wrote(struct child *child, struct span bytes)
{
    uint64_t now_ms = pools_now_ms(child->pool->pools);
    lines_feed(&child->lines, now_ms, bytes, lines_out(child));
    if (lines_full(&child->lines))
        streams_hear(child->streams, false);
    bool wait = lines_full(&child->lines) || child->lines.left_out;
    if (!wait || uv_is_active((uv_handle_t *)&child->window))
        return;
    uint64_t due_ms = lines_due_ms(&child->lines);
    uv_timer_start(&child->window, on_window, due_ms > now_ms ? due_ms - now_ms : 1, 0);
}

/* --- its start --- */

static void order(struct child *child, enum order_type type, bool busy)
{
    struct supervisor_order wish = {.type = type, .child = child->id, .life = child->life, .busy = busy};
    supervised_order(child->pool->pools->supervised, &wish);
}

void child_wake(struct child *child)
{
    struct pools *pools = child->pool->pools;
    uint64_t now_ms = pools_now_ms(pools);
    if (child->state != CHILD_ABSENT || child->pool->hidden || !pools_may_start(pools))
        return;
    if (child->crashes.due_ms > now_ms) {
        uv_timer_start(&child->timer, on_timer, child->crashes.due_ms - now_ms, 0);
        return;
    }
    child->state = CHILD_COMING;
    child->life++;
    order(child, ORDER_SPAWN, false);
}

static void could_not_start(struct child *child, const char *why)
{
    snprintf(child->reason, sizeof child->reason, "could not be started: %s", why);
    say(child, TRACE_WARN, "an executor could not be started", "why", span_of(why));
    child->state = CHILD_ABSENT;
    crashes_ended(&child->crashes, CHILD_ENDED_SENSELESS, pools_now_ms(child->pool->pools));
    child_wake(child);
    pool_mind_the_crashes(child->pool, child->reason);
}

void child_started(struct child *child, const struct supervisor_report *report, const int *fds)
{
    child->pid = report->pid;
    if (report->error && report->pid == 0) {
        could_not_start(child, strerror(report->error));
        return;
    }
    child->state = CHILD_HERE;
    child->condemned = NOT_CONDEMNED;
    child->over = false;
    child->lost = NULL;
    child->lines = (struct lines){.from_ms = child->lines.from_ms};
    child->streams = fds ? streams_open(child, fds) : NULL;
    if (child->streams)
        say(child, TRACE_DEBUG, "an executor was started", NULL, (struct span){NULL, 0});
    else
        child_condemn(child, FOR_SILENCE, "could not be listened to: %s", "no memory or no descriptors");
}

bool child_is_idle(const struct child *child)
{
    return child->state == CHILD_HERE && !child->run && !child->condemned && !child->over && !child->lost;
}

/* --- its run --- */

void child_give(struct child *child, struct pooled_run *run)
{
    uint64_t run_ms = child->pool->pools->options.run_ms;
    order(child, ORDER_BUSY, true);
    child->run = run;
    run->child = child;
    if (run_ms) {
        uv_update_time(child->pool->pools->loop);
        uv_timer_start(&child->timer, on_timer, run_ms, 0);
    }
    streams_write(child->streams, run->frame, true);
}

static bool hears(const struct child *child)
{
    return !child->condemned && !child->over && !child->lost;
}

bool child_inject(struct child *child, const struct run_input *input)
{
    struct frame_bytes *frame = hears(child) ? frame_new() : NULL;
    if (frame)
        run_inject_pack(&frame->bytes, id_span(&child->run->id), input);
    bool packed = frame && !frame->bytes.failed;
    if (packed)
        streams_write(child->streams, frame, false);
    frame_release(frame);
    return packed;
}

void child_cancel(struct child *child, bool hard)
{
    struct frame_bytes *frame = hears(child) ? frame_new() : NULL;
    if (frame)
        run_cancel_pack(&frame->bytes, id_span(&child->run->id), hard);
    if (frame && !frame->bytes.failed)
        streams_write(child->streams, frame, false);
    frame_release(frame);
    if (hard && hears(child))
        uv_timer_start(&child->timer, on_timer, CANCEL_GRACE_MS, 0);
}

static struct pooled_run *take_run(struct child *child)
{
    struct pooled_run *run = child->run;
    child->run = NULL;
    if (run)
        run->child = NULL;
    return run;
}

/* A well-formed answer of the run. */
static void settle(struct pooled_run *run)
{
    const struct run_answer *answer = run->answer;
    if (answer->cancelled && !run->asked)
        pool_run_fail(run, MK_ERR_EXECUTOR_FAILED, CAUSE_FAILED, SPAN_LIT("it was cancelled by nobody but itself"));
    else if (answer->cancelled || (answer->failed && run->asked_hard))
        pool_run_end(run, RUN_CANCELLED);
    else if (answer->failed)
        pool_run_fail(run, MK_ERR_EXECUTOR_FAILED, answer->cause, answer->message);
    else
        pool_run_end(run, answer->result_count ? RUN_RESULT : RUN_NO_RESULT);
}

static void forget_answer(struct pooled_run *run)
{
    free(run->answer);
    free(run->answer_bytes);
    run->answer = NULL;
    run->answer_bytes = NULL;
}

/* What it says while the run goes on. */
static void word(struct child *child)
{
    struct pooled_run *run = child->run;
    const struct run_answer *said = run->answer;
    if (++run->words > RUN_WORDS_MAX)
        child_condemn(child, FOR_NONSENSE, "said more than %d words in one run", RUN_WORDS_MAX);
    else if (said->word == WORD_BOUNDARY && span_equal(said->about, id_span(&run->id)))
        pool_run_boundary(run, said->yes);
    else if (said->word == WORD_BOUNDARY)
        child_condemn(child, FOR_NONSENSE, "spoke of a boundary of another run than its own");
    else if (!pool_run_injected(run, said->about, said->yes))
        child_condemn(child, FOR_NONSENSE, "spoke of an input that it was not asked to take in");
    forget_answer(run);
}

static void answered(struct child *child)
{
    struct mk_note note = {""};
    size_t bytes;
    struct pooled_run *run = child->run;
    if (streams_unread(child->streams)) { /* else every answer would leave a run behind in our memory */
        child_condemn(child, FOR_NONSENSE, "answered before it had read its run");
        return;
    }
    run->answer_bytes = framer_take(&child->framer, &bytes);
    run->answer = calloc(1, sizeof *run->answer);
    if (!run->answer)
        abort();
    enum mk_err err = run_answer_read(span_bytes(run->answer_bytes, bytes), run->input_count, run->answer, &note);
    if (err && err != MK_ERR_RESULT_TOO_LARGE) {
        char why[RUN_MESSAGE_BYTES];
        run_text(why, sizeof why, span_of(note.text));
        forget_answer(run); /* the run may begin anew */
        child_condemn(child, FOR_NONSENSE, "wrote what is no answer: %s", why);
        return;
    }
    if (!err && run->answer->word != WORD_ANSWER) {
        word(child);
        return;
    }
    if (!child->lost && !child->over)
        uv_timer_stop(&child->timer);
    crashes_answered(&child->crashes);
    order(child, ORDER_BUSY, false);
    take_run(child);
    if (err)
        pool_run_fail(run, err, CAUSE_RUNTIME_APPLY, span_of(note.text));
    else
        settle(run);
}

/* --- its stdout --- */

/* Who prints a greeting there has its first four letters taken for a length. */
static void too_large(struct child *child)
{
    char letters[8];
    run_text(letters, 5, span_bytes(child->framer.head, 4));
    child_condemn(child, FOR_SIZE, "announced an answer of %u bytes, limit %zu (as text: \"%s\")",
                  (unsigned)framer_announced(&child->framer), child->framer.most, letters);
}

void child_said(struct child *child, struct span bytes)
{
    while (bytes.bytes && !child->condemned) {
        if (!child->run) {
            child_condemn(child, FOR_NONSENSE, "wrote to its stdout while it had no run");
            return;
        }
        switch (framer_feed(&child->framer, &bytes)) {
        case FRAMER_MORE:
            break;
        case FRAMER_WHOLE:
            answered(child);
            break;
        case FRAMER_TOO_LARGE:
            too_large(child);
            break;
        case FRAMER_EMPTY:
            child_condemn(child, FOR_NONSENSE, "announced an answer of no bytes");
            break;
        case FRAMER_NO_MEMORY:
            child_condemn(child, FOR_SIZE, "answers more than there is memory for");
            break;
        }
    }
    pools_dispatch(child->pool->pools);
}

/* It has ended, most likely, and its end will be reported, which says more. */
static void lose(struct child *child, const char *what)
{
    if (child->over || child->condemned || child->lost)
        return;
    child->lost = what;
    uv_timer_start(&child->timer, on_timer, SILENCE_MS, 0);
}

void child_silent(struct child *child)
{
    lose(child, "closed its stdout");
}

void child_deaf(struct child *child)
{
    lose(child, "closed its stdin");
}

/* --- its end --- */

void child_condemn(struct child *child, enum condemned why, const char *format, ...)
{
    va_list arguments;
    child->condemned = why;
    va_start(arguments, format);
    vsnprintf(child->reason, sizeof child->reason, format, arguments);
    va_end(arguments);
    if (child->over)
        return;
    order(child, ORDER_KILL, false);
    if (child->streams && why != FOR_SILENCE)
        streams_close_out(child->streams);
}

/* By itself: the status says more than that its pipes were closed before. */
static void describe(struct child *child)
{
    int status = child->ended.status;
    if (child->ended.why == WHY_FEED && !child->condemned)
        snprintf(child->reason, sizeof child->reason, "was ended: the node's leases had run out");
    else if (child->condemned && (child->condemned != FOR_SILENCE || child->ended.why != WHY_ITSELF))
        return;
    else if (WIFEXITED(status))
        snprintf(child->reason, sizeof child->reason, "ended with exit status %d", WEXITSTATUS(status));
    else
        snprintf(child->reason, sizeof child->reason, "was ended by signal %d", WTERMSIG(status));
}

static enum child_end kind_of_end(const struct child *child)
{
    switch (child->condemned) {
    case FOR_NONSENSE:
        return CHILD_ENDED_SENSELESS;
    case FOR_SIZE:
    case FOR_DEADLINE:
    case FOR_CANCEL:
    case FOR_STOP:
        return CHILD_ENDED_BY_US;
    case FOR_SILENCE:
    case NOT_CONDEMNED:
        break;
    }
    if (child->ended.why == WHY_FEED)
        return CHILD_ENDED_BY_US;
    return child->run ? CHILD_ENDED_MIDWAY : CHILD_ENDED_IDLE;
}

/* What the run that it had ends as. */
static void end_run(const struct child *child, struct pooled_run *run)
{
    char text[RUN_MESSAGE_BYTES];
    bool feed = child->ended.why == WHY_FEED && !child->condemned;
    snprintf(text, sizeof text, "its child %s", child->reason);
    if (child->condemned == FOR_STOP)
        pool_run_end(run, RUN_STOPPED);
    else if (child->condemned == FOR_CANCEL || run->asked_hard || (feed && run->asked))
        pool_run_end(run, RUN_CANCELLED);
    else if (feed)
        pool_run_again(run);
    else if (child->condemned == FOR_SIZE)
        pool_run_fail(run, MK_ERR_RESULT_TOO_LARGE, CAUSE_RUNTIME_APPLY, span_of(text));
    else if (child->condemned == FOR_DEADLINE)
        pool_run_fail(run, MK_ERR_EXECUTOR_FAILED, CAUSE_TIME_BUDGET_EXCEEDED, span_of(text));
    else
        pool_run_fail(run, MK_ERR_EXECUTOR_FAILED, CAUSE_RUNTIME_APPLY, span_of(text));
}

static void conclude(struct child *child)
{
    struct pools *pools = child->pool->pools;
    uint64_t now_ms = pools_now_ms(pools);
    enum child_end end = kind_of_end(child);
    bool ours = end == CHILD_ENDED_BY_US || (end == CHILD_ENDED_IDLE && child->crashes.answered);
    lines_end(&child->lines, now_ms, lines_out(child));
    say_left_out(child);
    describe(child);
    say(child, ours ? TRACE_INFO : TRACE_WARN, "an executor ended", "why", span_of(child->reason));
    if (child->ended.left)
        say(child, TRACE_ERROR, "processes of an executor do not end", NULL, (struct span){NULL, 0});
    uv_timer_stop(&child->timer);
    uv_timer_stop(&child->window);
    streams_close(child->streams);
    child->streams = NULL;
    framer_reset(&child->framer);
    crashes_ended(&child->crashes, end, now_ms);
    struct pooled_run *run = take_run(child);
    child->state = CHILD_ABSENT;
    child_wake(child);
    if (run)
        end_run(child, run);
    pool_mind_the_crashes(child->pool, child->reason);
    pools_dispatch(pools);
}

void child_ended(struct child *child, const struct supervisor_report *report)
{
    child->over = true;
    child->ended = *report;
    if (!child->streams || streams_ended(child->streams)) {
        conclude(child);
        return;
    }
    uv_timer_stop(&child->window);
    streams_hear(child->streams, true);
    uv_timer_start(&child->timer, on_timer, DRAIN_MS, 0);
}

void child_read_all(struct child *child)
{
    if (child->over)
        conclude(child);
}

static void on_timer(uv_timer_t *timer)
{
    struct child *child = timer->data;
    if (child->state == CHILD_ABSENT)
        child_wake(child);
    else if (child->over)
        conclude(child);
    else if (child->lost && !child->condemned)
        child_condemn(child, FOR_SILENCE, "%s", child->lost);
    else if (child->run && !child->condemned && child->run->asked_hard)
        child_condemn(child, FOR_CANCEL, "did not end within %d ms of being cancelled", CANCEL_GRACE_MS);
    else if (child->run && !child->condemned)
        child_condemn(child, FOR_DEADLINE, "ran longer than --run-ms %llu",
                      (unsigned long long)child->pool->pools->options.run_ms);
}

/* --- life --- */

void child_open(struct child *child, struct pool *pool, uint32_t id)
{
    uv_loop_t *loop = pool->pools->loop;
    child->pool = pool;
    child->id = id;
    child->framer.most = pool->pools->options.answer_bytes_max;
    uv_timer_init(loop, &child->timer);
    uv_timer_init(loop, &child->window);
    child->timer.data = child->window.data = child;
}

void child_close(struct child *child)
{
    streams_close(child->streams);
    child->streams = NULL;
    framer_reset(&child->framer);
}
