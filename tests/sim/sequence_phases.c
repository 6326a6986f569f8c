/* Semantics-core.md 1.3, 4, 5.7 and 7, with the design's D2, D5, D15, D17 and D18, as clients see them. */
#include "tests/sim/sequence_phases.h"

static const char *const base_names[BASE_COUNT] = {"absent",
                                                   "kept retired",
                                                   "kept stopped",
                                                   "idle without executor",
                                                   "idle",
                                                   "attached without executor",
                                                   "attached",
                                                   "stopping",
                                                   "retired without executor",
                                                   "retired",
                                                   "stopped",
                                                   "destroyed"};

/* --- what an operation leads to --- */

/* `to`: the bases that a success may lead to; none: there is no success. `err`: how it may be refused. */
struct cell {
    unsigned to;
    enum mk_err err;
};

#define SAME 0xffffffffu /* the base stays */

/* clang-format off */

#define Ok    {SAME, MK_ERR_OK}
#define NoFnd {0, MK_ERR_NOT_FOUND}
#define NoRdy {0, MK_ERR_NOT_READY}
#define NoSta {0, MK_ERR_INVALID_STATE}
#define NoVal {0, MK_ERR_VALIDATION_FAILED}
#define NoDes {0, MK_ERR_DESTROYED}
#define OkFnd {SAME, MK_ERR_NOT_FOUND}     /* either */
#define OkRdy {SAME, MK_ERR_NOT_READY}
#define OkSta {SAME, MK_ERR_INVALID_STATE}
#define Abs   {BIT(ABSENT), MK_ERR_OK}     /* it becomes so */
#define KRe   {BIT(KEPT_RETIRED), MK_ERR_OK}
#define KSt   {BIT(KEPT_STOPPED), MK_ERR_OK}
#define BId   {BIT(BARE_IDLE), MK_ERR_OK}
#define BAt   {BIT(BARE_ATTACHED), MK_ERR_OK}
#define Att   {BIT(ATTACHED), MK_ERR_OK}
#define BRe   {BIT(BARE_RETIRED), MK_ERR_OK}
#define Ret   {BIT(RETIRED), MK_ERR_OK}
#define Sto   {BIT(STOPPED), MK_ERR_OK}
#define Des   {BIT(DESTROYED), MK_ERR_OK}
#define IdAt  {BIT(IDLE) | BIT(ATTACHED), MK_ERR_OK}
#define BIdAt {BIT(BARE_IDLE) | BIT(BARE_ATTACHED), MK_ERR_OK}
#define StoSp {BIT(STOPPED) | BIT(STOPPING), MK_ERR_OK}
#define ReBRe {BIT(RETIRED) | BIT(BARE_RETIRED), MK_ERR_OK}
#define IdSta {BIT(IDLE), MK_ERR_INVALID_STATE}
#define AtSta {BIT(ATTACHED), MK_ERR_INVALID_STATE}
#define AbVal {BIT(ABSENT), MK_ERR_VALIDATION_FAILED}
#define KRVal {BIT(KEPT_RETIRED), MK_ERR_VALIDATION_FAILED}
#define KSVal {BIT(KEPT_STOPPED), MK_ERR_VALIDATION_FAILED}

/* A service's turn begins in Attached, and shows as a run; who has no executor is as good as one that has, until told. */
#define Given {BIT(BARE_IDLE) | BIT(BARE_ATTACHED) | BIT(ATTACHED), MK_ERR_INVALID_STATE}
#define IdAtS {BIT(IDLE) | BIT(ATTACHED), MK_ERR_INVALID_STATE}
#define Turn  {BIT(BARE_ATTACHED) | BIT(ATTACHED), MK_ERR_NOT_READY}
#define IdTrn {BIT(IDLE) | BIT(ATTACHED), MK_ERR_NOT_READY}

