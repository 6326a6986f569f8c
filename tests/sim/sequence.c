#include "tests/sim/sequence.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "node/core/crc16.h"

#define FOUND_SEQUENCES "tests/sim/sequences.txt"
#define ALL_REACHED_BY  10000 /* so many sequences reach everything */
#define STEPS_MIN       10
#define PAUSE           (100 * MILLISECOND) /* where it is quiet */
#define INGESTED_PAUSE  (4 * SECOND)
#define PATIENCE        (400 * MILLISECOND) /* with what a step waits for */

struct sequence *sequence_in(struct sim *s)
{
    return s->story;
}

struct note *sequence_note(struct sequence *q, struct span session, struct span id)
{
    struct map_key storage;
    struct span key = map_key2(&storage, session, id);
    struct note *note = map_get(&q->notes, key);
    if (note)
        return note;
    note = sim_alloc(q->sim, sizeof *note);
    map_put(q->sim, &q->notes, key, note);
    return note;
}

struct life *sequence_life(struct sequence *q, struct span session)
{
    for (size_t i = 0; i < q->sessions; i++)
        if (span_equal(q->lives[i].name, session))
            return &q->lives[i];
    return NULL;
}

void sequence_tell(struct sequence *q, const char *format, ...)
{
    struct sim *s = q->sim;
    char text[200];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    sim_trace(s, "step", "%zu: %s", q->step, text);
    q->told[q->step] = sim_text(s, "%8.1f ms  %s", (double)s->now_us / 1000, text);
}

/* --- how runs end --- */

static uint64_t draw_length(struct sequence *q, uint64_t as_it_is)
{
    struct sim *s = q->sim;
    uint64_t dice = sim_below(s, 10);
    if (q->settling || dice < 5)
        return as_it_is;
    return sim_between(s, 20, dice < 8 ? 100 : dice < 9 ? 500 : s->deaf ? 3000 : 1500) * MILLISECOND;
}

static void end_otherwise(struct sim *s, struct run_done *done, enum run_end end)
{
    *done = (struct run_done){.run = done->run, .attempt = done->attempt, .end = end};
    if (end < RUN_FAILED || end == RUN_CANCELLED)
        return;
    static const enum mk_err errors[] = {MK_ERR_EXECUTOR_FAILED, MK_ERR_RESULT_TOO_LARGE, MK_ERR_OK};
    done->message = SPAN_LIT("as the sequence wants it");
    if (end != RUN_FAILED)
        return;
    done->cause = (enum failure_cause)sim_between(s, CAUSE_NONE + 1, CAUSE_COUNT - 1);
    done->error = errors[sim_below(s, 3)];
    done->final = sim_chance(s, 300000);
}

static void remember_stale(struct sequence *q, const struct run_request *request, const struct run_done *done)
{
    struct life *life = sequence_life(q, request->session);
    if (!life)
        return;
    if (life->last.attempt) {
        q->stale_session = life->name;
        q->stale = life->last;
    }
    life->last = *done;
}

static void run_started(struct sim *s, struct sim_node *node, const struct run_request *request, struct run_done *done,
                        uint64_t *takes_us)
{
    (void)node;
    struct sequence *q = sequence_in(s);
    uint64_t dice = sim_below(s, 100);
    *takes_us = draw_length(q, *takes_us);
    if (dice < 40)
        end_otherwise(s, done,
                      dice < 8    ? RUN_NO_RESULT
                      : dice < 14 ? RUN_CALLBACK_PENDING
                      : dice < 28 ? RUN_FAILED
                      : dice < 32 ? RUN_CANCELLED
                      : dice < 36 ? RUN_STOPPED
                                  : RUN_INTERNAL);
    q->cover->ends[done->end]++;
    if (done->end == RUN_FAILED)
        q->cover->causes[done->cause]++;
    model_started(q, request, done);
    remember_stale(q, request, done);
}

/* --- waiting for something to happen, event by event --- */

typedef bool wait_fn(const struct sim *s, uint64_t from);

static bool step_until(struct sim *s, wait_fn *done, uint64_t from, uint64_t within_us)
{
    uint64_t end_us = s->now_us + within_us;
    while (!done(s, from) && s->now_us < end_us)
        if (!sim_step(s))
            return false;
    return done(s, from);
}

