/* Executors on virtual time: what the builtins answer (node/builtin.h), and what executors do wrong: fail, hang until
 * cancelled or past their deadline, answer twice, or answer for a node that died meanwhile. They die with their node,
 * and when it no longer tells their supervisor that its leases are safe (rule 12): the node is told nothing of that,
 * and the same run begins anew when they are safe again. */
#include "node/builtin.h"
#include "node/core/crc16.h"
#include "tests/sim/invariants.h"

#define LIVE_US_MAX (200 * MILLISECOND) /* what a run that takes inputs in takes longer */
#define HANG_US_MAX (8 * SECOND)        /* then the run's own deadline ends it */

struct sim_run {
    struct sim_run *next;
    struct sim_node *node;
    uint64_t life;
    struct span session;
    struct mk_id id;
    bool hangs, sleeps, told; /* told: to end */
    bool deaf;                /* told, and goes on */
    bool live;                /* it takes inputs in, as its node was told */
    bool starved;             /* it died with the lease: to begin anew */
    uint64_t takes_us, start; /* start: counts its beginnings */
    bool ended, late;         /* late: its node died, the result arrives all the same */
    struct span *inputs;      /* their ids */
    size_t input_count;
    struct run_done done;
};

/* An input that a run is asked to take in. */
struct sim_offer {
    struct sim_run *run;
    uint64_t start; /* of the run when it was asked: another beginning knows nothing of it */
    bool refused;
    struct run_injected answer;
};

struct sim_executors {
    struct map took;      /* session/run/input, of what was taken in and told in time */
    struct sim_run *runs; /* that have not ended, the latest first */
    size_t running;
};

void sim_executors_new(struct sim *s)
{
    s->executors = sim_alloc(s, sizeof *s->executors);
}

size_t sim_executors_running(const struct sim *s)
{
    return s->executors->running;
}

bool sim_executors_deaf(const struct sim *s)
{
    for (const struct sim_run *run = s->executors->runs; run; run = run->next)
        if (run->deaf)
            return true;
    return false;
}

/* --- ends --- */

static void deliver(struct sim *s, struct sim_run *run)
{
    sim_trace(s, run->node->name, "run %.8s of %.*s ends%s", run->id.text, SPAN_ARGS(run->session),
              run->late ? ", in the life of another" : "");
    if (run->done.end == RUN_FAILED || run->done.end == RUN_STOPPED || run->done.end == RUN_INTERNAL)
        checks_failed(s, run->session, run->inputs, run->input_count);
    sim_node_run_done(run->node, run->session, &run->done);
    if (sim_fault(s, FAULT_RUN_TWICE))
        sim_node_run_done(run->node, run->session, &run->done);
}

static void ended(struct sim *s, struct sim_run *run)
{
    struct sim_run **at = &s->executors->runs;
    while (*at != run)
        at = &(*at)->next;
    *at = run->next;
    run->ended = true;
    s->executors->running--;
}

static void end(struct sim *s, void *self, uint64_t start)
{
    struct sim_run *run = self;
    if ((run->ended && !run->late) || run->start != start)
        return;
    if (!run->ended)
        ended(s, run);
    deliver(s, run);
    run->late = false;
}

static void end_as(struct sim_run *run, enum run_end as, struct span message)
{
    run->done = (struct run_done){.run = run->id, .attempt = run->done.attempt, .end = as, .message = message};
    if (as != RUN_FAILED)
        return;
    run->done.cause = CAUSE_RUNTIME_APPLY;
    run->done.error = MK_ERR_EXECUTOR_FAILED;
}

void sim_executors_die(struct sim *s, size_t node)
{
    for (struct sim_run *run = s->executors->runs, *next; run; run = next) {
        next = run->next;
        if (run->node->index != node)
            continue;
        ended(s, run);
        run->late = !run->hangs && !run->starved && sim_fault(s, FAULT_RUN_LATE);
    }
}

static void starve(struct sim *s, void *self, uint64_t life)
{
    struct sim_node *node = self;
    if (!sim_node_lives(node, life) || node->fed_us > s->now_us)
        return;
    for (struct sim_run *run = s->executors->runs, *next; run; run = next) {
        next = run->next;
        if (run->node != node)
            continue;
        s->struck[FAULT_RUN_STARVED]++;
        sim_trace(s, node->name, "run %.8s of %.*s dies with the lease", run->id.text, SPAN_ARGS(run->session));
        if (run->told) {
            end(s, run, run->start);
            continue;
        }
        run->starved = true;
        run->live = false; /* its pool says so (node/pool_inject.c) */
        run->start++;
    }
}

/* A session is one line of runs: the next begins when the one before it has ended, or has been told to; on another
 * node, when it has ended or died. */