/* Idle and attached sessions may be running, which shows; a stopping one runs. */
static const struct cell cells[MK_OP_COUNT][BASE_COUNT] = {
    /*                               absent kept   kept   idle          attached      stop-  retired       stop-  destr-
     *                                      ret.   stop.  bare          bare          ping   bare          ped    oyed */
    [MK_OP_REGISTER]              = {Att,   BRe,   Att,   Att,   IdAt,  Att,   Att,   Ok,    Ok,    Ok,    Att,   NoDes},
    [MK_OP_ATTACH]                = {Att,   NoVal, NoVal, Att,   IdAt,  Att,   Att,   Ok,    NoVal, Ok,    NoVal, NoDes},
    [MK_OP_PREPARE_BINDINGS]      = {BAt,   BRe,   Sto,   BIdAt, IdAt,  Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    NoDes},
    [MK_OP_UNREGISTER]            = {Ok,    Ok,    Ok,    Abs,   Abs,   Abs,   Abs,   Abs,   KRe,   KRe,   KSt,   Ok},
    [MK_OP_UNREGISTER_IF_EPOCH]   = {NoRdy, NoRdy, NoRdy, AbVal, AbVal, AbVal, AbVal, AbVal, KRVal, KRVal, KSVal, NoDes},
    [MK_OP_RETIRE]                = {NoFnd, NoFnd, NoFnd, BRe,   Ret,   BRe,   Ret,   ReBRe, Ok,    Ok,    NoSta, NoDes},
    [MK_OP_RESET]                 = {NoFnd, NoFnd, NoFnd, Ok,    IdSta, BId,   IdSta, NoSta, BId,   IdSta, NoSta, NoDes},
    [MK_OP_RECYCLE]               = {NoFnd, NoFnd, NoFnd, Ok,    IdSta, Ok,    AtSta, NoSta, BId,   IdSta, NoSta, NoDes},
    [MK_OP_RECOVER]               = {NoFnd, NoFnd, NoFnd, Ok,    OkSta, Ok,    OkSta, NoSta, Ok,    OkSta, Ok,    NoDes},
    [MK_OP_STOP]                  = {NoRdy, NoRdy, NoRdy, Sto,   StoSp, Sto,   StoSp, StoSp, BRe,   ReBRe, NoVal, NoDes},
    [MK_OP_DESTROY]               = {NoFnd, NoFnd, NoFnd, Des,   Des,   Des,   Des,   Des,   Des,   Des,   Des,   NoDes},
    [MK_OP_ABANDON_RETIRED]       = {NoRdy, NoRdy, NoRdy, NoRdy, NoRdy, NoRdy, NoRdy, NoRdy, Ok,    OkRdy, NoRdy, NoRdy},
    [MK_OP_INTERRUPT]             = {NoDes, NoDes, NoDes, NoRdy, OkRdy, OkRdy, Ok,    Ok,    NoRdy, OkRdy, NoRdy, NoDes},
    [MK_OP_CANCEL_AFTER_BOUNDARY] = {NoRdy, NoRdy, NoRdy, NoRdy, OkRdy, OkRdy, Ok,    Ok,    NoRdy, NoRdy, NoRdy, NoDes},
    [MK_OP_SILENT_INTENTS]        = {NoVal, NoVal, NoVal, Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    NoDes},
    [MK_OP_WITHDRAW]              = {Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok},
    [MK_OP_WAKE]                  = {NoRdy, NoRdy, NoRdy, OkRdy, Ok,    OkRdy, Ok,    Ok,    Ok,    Ok,    Ok,    Ok},
    [MK_OP_PUBLISH_EVENT]         = {NoFnd, NoFnd, NoFnd, Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    NoDes},
    [MK_OP_INGEST]                = {NoFnd, NoFnd, NoFnd, Given, IdAtS, Given, OkSta, OkSta, NoSta, NoSta, NoSta, NoSta},
    [MK_OP_START_CONVERSATION_RUN] = {NoRdy, NoRdy, NoRdy, Turn, IdTrn, Turn,  OkRdy, NoRdy, NoRdy, NoRdy, NoRdy, NoDes},
    [MK_OP_COMMIT_SERVICE_TURN]   = {NoRdy, NoRdy, NoRdy, OkSta, OkSta, OkSta, OkSta, OkSta, OkSta, OkSta, OkSta, NoDes},
    [MK_OP_STATE]                 = {NoFnd, NoFnd, NoFnd, Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok},
    [MK_OP_SHOW]                  = {NoFnd, NoFnd, NoFnd, Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok},
    [MK_OP_INPUT_STATE]           = {NoRdy, NoRdy, NoRdy, OkFnd, OkFnd, OkFnd, OkFnd, OkFnd, OkFnd, OkFnd, OkFnd, OkFnd},
    [MK_OP_LIST_ACTIVE_INPUTS]    = {NoRdy, NoRdy, NoRdy, Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok},
    [MK_OP_OUTCOME]               = {Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok},
    [MK_OP_EVENTS]                = {Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok},
    [MK_OP_DEAD]                  = {Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok},
    [MK_OP_RECEIPT]               = {NoFnd, NoFnd, NoFnd, Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok},
    [MK_OP_CONTAINS_SESSION]      = {Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok},
    [MK_OP_SESSION_HAS_EXECUTOR]  = {Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok},
    [MK_OP_SESSION_HAS_COMMS]     = {NoRdy, NoRdy, NoRdy, Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok},
    [MK_OP_WHY]                   = {NoFnd, NoFnd, NoFnd, Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok,    Ok},
    [MK_OP_TRANSCRIPT_EDIT]       = {NoRdy, NoRdy, NoRdy, Ok,    Ok,    Ok,    Ok,    Ok,    NoSta, NoSta, NoSta, NoSta},
};

