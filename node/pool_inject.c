/* Inputs that go into a run while a child is at work on it. What a child has taken in belongs to the run: should the
 * run begin anew, its frame has it. */
#include <stdlib.h>

#include "node/pool_impl.h"

struct pooled_offer {
    TAILQ_ENTRY(pooled_offer) next;
    struct mk_id input;
    struct buf packed;
};

static void offer_free(struct pooled_offer *offer)
{
    buf_fini(&offer->packed);
    free(offer);
}

static void drop(struct pooled_run *run, struct pooled_offer *offer)
{
    TAILQ_REMOVE(&run->offers, offer, next);
    offer_free(offer);
}

static void answer(struct pooled_run *run, const struct mk_id *input, bool ok)
{
    const struct pools_options *options = &run->pool->pools->options;
    const struct run_injected injected = {{run->id, run->done.attempt}, *input, ok};
    options->on_injected(options->user, run, &injected);
}

void pool_run_boundary(struct pooled_run *run, bool live)
{
    const struct pools_options *options = &run->pool->pools->options;
    if (run->live == live)
        return;
    run->live = live;
    options->on_boundary(options->user, run, live);
}

/* Without memory for it the input is not staged. */
static struct pooled_offer *offer_new(const struct run_input *input)
{
    struct pooled_offer *offer = calloc(1, sizeof *offer);
    if (!offer)
        return NULL;
    id_set(&offer->input, input->input->h.id);
    run_input_pack(&offer->packed, input);
    if (!offer->packed.failed)
        return offer;
    offer_free(offer);
    return NULL;
}

void pools_inject(struct pools *pools, struct pooled_run *run, const struct run_input *input)
{
    (void)pools;
    struct mk_id id;
    struct pooled_offer *offer = run->live && run->child ? offer_new(input) : NULL;
    if (offer)
        TAILQ_INSERT_TAIL(&run->offers, offer, next);
    if (offer && child_inject(run->child, input))
        return;
    if (offer)
        drop(run, offer);
    id_set(&id, input->input->h.id);
    answer(run, &id, false);
}

bool pool_run_injected(struct pooled_run *run, struct span input, bool ok)
{
    struct pooled_offer *offer;
    TAILQ_FOREACH(offer, &run->offers, next)
    if (span_equal(id_span(&offer->input), input))
        break;
    if (!offer)
        return false;
    if (ok) {
        buf_append(&run->injected, offer->packed.at, offer->packed.bytes);
        if (run->injected.failed)
            abort(); /* as for a run that could not be told to have ended (node/executor.c) */
        run->injected_count++;
    }
    struct mk_id id = offer->input;
    drop(run, offer);
    answer(run, &id, ok);
    return true;
}

void pool_run_drop_offers(struct pooled_run *run)
{
    for (struct pooled_offer *offer = TAILQ_FIRST(&run->offers), *next; offer; offer = next) {
        next = TAILQ_NEXT(offer, next);
        offer_free(offer);
    }
    TAILQ_INIT(&run->offers);
}

/* Its child is gone, and with it what was not answered. */
void pool_run_renew(struct pooled_run *run)
{
    struct pooled_offer *offer;
    pool_run_boundary(run, false);
    while ((offer = TAILQ_FIRST(&run->offers))) {
        struct mk_id id = offer->input;
        drop(run, offer);
        answer(run, &id, false);
    }
    if (!run->injected.bytes)
        return;
    struct frame_bytes *frame = frame_new();
    if (frame)
        run_again_pack(&frame->bytes, buf_span(&run->frame->bytes), run->count_at, buf_span(&run->injected),
                       run->injected_count);
    if (!frame || frame->bytes.failed)
        abort();
    frame_release(run->frame);
    run->frame = frame;
    buf_fini(&run->injected);
}