static void check_alone(const struct sim_node *node, const struct sim_run *but, struct span session, struct span id)
{
    for (const struct sim_run *run = node->sim->executors->runs; run; run = run->next) {
        bool may = run == but || run->starved || (run->node == node && run->told);
        if (!may && span_equal(run->session, session))
            sim_broken(node->sim, run->node == node ? "P5" : "rule 12",
                       "run %.8s of %.*s starts on %s while run %.8s goes on on %s", id.at, SPAN_ARGS(session),
                       node->name, run->id.text, run->node->name);
    }
}

static void begin_anew(struct sim *s, struct sim_node *node)
{
    for (struct sim_run *run = s->executors->runs; run; run = run->next) {
        if (run->node != node || !run->starved || run->told)
            continue;
        run->starved = false;
        sim_trace(s, node->name, "run %.8s of %.*s begins anew", run->id.text, SPAN_ARGS(run->session));
        checks_owner(s, node, run->session, "begins a run anew");
        check_alone(node, run, run->session, id_span(&run->id));
        sim_at(s, run->takes_us, end, run, run->start);
    }
}

void sim_executors_feed(struct sim *s, size_t index, uint64_t until_us)
{
    struct sim_node *node = s->nodes[index];
    if (!node->driver || node->fed_us == until_us)
        return;
    node->fed_us = until_us;
    if (until_us > s->now_us)
        begin_anew(s, node);
    if (until_us != UINT64_MAX)
        sim_at(s, until_us > s->now_us ? until_us - s->now_us : 0, starve, node, node->life);
}

size_t sim_executors_at_work(const struct sim *s, struct span session, uint32_t partition)
{
    size_t count = 0;
    for (const struct sim_run *run = s->executors->runs; run; run = run->next) {
        bool meant = span_given(session) ? span_equal(run->session, session)
                                         : partition_of(run->session, s->config.partitions) == partition;
        count += meant && !run->node->paused && !run->starved;
    }
    return count;
}

/* --- the port --- */

static enum builtin builtin_of(struct span name)
{
    return name.bytes ? builtin_parse(name) : BUILTIN_ECHO;
}

static bool known(void *self, struct span name)
{
    (void)self;
    return builtin_of(name) < BUILTIN_COUNT;
}

/* The builtin's answer, kept as long as the simulation. Returns how long the run takes. */
static uint64_t apply(struct sim *s, const struct run_request *request, struct sim_run *run)
{
    struct builtin_run built = {0};
    builtin_apply(&built, builtin_of(request->executor), request);
    struct span *results = sim_alloc(s, (built.done.result_count + 1) * sizeof *results);
    for (size_t i = 0; i < built.done.result_count; i++)
        results[i] = sim_copy(s, built.done.results[i]);
    run->done = built.done;
    run->done.results = results;
    run->done.state = sim_copy(s, built.done.state);
    run->done.message = sim_copy(s, built.done.message);
    uint64_t us = built.delay_ms * MILLISECOND + sim_between(s, 100, 20000);
    builtin_release(&built);
    return us;
}

/* --- the hooks --- */

/* Toggles until the run's end; in a story it stays. */
static void boundary(struct sim *s, void *self, uint64_t start)
{
    struct sim_run *run = self;
    struct run_at at = {run->id, run->done.attempt};
    if (run->ended || run->starved || run->told || run->start != start)
        return;
    run->live = !run->live;
    sim_node_boundary(run->node, run->session, &at, run->live);
    if (s->rate[FAULT_RUN_BOUNDARY])
        sim_at(s, sim_between(s, 1, LIVE_US_MAX), boundary, run, start);
}

static struct span took_key(struct span session, struct span run, struct span input, struct buf *out)
{
    buf_append(out, session.at, session.bytes);
    buf_append(out, "/", 1);
    buf_append(out, run.at, run.bytes);
    buf_append(out, "/", 1);
    buf_append(out, input.at, input.bytes);
    return buf_span(out);
}

bool sim_executors_took(const struct sim *s, struct span session, struct span run, struct span input)
{
    struct buf key = {0};
    bool took = map_get(&s->executors->took, took_key(session, run, input, &key)) != NULL;
    buf_fini(&key);
    return took;
}

/* A yes that comes when the run is over, or was begun anew, counts for nothing: it was another turn's. */
static void answer(struct sim *s, void *self, uint64_t word)
{
    (void)word;
    struct sim_offer *offer = self;
    struct sim_run *run = offer->run;
    bool gone = run->ended || run->starved || run->start != offer->start;
    if (gone && (!run->ended || !sim_fault(s, FAULT_RUN_LATE_WORD)))
        return;
    sim_trace(s, run->node->name, "run %.8s %s %s%s", run->id.text, offer->refused ? "refuses" : "takes in",
              offer->answer.input.text, gone ? ", when it is over" : "");
    offer->answer.ok = !offer->refused;
    if (!gone && !offer->refused) {
        struct buf key = {0};
        map_put(s, &s->executors->took,
                sim_copy(s, took_key(run->session, id_span(&run->id), id_span(&offer->answer.input), &key)), run);
        buf_fini(&key);
    }
    sim_node_injected(run->node, run->session, &offer->answer);
    if (sim_fault(s, FAULT_RUN_TWICE))
        sim_node_injected(run->node, run->session, &offer->answer);
}