static bool answered(const struct sim *s, uint64_t from)
{
    (void)from;
    return sim_clients_closed((struct sim *)(uintptr_t)s) && !sim_executors_running(s);
}

static bool committed(const struct sim *s, uint64_t from)
{
    return s->totals.commits != from;
}

static bool running(const struct sim *s, uint64_t from)
{
    (void)from;
    return sim_executors_running(s) != 0;
}

static bool fewer_run(const struct sim *s, uint64_t from)
{
    return sim_executors_running(s) < from;
}

static bool crashed(const struct sim *s, uint64_t from)
{
    return s->totals.crashes != from;
}

static void some_events(struct sim *s, uint64_t most)
{
    for (uint64_t left = sim_between(s, 1, most); left && sim_step(s);)
        left--;
}

static void go_on(struct sim *s)
{
    uint64_t dice = sim_below(s, 100);
    if (dice < 40)
        step_until(s, answered, 0, sim_between(s, 50, 400) * MILLISECOND);
    else if (dice < 65)
        some_events(s, 40);
    else if (dice < 90)
        sim_run_for(s, sim_between(s, 0, 20) * MILLISECOND);
}

/* --- trouble --- */

static size_t owner_of(struct sequence *q)
{
    struct sim *s = q->sim;
    struct span session = q->lives[sim_below(s, q->sessions)].name;
    struct span owner = s->checks->partitions[partition_of(session, s->config.partitions)].lease.node;
    for (size_t i = 0; i < s->config.nodes; i++)
        if (span_is(owner, s->nodes[i]->name))
            return i;
    return sim_below(s, s->config.nodes);
}

static void start_again(struct sim *s, void *self, uint64_t life)
{
    struct sim_node *node = self;
    if (!node->driver && node->life == life)
        sim_node_start(s, node->index);
}

static bool approach(struct sequence *q, enum sequence_crash where)
{
    struct sim *s = q->sim;
    switch (where) {
    case CRASH_AT_REST:
        return step_until(s, answered, 0, PATIENCE);
    case CRASH_BETWEEN_EVENTS:
        some_events(s, 60);
        return true;
    case CRASH_BEHIND_COMMIT:
        return step_until(s, committed, s->totals.commits, PATIENCE);
    case CRASH_BEHIND_REPLY:
        if (!step_until(s, committed, s->totals.commits, PATIENCE))
            return false;
        sim_run_for(s, sim_between(s, 300, 1200));
        return true;
    case CRASH_IN_A_TURN:
        sim_fail(s, FAULT_NODE_CRASH_IN_TURN, (unsigned)sim_below(s, 4), 1);
        return !step_until(s, crashed, s->totals.crashes, PATIENCE);
    case CRASH_IN_A_RUN:
        return step_until(s, running, 0, PATIENCE);
    case CRASH_BEHIND_RUN:
        return step_until(s, running, 0, PATIENCE) && step_until(s, fewer_run, sim_executors_running(s), PATIENCE);
    case CRASH_IN_HANDOVER:
        sim_node_leave(s, owner_of(q));
        some_events(s, 60);
        return true;
    case CRASH_COUNT:
        break;
    }
    return false;
}

static void crash_step(struct sequence *q)
{
    struct sim *s = q->sim;
    enum sequence_crash where = (enum sequence_crash)sim_below(s, CRASH_COUNT);
    uint64_t before = s->totals.crashes;
    sequence_tell(q, "a crash: %s", cover_crash_name(where));
    bool here = approach(q, where);
    if (here && where != CRASH_IN_A_TURN && !sim_store_half_done(s))
        sim_node_crash(s, owner_of(q));
    sim_fail(s, FAULT_NODE_CRASH_IN_TURN, 0, 0);
    q->cover->crashes[where] += s->totals.crashes - before;
}

