/* What the sequences reached. What must be reached is what exists: a new operation, kind, outcome or end of a run that
 * no sequence meets fails the run. */
#include "tests/sim/sequence.h"

#include <stdio.h>

static const char *const step_names[STEP_COUNT] = {
#define X(id, text) text,
    SEQUENCE_STEPS(X)
#undef X
};

static const char *const crash_names[CRASH_COUNT] = {
#define X(id, text) text,
    SEQUENCE_CRASHES(X)
#undef X
};

static const char *const seen_names[SEEN_COUNT] = {"absent",  "idle",    "attached", "running",
                                                   "retired", "stopped", "destroyed"};

static const char *const end_names[] = {"result",    "no result", "callback pending", "failed",
                                        "cancelled", "stopped",   "internal"};

static const char *const cause_names[CAUSE_COUNT] = {
    "none",   "unknown", "primitive rejected", "runtime apply", "budget exhausted", "time budget exceeded",
    "output", "failed"};

const char *cover_crash_name(enum sequence_crash crash)
{
    return crash_names[crash];
}

static bool of_a_session(enum mk_op op)
{
    return op < MK_OP_PING;
}

static uint64_t answered(const struct cover *cover, enum mk_op op)
{
    uint64_t sum = 0;
    for (size_t p = 0; p < SEEN_COUNT; p++)
        sum += cover->ops[op][p];
    return sum;
}

static void print_counts(const char *title, const char *const *names, const uint64_t *counts, size_t count)
{
    printf("%s\n", title);
    for (size_t i = 0; i < count; i++)
        printf("  %-43s %12llu\n", names[i], (unsigned long long)counts[i]);
}

static void print_table(const struct cover *cover)
{
    printf("operations, by the phase in which they were answered\n  %-28s", "");
    for (size_t p = 0; p < SEEN_COUNT; p++)
        printf(" %9s", seen_names[p]);
    printf(" %9s\n", "done");
    for (enum mk_op op = 0; op < MK_OP_COUNT; op++) {
        printf("  %-28s", mk_op_name(op));
        for (size_t p = 0; p < SEEN_COUNT; p++)
            printf(" %9llu", (unsigned long long)cover->ops[op][p]);
        printf(" %9llu\n", (unsigned long long)cover->done[op]);
    }
}

static void print_kinds(const struct cover *cover)
{
    printf("inputs, by their answer\n  %-28s", "");
    for (enum mk_admitted a = 0; a < MK_ADMITTED_COUNT; a++)
        printf(" %12s", mk_admitted_name(a));
    for (enum mk_kind kind = 0; kind < MK_KIND_COUNT; kind++) {
        printf("\n  %-28s", mk_kind_name(kind));
        for (enum mk_admitted a = 0; a < MK_ADMITTED_COUNT; a++)
            printf(" %12llu", (unsigned long long)cover->kinds[kind][a]);
    }
    printf("\n");
}

static void pairs(const struct cover *cover, size_t *reached, size_t *all)
{
    *reached = *all = 0;
    for (enum mk_op op = 0; of_a_session(op); op++)
        for (size_t p = 0; p < SEEN_COUNT; p++, ++*all)
            *reached += cover->ops[op][p] != 0;
}

void cover_print(const struct cover *cover, bool verbose)
{
    size_t reached, all;
    if (verbose) {
        const char *outcomes[MK_OUTCOME_COUNT];
        for (enum mk_outcome o = 0; o < MK_OUTCOME_COUNT; o++)
            outcomes[o] = mk_outcome_name(o);
        print_counts("steps", step_names, cover->steps, STEP_COUNT);
        print_counts("crashes", crash_names, cover->crashes, CRASH_COUNT);
        print_counts("ends of runs", end_names, cover->ends, RUN_INTERNAL + 1);
        print_counts("causes of failures", cause_names, cover->causes, CAUSE_COUNT);
        print_counts("outcomes", outcomes, cover->outcomes, MK_OUTCOME_COUNT);
        print_kinds(cover);
        print_table(cover);
    }
    pairs(cover, &reached, &all);
    printf("sequences: %zu of %zu pairs of operation and phase reached; %llu answers judged by the model, %llu not\n",
           reached, all, (unsigned long long)cover->judged, (unsigned long long)cover->unjudged);
}

static size_t missing(const char *what, const char *name, bool is_there)
{
    if (!is_there)
        printf("the sequences never reached %s %s\n", what, name);
    return !is_there;
}

static size_t missing_ops(const struct cover *cover)
{
    size_t count = 0;
    for (enum mk_op op = 0; op < MK_OP_COUNT; op++) {
        count += missing("the operation", mk_op_name(op), answered(cover, op));
        count += missing("a success of", mk_op_name(op), cover->done[op]);
        for (size_t p = 0; of_a_session(op) && p < SEEN_COUNT; p++)
            if (!cover->ops[op][p])
                count += missing(seen_names[p], mk_op_name(op), false);
    }
    return count;
}

static size_t missing_inputs(const struct cover *cover)
{
    size_t count = 0;
    for (enum mk_kind kind = 0; kind < MK_KIND_COUNT; kind++) {
        for (enum mk_admitted a = 0; a < MK_ADMITTED_COUNT; a++)
            count += missing(mk_kind_name(kind), mk_admitted_name(a), cover->kinds[kind][a]);
        for (enum mk_handling h = 0; h < MK_HANDLING_COUNT; h++)
            count += missing(mk_kind_name(kind), h ? mk_handling_name(h) : "no mode", cover->handlings[kind][h]);
    }
    for (enum mk_durability d = 0; d < MK_DURABILITY_COUNT; d++)
        count += missing("durability", mk_durability_name(d), cover->durabilities[d]);
    for (enum mk_origin o = 0; o < MK_ORIGIN_COUNT; o++)
        count += missing("origin", mk_origin_name(o), cover->origins[o]);
    return count;
}

size_t cover_missing(const struct cover *cover)
{
    size_t count = missing_ops(cover) + missing_inputs(cover);
    for (size_t i = 0; i < STEP_COUNT; i++)
        count += missing("the step", step_names[i], cover->steps[i]);
    for (size_t i = 0; i < CRASH_COUNT; i++)
        count += missing("a crash", crash_names[i], cover->crashes[i]);
    for (size_t i = 0; i <= RUN_INTERNAL; i++)
        count += missing("the end", end_names[i], cover->ends[i]);
    for (size_t i = CAUSE_NONE + 1; i < CAUSE_COUNT; i++)
        count += missing("the cause", cause_names[i], cover->causes[i]);
    for (enum mk_outcome o = 0; o < MK_OUTCOME_COUNT; o++) {
        bool never = o == MK_SUPERSEDED || o == MK_COMPLETED_WITH_FINALIZATION_FAILURE; /* nothing leads there */
        count += never ? 0 : missing("the outcome", mk_outcome_name(o), cover->outcomes[o]);
    }
    return count;
}
