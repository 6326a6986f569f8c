/* What heartbeats say together: who owns what, and what does not fit. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/cli_members.h"

#define SHOWN_MAX 6 /* partitions named in one line */

/* The strongest claim to each partition. */
struct claims {
    const struct member *owner[PARTITIONS_MAX];
    uint64_t fence[PARTITIONS_MAX];
    bool handing[PARTITIONS_MAX];
    struct member *now; /* whose claims are looked at */
    json_t *suspended;
};

static void note_claim(void *user, const struct mk_claim *claim)
{
    struct claims *claims = user;
    uint32_t p = claim->partition;
    if (p >= PARTITIONS_MAX)
        return;
    if (claim->kind == MK_CLAIM_HANDING)
        claims->handing[p] = true;
    if (claim->kind != MK_CLAIM_OWNED || (claims->owner[p] && claim->fence <= claims->fence[p]))
        return;
    claims->owner[p] = claims->now;
    claims->fence[p] = claim->fence;
}

static void suspect(struct member *member, json_t *what)
{
    json_array_append_new(member->suspicions, what);
}

static void judge_claim(void *user, const struct mk_claim *claim)
{
    struct claims *claims = user;
    uint32_t p = claim->partition;
    if (p >= PARTITIONS_MAX)
        return;
    if (claim->kind == MK_CLAIM_SUSPENDED)
        json_array_append_new(claims->suspended, json_integer(p));
    if (claim->kind == MK_CLAIM_OWNED && claims->owner[p] != claims->now)
        suspect(claims->now, json_pack("{s:s, s:i, s:I, s:s, s:I}", "kind", "lower_fence", "partition", (int)p, "fence",
                                       (json_int_t)claim->fence, "other", claims->owner[p]->id, "other_fence",
                                       (json_int_t)claims->fence[p]));
}

static void judge(struct claims *claims, struct member *member)
{
    uint64_t silent_ms = cli_now_ms() - member->heard_ms;
    struct mk_bytes message = {member->message.at, member->message.bytes};
    claims->now = member;
    claims->suspended = json_array();
    mk_beat_claims(message, judge_claim, claims);
    if (json_array_size(claims->suspended))
        suspect(member, json_pack("{s:s, s:O}", "kind", "suspended", "partitions", claims->suspended));
    json_decref(claims->suspended);
    if (silent_ms > SILENT_MS)
        suspect(member, json_pack("{s:s, s:I}", "kind", "silent", "ms", (json_int_t)silent_ms));
    if (member->lives > 1) /* once: it was started again */
        suspect(member, json_pack("{s:s}", "kind", "same_id"));
}

static void count(const struct claims *claims, struct cluster *out)
{
    for (uint32_t p = 0; p < out->partitions; p++) {
        out->owned += claims->owner[p] != NULL;
        out->handing += claims->handing[p];
        if (!claims->owner[p] && !claims->handing[p])
            out->unowned[out->unowned_count++] = p;
    }
}

void cli_suspect(struct members *members, struct cluster *out)
{
    static struct claims claims; /* too large for the stack, and there is one thread */
    memset(&claims, 0, sizeof claims);
    *out = (struct cluster){.partitions = 0};
    for (size_t i = 0; i < members->count; i++) {
        struct member *member = &members->list[i];
        json_decref(member->suspicions);
        member->suspicions = json_array();
        out->partitions = member->partitions > out->partitions ? member->partitions : out->partitions;
        claims.now = member;
        mk_beat_claims((struct mk_bytes){member->message.at, member->message.bytes}, note_claim, &claims);
    }
    for (size_t i = 0; i < members->count; i++)
        judge(&claims, &members->list[i]);
    count(&claims, out);
}

/* --- for people --- */

static bool is_kind(const json_t *what, const char *kind)
{
    return strcmp(cli_text(what, "kind"), kind) == 0;
}

/* One line for all partitions that this one other claims, at the first of them. */
static void print_lower(const struct member *member, size_t at)
{
    const json_t *first = json_array_get(member->suspicions, at);
    size_t all = 0, shown = 0;
    const char *other = cli_text(first, "other");
    for (size_t i = 0; i < json_array_size(member->suspicions); i++) {
        const json_t *what = json_array_get(member->suspicions, i);
        bool same = is_kind(what, "lower_fence") && strcmp(cli_text(what, "other"), other) == 0;
        if (same && i < at)
            return; /* it was said */
        all += same;
    }
    printf("%s claims %zu %s with no higher fence than %s:", member->id, all, all == 1 ? "partition" : "partitions",
           other);
    for (size_t i = at; i < json_array_size(member->suspicions) && shown < SHOWN_MAX; i++) {
        const json_t *what = json_array_get(member->suspicions, i);
        if (!is_kind(what, "lower_fence") || strcmp(cli_text(what, "other"), other) != 0)
            continue;
        printf("%s %lld (%lld, %s has %lld)", shown++ ? "," : "", cli_number(what, "partition"),
               cli_number(what, "fence"), other, cli_number(what, "other_fence"));
    }
    printf("%s\n", shown < all ? ", ..." : "");
}

static void print_suspended(const struct member *member, const json_t *what)
{
    const json_t *partitions = json_object_get(what, "partitions");
    size_t all = json_array_size(partitions);
    printf("%s holds %zu %s and does not work on %s, for the store is not as it left it:", member->id, all,
           all == 1 ? "partition" : "partitions", all == 1 ? "it" : "them");
    for (size_t i = 0; i < all && i < SHOWN_MAX; i++)
        printf(" %lld", (long long)json_integer_value(json_array_get(partitions, i)));
    printf("%s\n", all > SHOWN_MAX ? " ..." : "");
}

void cli_print_suspicions(const struct cli *cli, const struct member *member)
{
    size_t i;
    const json_t *what;
    fputs(cli_red(cli), stdout);
    json_array_foreach(member->suspicions, i, what)
    {
        if (is_kind(what, "lower_fence"))
            print_lower(member, i);
        else if (is_kind(what, "suspended"))
            print_suspended(member, what);
        else if (is_kind(what, "silent"))
            printf("%s has been silent for %lld ms: it died, is paused, or is cut off\n", member->id,
                   cli_number(what, "ms"));
        else
            printf("two programs call themselves %s\n", member->id);
    }
    fputs(cli_plain(cli), stdout);
}