/* clang-format on */

/* The phases that a base shows. */
static bool shows(enum base base, struct span phase)
{
    switch (base) {
    case ABSENT:
    case KEPT_RETIRED:
    case KEPT_STOPPED:
    case DESTROYED:
        return span_is(phase, "destroyed");
    case BARE_IDLE:
        return span_is(phase, "idle");
    case IDLE:
        return span_is(phase, "idle") || span_is(phase, "running");
    case BARE_ATTACHED: /* the turn of a service needs no executor */
    case ATTACHED:
        return span_is(phase, "attached") || span_is(phase, "running");
    case STOPPING:
        return span_is(phase, "running");
    case BARE_RETIRED:
    case RETIRED:
        return span_is(phase, "retired");
    case STOPPED:
        return span_is(phase, "stopped");
    case BASE_COUNT:
        break;
    }
    return false;
}

bool life_asked(const struct life *life, uint64_t ops)
{
    return (life->asked & ops) != 0;
}

unsigned phases_showing(unsigned set, struct span phase)
{
    unsigned out = 0;
    for (enum base base = 0; base < BASE_COUNT; base++)
        if ((set & BIT(base)) && shows(base, phase))
            out |= BIT(base);
    return out;
}

/* What may have happened by itself since: a run ends, and a stop behind it is performed; an idle session is evicted and
 * comes back Attached (D17). */
unsigned phases_by_themselves(const struct life *life, unsigned set)
{
    if ((set & BIT(RETIRED)) && life_asked(life, OP(STOP)))
        set |= BIT(BARE_RETIRED);
    if (set & BIT(STOPPING))
        set |= BIT(STOPPED);
    if (set & BIT(IDLE))
        set |= BIT(ATTACHED);
    return set;
}

const char *phases_text(struct sim *s, unsigned set)
{
    struct span text = SPAN_LIT("");
    for (enum base base = 0; base < BASE_COUNT; base++)
        if (set & BIT(base))
            text = sim_text(s, "%.*s%s%s", SPAN_ARGS(text), text.bytes ? " or " : "", base_names[base]);
    return text.at;
}

bool phases_modelled(enum mk_op op)
{
    return cells[op][ATTACHED].to || cells[op][ATTACHED].err;
}

unsigned phases_after(const struct life *life, enum mk_op op, bool ok, enum mk_err err, bool is_leaving)
{
    unsigned out = 0;
    for (enum base base = 0; base < BASE_COUNT; base++) {
        const struct cell *cell = &cells[op][base];
        if (!(life->may_be & BIT(base)))
            continue;
        if (ok && cell->to)
            out |= cell->to == SAME ? BIT(base) : cell->to;
        bool known = base > KEPT_STOPPED && base != DESTROYED;
        if (!ok && (cell->err == err || (is_leaving && known && err == MK_ERR_NOT_READY)))
            out |= BIT(base);
    }
    return phases_by_themselves(life, out);
}

unsigned phases_after_input(const struct life *life, const struct mk_admission *a, bool is_leaving)
{
    unsigned open = BIT(ABSENT) | BIT(BARE_IDLE) | BIT(IDLE) | BIT(BARE_ATTACHED) | BIT(ATTACHED) | BIT(STOPPING);
    unsigned closed = BIT(KEPT_RETIRED) | BIT(KEPT_STOPPED) | BIT(BARE_RETIRED) | BIT(RETIRED) | BIT(STOPPED);
    unsigned bare = BIT(ABSENT) | BIT(BARE_IDLE) | BIT(BARE_ATTACHED), after = life->may_be;
    if (a->outcome == MK_ACCEPTED)
        after = after & bare ? (after & open & ~bare) | BIT(ATTACHED) : after & open; /* it brings its session up */
    else if (a->reason == MK_ERR_NOT_READY)
        after = is_leaving ? after : after & closed;
    else
        after &= BIT(DESTROYED);
    return phases_by_themselves(life, after);
}