static void store_step(struct sequence *q)
{
    static const enum fault faults[] = {FAULT_STORE_LOST_BEFORE, FAULT_STORE_LOST_AFTER, FAULT_STORE_LATE,
                                        FAULT_STORE_REFUSES,     FAULT_STORE_SLOW,       FAULT_STORE_DIES};
    static const enum script scripts[] = {SCRIPT_COMMIT, SCRIPT_COMMIT, SCRIPT_COMMIT, SCRIPT_RENEW, SCRIPT_CLAIM};
    struct sim *s = q->sim;
    uint64_t dice = sim_below(s, 8);
    if (dice < 6 && !(faults[dice] == FAULT_STORE_DIES && s->config.nodes > 1)) {
        enum script script = faults[dice] == FAULT_STORE_DIES ? SCRIPT_COMMIT : scripts[sim_below(s, 5)];
        sim_fail_call(s, faults[dice], script, (unsigned)sim_below(s, 3), 1);
        sequence_tell(q, "to come: %s, %s", fault_name(faults[dice]), script_name(script));
    } else if (dice == 6) {
        sim_store_down(s, sim_between(s, 20, 700) * MILLISECOND);
        sequence_tell(q, "the store is down");
    } else {
        sim_store_clock_back(s, sim_between(s, 1, 100) * MILLISECOND);
        sequence_tell(q, "the store's clock falls back");
    }
}

static void bus_step(struct sequence *q)
{
    struct sim *s = q->sim;
    enum fault fault = sim_chance(s, 600000) ? FAULT_BUS_LOSS : FAULT_BUS_DELAY;
    sim_fail(s, fault, (unsigned)sim_below(s, 8), (unsigned)sim_between(s, 1, 3));
    sequence_tell(q, "to come: %s", fault_name(fault));
}

static void time_step(struct sequence *q)
{
    static const uint64_t most_ms[] = {30, 150, 400, 1200, 2300};
    struct sim *s = q->sim;
    uint64_t ms = sim_between(s, 1, most_ms[sim_below(s, 5)]);
    sequence_tell(q, "%llu ms pass", (unsigned long long)ms);
    sim_run_for(s, ms * MILLISECOND);
}

static void stale_step(struct sequence *q)
{
    struct sim *s = q->sim;
    struct sim_node *node = s->nodes[owner_of(q)];
    if (!q->stale_session.bytes || !node->driver)
        return;
    sequence_tell(q, "the result of run %.8s once more, which is over", q->stale.run.text);
    sim_node_run_done(node, q->stale_session, &q->stale);
}

static void restart_step(struct sequence *q)
{
    struct sim *s = q->sim;
    sequence_tell(q, "whoever is dead starts");
    for (size_t i = 0; i < s->config.nodes; i++)
        if (!s->nodes[i]->driver)
            sim_node_start(s, i);
}

static void leave_step(struct sequence *q)
{
    struct sim *s = q->sim;
    size_t node = owner_of(q);
    if (sim_store_half_done(s))
        return;
    sequence_tell(q, "%s is asked to leave", s->nodes[node]->name);
    sim_node_leave(s, node);
    if (sim_chance(s, 500000))
        sim_run_for(s, sim_between(s, 1, 300) * MILLISECOND);
}

static void pause_step(struct sequence *q)
{
    struct sim *s = q->sim;
    size_t node = owner_of(q);
    sequence_tell(q, "%s pauses", s->nodes[node]->name);
    if (!sim_store_half_done(s))
        sim_node_pause(s, node, sim_between(s, 10, 900) * MILLISECOND);
}

/* --- steps --- */

/* clang-format off */
static const struct {
    unsigned weight;
    bool trouble;
} drawn_steps[STEP_COUNT] = {
    [STEP_INPUT]         = {340, false},
    [STEP_WRONG_INPUT]   = {25,  false},
    [STEP_COMMAND]       = {430, false},
    [STEP_WRONG_COMMAND] = {25,  false},
    [STEP_LATE_COMMAND]  = {25,  false},
    [STEP_REPEAT]        = {60,  false},
    [STEP_CONFLICT]      = {20,  false},
    [STEP_GARBAGE]       = {5,   false},
    [STEP_NODE_COMMAND]  = {15,  false},
    [STEP_TIME]          = {50,  false},
    [STEP_DEAF]          = {15,  true},
    [STEP_STALE_RESULT]  = {20,  true},
    [STEP_STORE_FAULT]   = {40,  true},
    [STEP_BUS_FAULT]     = {15,  true},
    [STEP_CRASH]         = {40,  true},
    [STEP_RESTART]       = {15,  true},
    [STEP_LEAVE]         = {12,  true},
    [STEP_PAUSE]         = {8,   true},
};
/* clang-format on */

