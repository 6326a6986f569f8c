/* sim: runs the scenarios, the seeds that once failed and fresh ones, and random command sequences (sequence.h).
 *   sim [--seeds N] [--sequences N] [--from N] [--seed N] [--sequence N] [--story NAME] [--verify] [-v]
 * Of --seeds (with the scenarios) and --sequences the one named runs alone; named both, or neither, both run.
 * --seed runs one seed alone and prints its whole trace with -v, --sequence a sequence; --story tells one story alone,
 * with its whole trace.
 * --verify runs each seed twice and compares the traces.
 * Exit code: 0 all passed, 1 something failed or nothing ran, 2 usage. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/sim/sequence.h"

#define FOUND_SEEDS "tests/sim/seeds.txt"

struct tally {
    uint64_t passed, failed;
    uint64_t struck[FAULT_COUNT];
    struct totals totals;
    uint64_t virtual_us, longest_wait_us;
};

/* A signal handler has no argument: what it says when the code under test ends the process. */
static char last_words[96];

static void die(int signal_number)
{
    ssize_t written = write(STDOUT_FILENO, last_words, strlen(last_words));
    (void)written;
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

/* Load and faults; then rest. */
static void run_load(struct sim *s)
{
    sim_clients_start(s);
    sim_at(s, 0, sim_chaos, NULL, s->config.load_us);
    sim_run_for(s, s->config.load_us);
    if (sim_rest(s, SECOND) && sim_rest_until(s, checks_owned, "ownership"))
        sim_rest_until(s, checks_wanted, "ownership");
}

static void run_once(struct sim *s, uint64_t seed, bool print)
{
    snprintf(last_words, sizeof last_words, "\nseed %llu ended the process\nrepeat it with: make sim SEED=%llu\n",
             (unsigned long long)seed, (unsigned long long)seed);
    s->print = print;
    if (sim_init(s, seed, NULL))
        run_load(s);
}

static void print_failure(const struct sim *s)
{
    uint64_t first = s->trace_count > TRACE_LINES ? s->trace_count - TRACE_LINES : 0;
    for (uint64_t i = first; i < s->trace_count; i++)
        fputs(s->trace[i % TRACE_LINES], stdout);
    printf("seed %llu broke %s\nrepeat it with: make sim SEED=%llu\n", (unsigned long long)s->seed, s->broken,
           (unsigned long long)s->seed);
}

static void add(struct tally *t, const struct sim *s)
{
    for (enum fault f = 0; f < FAULT_COUNT; f++)
        t->struck[f] += s->struck[f];
    const uint64_t *from = (const uint64_t *)&s->totals;
    uint64_t *to = (uint64_t *)&t->totals;
    for (size_t i = 0; i < sizeof s->totals / sizeof *from; i++)
        to[i] += from[i];
    t->virtual_us += s->now_us;
    if (s->longest_wait_us > t->longest_wait_us)
        t->longest_wait_us = s->longest_wait_us;
}

static void run_seed(struct tally *t, uint64_t seed, bool verify, bool verbose, bool print)
{
    struct sim *s = calloc(2, sizeof *s), *again = s ? s + 1 : NULL;
    if (!s)
        abort();
    run_once(s, seed, print);
    bool good = !sim_is_broken(s);
    if (verify && good) {
        run_once(again, seed, false);
        good = again->hash == s->hash;
        if (!good)
            printf("seed %llu: two runs, two traces: %016llx, %016llx\n", (unsigned long long)seed,
                   (unsigned long long)s->hash, (unsigned long long)again->hash);
        sim_fini(again);
    }
    if (sim_is_broken(s))
        print_failure(s);
    else if (verbose)
        printf("seed %llu: %016llx, %llu lines, %.1f s\n", (unsigned long long)seed, (unsigned long long)s->hash,
               (unsigned long long)s->trace_count, (double)s->now_us / 1e6);
    t->passed += good;
    t->failed += !good;
    add(t, s);
    sim_fini(s);
    free(s);
}

static void print_tally(const struct tally *t)
{
    printf("\n%-45s %12s\n", "faults", "times");
    for (enum fault f = 0; f < FAULT_COUNT; f++)
        printf("  %-43s %12llu\n", fault_name(f), (unsigned long long)t->struck[f]);
    printf("totals\n");
    const struct {
        const char *name;
        uint64_t count;
    } rows[] = {
        {"inputs", t->totals.inputs},
        {"commands", t->totals.commands},
        {"accepted", t->totals.accepted},
        {"completions", t->totals.completions},
        {"events", t->totals.events},
        {"runs started", t->totals.runs},
        {"commits", t->totals.commits},
        {"calls executed", t->totals.calls},
        {"frames delivered", t->totals.frames},
        {"crashes", t->totals.crashes},
        {"nodes that left", t->totals.left},
        {"partitions taken over", t->totals.taken_over},
        {"partitions handed over", t->totals.handed_over},
        {"events published again", t->totals.repeated},
        {"inputs injected", t->totals.injected},
        {"injected, and given again", t->totals.carried},
        {"waits for a run that ended", t->totals.waits},
        {"steps", t->totals.steps},
        {"virtual seconds", t->virtual_us / SECOND},
        {"longest wait beyond a lease, ms", t->longest_wait_us / MILLISECOND},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        printf("  %-43s %12llu\n", rows[i].name, (unsigned long long)rows[i].count);
}

struct options {
    uint64_t seeds, from, seed, sequences, sequence;
    const char *story;
    bool one, verify, verbose;
    bool one_sequence;
    bool seeds_asked, sequences_asked; /* neither: both run */
};

static bool read_options(int argc, char **argv, struct options *o)
{
    *o = (struct options){.seeds = 200, .from = 1, .sequences = 10000};
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        bool takes = true;
        if (!strcmp(argv[i], "--seeds") && value)
            o->seeds = strtoull(value, NULL, 10), o->seeds_asked = true;
        else if (!strcmp(argv[i], "--from") && value)
            o->from = strtoull(value, NULL, 10);
        else if (!strcmp(argv[i], "--seed") && value)
            o->seed = strtoull(value, NULL, 10), o->one = true;
        else if (!strcmp(argv[i], "--sequences") && value)
            o->sequences = strtoull(value, NULL, 10), o->sequences_asked = true;
        else if (!strcmp(argv[i], "--sequence") && value)
            o->sequence = strtoull(value, NULL, 10), o->one_sequence = true;
        else if (!strcmp(argv[i], "--story") && value)
            o->story = value;
        else if (!strcmp(argv[i], "--verify"))
            o->verify = true, takes = false;
        else if (!strcmp(argv[i], "-v"))
            o->verbose = true, takes = false;
        else
            return false;
        i += takes;
    }
    return true;
}

static void tell_stories(struct tally *t, const struct options *o)
{
    struct telling how = {.only = o->story, .verbose = o->verbose};
    size_t failed = 0;
    t->passed += scenarios_run(&how, &failed);
    t->passed += scenarios_owner_run(&how, &failed);
    t->passed += scenarios_inject_run(&how, &failed);
    t->passed += scenarios_cluster_run(&how, &failed);
    t->passed += scenarios_handover_run(&how, &failed);
    t->passed += scenarios_lessons_run(&how, &failed);
    t->failed += failed;
}

static void run_found_seeds(struct tally *t, const struct options *o)
{
    FILE *file = o->story ? NULL : fopen(FOUND_SEEDS, "r");
    char line[256];
    if (!file)
        return;
    while (fgets(line, sizeof line, file)) {
        char *end;
        uint64_t seed = strtoull(line, &end, 10);
        if (end != line)
            run_seed(t, seed, o->verify, o->verbose, false);
    }
    fclose(file);
}

static void run_sequence(struct tally *t, const struct options *o)
{
    bool good = sequences_run_one(o->sequence, o->verbose);
    t->passed += good;
    t->failed += !good;
}

static void run_all(struct tally *t, const struct options *o, bool load)
{
    struct sequences how = {.count = o->sequences, .from = o->from, .verbose = o->verbose};
    if (load || o->story)
        tell_stories(t, o);
    if (load)
        run_found_seeds(t, o);
    for (uint64_t i = 0; i < o->seeds && load; i++)
        run_seed(t, o->from + i, o->verify, o->verbose, false);
    if (!o->story && (o->sequences_asked || !o->seeds_asked))
        t->passed += sequences_run(&how, &t->failed);
}

int main(int argc, char **argv)
{
    struct options o;
    struct tally t = {0};
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGSEGV, die);
    signal(SIGABRT, die);
    if (!read_options(argc, argv, &o)) {
        fprintf(stderr, "usage: sim [--seeds N] [--sequences N] [--from N] [--seed N] [--sequence N] [--story NAME] "
                        "[--verify] [-v]\n");
        return 2;
    }
    bool load = !o.story && (o.seeds_asked || !o.sequences_asked);
    if (o.one)
        run_seed(&t, o.seed, o.verify, true, o.verbose);
    else if (o.one_sequence)
        run_sequence(&t, &o);
    else
        run_all(&t, &o, load);
    if (o.one || (load && !o.one_sequence))
        print_tally(&t);
    printf("%llu passed, %llu failed\n", (unsigned long long)t.passed, (unsigned long long)t.failed);
    return t.failed || !t.passed;
}