static struct sim_run *find(struct sim_node *node, struct span session, struct span id)
{
    for (struct sim_run *run = node->sim->executors->runs; run; run = run->next) {
        bool same = span_equal(run->session, session) && (!span_given(id) || span_equal(id_span(&run->id), id));
        if (run->node == node && run->life == node->life && same)
            return run;
    }
    return NULL;
}

static void start(void *self, const struct run_request *request)
{
    struct sim_node *node = self;
    struct sim *s = node->sim;
    if (!sim_node_may_act(node))
        return;
    checks_started(s, node, request);
    check_alone(node, NULL, request->session, id_span(&request->run->id));
    struct sim_run *run = sim_alloc(s, sizeof *run);
    *run = (struct sim_run){.node = node, .life = node->life, .id = request->run->id, .next = s->executors->runs};
    run->session = sim_copy(s, request->session);
    run->sleeps = builtin_of(request->executor) == BUILTIN_SLEEP;
    run->inputs = sim_alloc(s, request->input_count * sizeof *run->inputs);
    for (size_t i = 0; i < request->input_count; i++)
        run->inputs[run->input_count++] = sim_copy(s, request->inputs[i].input->h.id);
    s->executors->runs = run;
    s->executors->running++;
    uint64_t us = apply(s, request, run);
    if (sim_fault(s, FAULT_RUN_FAILS))
        end_as(run, RUN_FAILED, SPAN_LIT("the executor fell over"));
    run->hangs = sim_fault(s, FAULT_RUN_HANGS);
    if (run->hangs) {
        us = sim_between(s, SECOND, HANG_US_MAX);
        end_as(run, RUN_FAILED, SPAN_LIT("the run outlived its deadline"));
    }
    if (sim_fault(s, FAULT_RUN_BOUNDARY)) {
        us += sim_between(s, 0, LIVE_US_MAX);
        sim_at(s, sim_between(s, 1, 20 * MILLISECOND), boundary, run, run->start);
    }
    if (s->listener)
        s->listener->started(s, node, request, &run->done, &us);
    run->takes_us = us;
    sim_at(s, us, end, run, run->start);
}

/* A run that is asked although nobody heard of its boundary: the core made that up. */
static void inject(void *self, struct span session, struct span id, const struct run_input *input)
{
    struct sim_node *node = self;
    struct sim *s = node->sim;
    struct sim_run *run = find(node, session, id);
    if (!run || !sim_node_may_act(node))
        return;
    checks_owner(s, node, session, "asks a run to take an input in");
    checks_offered(s, session, id, input->input->h.id);
    struct sim_offer *offer = sim_alloc(s, sizeof *offer);
    *offer = (struct sim_offer){.run = run, .start = run->start, .refused = sim_fault(s, FAULT_RUN_REFUSES)};
    offer->answer.at = (struct run_at){run->id, run->done.attempt};
    id_set(&offer->answer.input, input->input->h.id);
    if (!offer->refused || sim_chance(s, 500000)) /* else it never answers */
        sim_at(s, sim_between(s, 1, 30) * MILLISECOND, answer, offer, 0);
}

static void end_soon(struct sim *s, struct sim_run *run)
{
    run->told = true;
    run->deaf = s->deaf && !run->starved;
    if (run->deaf)
        return;
    end_as(run, RUN_CANCELLED, (struct span){0});
    sim_at(s, sim_between(s, 1, 30) * MILLISECOND, end, run, run->start);
}

/* A boundary comes only in those that sleep; the others run to their end. */
static void cancel(void *self, struct span session, struct span id, bool hard)
{
    struct sim_node *node = self;
    struct sim_run *run = find(node, session, id);
    if (!run || !sim_node_may_act(node))
        return;
    sim_trace(node->sim, node->name, "%s cancel of run %.8s", hard ? "hard" : "boundary", run->id.text);
    if (hard || (run->sleeps && !run->hangs))
        end_soon(node->sim, run);
}

static void stop(void *self, struct span session)
{
    struct sim_node *node = self;
    struct sim_run *run = find(node, session, (struct span){0});
    if (run && sim_node_may_act(node))
        end_soon(node->sim, run);
}

struct executor_port sim_executor_port(struct sim *s, size_t node)
{
    static const struct executor_ops ops = {start, inject, cancel, stop, known};
    return (struct executor_port){&ops, s->nodes[node]};
}