static enum sequence_step draw_step(struct sequence *q)
{
    bool trouble = sim_chance(q->sim, q->trouble);
    uint64_t total = 0;
    for (size_t i = 0; i < STEP_COUNT; i++)
        total += drawn_steps[i].trouble == trouble ? drawn_steps[i].weight : 0;
    uint64_t at = sim_below(q->sim, total);
    for (size_t i = 0;; i++) {
        if (drawn_steps[i].trouble != trouble)
            continue;
        if (at < drawn_steps[i].weight)
            return (enum sequence_step)i;
        at -= drawn_steps[i].weight;
    }
}

static void take_step(struct sequence *q)
{
    enum sequence_step step = draw_step(q);
    q->cover->steps[step]++;
    switch (step) {
    case STEP_INPUT:
    case STEP_WRONG_INPUT:
        draw_input_step(q, step == STEP_WRONG_INPUT);
        break;
    case STEP_COMMAND:
        draw_command_step(q, DRAW_RIGHT);
        break;
    case STEP_WRONG_COMMAND:
        draw_command_step(q, DRAW_WRONG);
        break;
    case STEP_LATE_COMMAND:
        draw_command_step(q, DRAW_LATE);
        break;
    case STEP_REPEAT:
    case STEP_CONFLICT:
        draw_repeat_step(q, step == STEP_CONFLICT);
        break;
    case STEP_GARBAGE:
        sequence_tell(q, "garbage");
        sim_send_garbage(q->sim);
        break;
    case STEP_NODE_COMMAND:
        draw_node_command_step(q);
        break;
    case STEP_DEAF:
        q->sim->deaf = !q->sim->deaf;
        sequence_tell(q, "executors hear %s", q->sim->deaf ? "no cancel" : "cancels again");
        break;
    case STEP_STALE_RESULT:
        stale_step(q);
        break;
    case STEP_TIME:
        time_step(q);
        break;
    case STEP_STORE_FAULT:
        store_step(q);
        break;
    case STEP_BUS_FAULT:
        bus_step(q);
        break;
    case STEP_CRASH:
        crash_step(q);
        break;
    case STEP_RESTART:
        restart_step(q);
        break;
    case STEP_LEAVE:
        leave_step(q);
        break;
    case STEP_PAUSE:
        pause_step(q);
        break;
    case STEP_COUNT:
        break;
    }
}

/* Those that ended start again soon: the simulator's own restart may take seconds. */
static void look_after_nodes(struct sim *s)
{
    for (size_t i = 0; i < s->config.nodes; i++)
        if (!s->nodes[i]->driver)
            sim_at(s, sim_between(s, 1, 400) * MILLISECOND, start_again, s->nodes[i], s->nodes[i]->life);
}

static void take_steps(struct sequence *q)
{
    struct sim *s = q->sim;
    sim_run_for(s, sim_between(s, 0, 30) * MILLISECOND);
    for (q->step = 0; q->step < q->steps && !sim_is_broken(s); q->step++) {
        take_step(q);
        go_on(s);
        look_after_nodes(s);
    }
}

/* --- one sequence --- */

static void draw_sequence(struct sequence *q, struct sim_config *c, uint64_t number)
{
    sim_config_calm(c);
    uint64_t word = mix64(number * 0x9e3779b97f4a7c15ull + 1), more = mix64(word + 1);
    c->nodes = word % 10 < 6 ? 1 : 2;
    c->partitions = 1u << (word >> 8) % 2;
    c->lease_ms = 500;
    c->heartbeat_ms = 250;
    c->idle_evict_ms = (word >> 16) % 2 ? 60000 : 50 + (word >> 24) % 300;
    c->finish_ms = 200 + (word >> 32) % 600;
    c->slow_ms = 300;
    q->sessions = 1 + (word >> 40) % SEQUENCE_SESSIONS_MAX;
    q->first = (word >> 48) % 4;
    c->sessions = q->first + q->sessions;
    q->steps = STEPS_MIN + more % (SEQUENCE_STEPS_MAX - STEPS_MIN + 1);
    q->trouble = (more >> 16) % 3 ? (uint32_t)((more >> 24) % 350000) : 0; /* a third has none */
}

static void begin(struct sequence *q, struct sim *s)
{
    static const struct sim_listener listener = {model_said, run_started};
    q->sim = s;
    s->story = q;
    s->listener = &listener;
    for (size_t i = 0; i < q->sessions; i++) {
        q->lives[i].index = q->first + i;
        q->lives[i].name = sim_draw_prompt(s, q->first + i).session;
    }
    model_start(q);
}

/* Those that settling sends itself. */
static void settle(struct sequence *q)
{
    q->settling = true;
    q->sim->deaf = false;
    for (size_t i = 0; i < q->sessions; i++)
        q->lives[i].asked |= 1ull << MK_OP_WITHDRAW;
}

/* Nobody waits for the end of what was ingested, so quiet is not known by that. */
static bool ingested(const struct sequence *q)
{
    uint64_t asked = 0;
    for (size_t i = 0; i < q->sessions; i++)
        asked |= q->lives[i].asked;
    return asked & (1ull << MK_OP_INGEST);
}

static void live(struct sequence *q, struct sim *s)
{
    begin(q, s);
    take_steps(q);
    settle(q);
    if (!sim_is_broken(s) && sim_rest(s, ingested(q) ? INGESTED_PAUSE : PAUSE) &&
        sim_rest_until(s, checks_owned, "ownership"))
        model_end(q);
}

/* A signal handler has no argument. */
static char last_words[96];

static void die(int signal_number)
{
    ssize_t written = write(STDOUT_FILENO, last_words, strlen(last_words));
    (void)written;
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static void print_failure(const struct sequence *q, const struct sim *s, uint64_t number)
{
    uint64_t first = s->trace_count > TRACE_LINES ? s->trace_count - TRACE_LINES : 0;
    for (uint64_t i = first; i < s->trace_count && !s->print; i++)
        fputs(s->trace[i % TRACE_LINES], stdout);
    printf("the steps of sequence %llu, on %zu node%s:\n", (unsigned long long)number, s->config.nodes,
           s->config.nodes > 1 ? "s" : "");
    for (size_t i = 0; i < q->steps; i++)
        if (q->told[i].bytes)
            printf("  %2zu %.*s\n", i, SPAN_ARGS(q->told[i]));
    printf("sequence %llu broke %s\nrepeat it with: make sim SEQUENCE=%llu\n", (unsigned long long)number, s->broken,
           (unsigned long long)number);
}

static bool run_one(uint64_t number, bool print, struct cover *cover)
{
    struct sim *s = calloc(1, sizeof *s);
    struct sequence q = {.cover = cover};
    struct sim_config config;
    if (!s)
        abort();
    snprintf(last_words, sizeof last_words,
             "\nsequence %llu ended the process\nrepeat it with: make sim SEQUENCE=%llu\n", (unsigned long long)number,
             (unsigned long long)number);
    draw_sequence(&q, &config, number);
    s->print = print;
    if (sim_init(s, number, &config))
        live(&q, s);
    bool good = !sim_is_broken(s);
    if (!good)
        print_failure(&q, s, number);
    for (enum fault f = 0; f < FAULT_COUNT; f++)
        cover->struck[f] += s->struck[f];
    sim_fini(s);
    free(s);
    return good;
}

/* --- all of them --- */

static void handle_signals(void)
{
    signal(SIGSEGV, die);
    signal(SIGABRT, die);
}

bool sequences_run_one(uint64_t number, bool print)
{
    struct cover cover = {.judged = 0};
    handle_signals();
    return run_one(number, print, &cover);
}

static uint64_t run_found(struct cover *cover, uint64_t *failed)
{
    FILE *file = fopen(FOUND_SEQUENCES, "r");
    char line[256];
    uint64_t passed = 0;
    while (file && fgets(line, sizeof line, file)) {
        char *end;
        uint64_t number = strtoull(line, &end, 10);
        if (end == line)
            continue;
        bool good = run_one(number, false, cover);
        passed += good;
        *failed += !good;
    }
    if (file)
        fclose(file);
    return passed;
}

uint64_t sequences_run(const struct sequences *how, uint64_t *failed)
{
    struct cover cover = {.judged = 0};
    handle_signals();
    if (draw_missing() < MK_OP_COUNT) {
        printf("no step of the sequences draws the operation %s\n", mk_op_name(draw_missing()));
        ++*failed;
        return 0;
    }
    uint64_t passed = run_found(&cover, failed);
    for (uint64_t i = 0; i < how->count; i++) {
        bool good = run_one(how->from + i, false, &cover);
        passed += good;
        *failed += !good;
    }
    cover_print(&cover, how->verbose);
    if (how->count >= ALL_REACHED_BY)
        *failed += cover_missing(&cover);
    return passed;
}
