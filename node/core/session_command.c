/* Commands that change a session (semantics-core.md 4, 5.7 and 7). Their results are remembered under the command's id,
 * in the commit that performs them (rule 6). One that is refused has changed nothing and is not remembered. */
#include "node/core/session_ops.h"

/* --- results --- */

static uint64_t digest_add(uint64_t digest, struct span part)
{
    for (size_t i = 0; i < part.bytes; i++)
        digest = (digest ^ (uint8_t)part.at[i]) * 1099511628211ull;
    return (digest ^ 0xff) * 1099511628211ull; /* no byte of a text: parts cannot run together */
}

/* Of everything that decides what a command does. It is stored: it must never change. */
uint64_t command_digest(const struct mk_command *command)
{
    const struct mk_args *args = &command->args;
    struct span parts[] = {span_of(mk_op_name(command->op)),
                           command->run,
                           args->id,
                           args->idem,
                           args->run,
                           args->reason,
                           args->executor,
                           args->epoch,
                           args->kind};
    uint64_t digest = 14695981039346656037ull;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        digest = digest_add(digest, parts[i]);
    for (size_t i = 0; i < args->intent_count; i++)
        digest = digest_add(digest, args->intents[i]);
    if (command->input.h.id.bytes) {
        uint64_t input = input_digest(&command->input);
        digest = digest_add(digest, command->input.h.id);
        digest = digest_add(digest, span_bytes(&input, sizeof input));
    }
    return digest;
}

struct answer *answer_plain(const struct turn_of *turn, struct span to, struct span re)
{
    struct answer *answer = stage_answer(turn->session, ANSWER_RESULT, to, re);
    if (!answer)
        return NULL;
    answer->as.result.ok = true;
    answer->data = doc_new(turn->session->mem);
    if (!answer->data) {
        turn->session->stage.failed = true;
        return NULL;
    }
    doc_map(answer->data);
    return answer;
}

void answer_remember(const struct turn_of *turn, struct span id, uint64_t digest, struct answer *answer)
{
    struct fact_write *write = stage_write_new(turn->session, FACT_COMMAND, id);
    if (!write)
        return;
    write->result = answer;
    write->memo = true;
    write->record.at_ms = turn->ctx->store_ms;
    write->record.stamp = turn->ctx->fence;
    write->record.digest = digest;
}

struct answer *answer_ok(const struct turn_of *turn, const struct mk_command *command)
{
    struct answer *answer = answer_plain(turn, command->reply_to, command->h.id);
    if (answer && command->op <= MK_OP_LAST_MUTATING)
        answer_remember(turn, command->h.id, command_digest(command), answer);
    return answer;
}

bool command_asked(const struct turn_of *turn, const struct mk_command *command)
{
    struct session *session = turn->session;
    struct span id = command->h.id;
    if (command->op > MK_OP_LAST_MUTATING || stage_written(session, FACT_COMMAND, id) ||
        session_fact(session, FACT_COMMAND, id))
        return false;
    stage_want(session, FACT_COMMAND, id);
    return true;
}

struct answer *answer_error(const struct turn_of *turn, const struct mk_command *command, enum mk_err err)
{
    if (command_asked(turn, command))
        return NULL;
    struct answer *answer = stage_answer(turn->session, ANSWER_RESULT, command->reply_to, command->h.id);
    if (!answer)
        return NULL;
    bool about_phase = err == MK_ERR_NOT_READY || err == MK_ERR_INVALID_STATE || err == MK_ERR_VALIDATION_FAILED;
    answer->as.result.error = err;
    answer->as.result.message = span_of(mk_err_text(err));
    if (about_phase)
        answer->as.result.phase = span_of(phase_name(session_phase(turn->session)));
    answer->as.result.final = mk_err_final(err);
    if (err == MK_ERR_DESTROYED) /* said of unknown sessions too: those may still come into being */
        answer->as.result.final = turn->session->core.machine.phase == PHASE_DESTROYED;
    return answer;
}

struct span command_run(const struct mk_command *command)
{
    return command->run.bytes ? command->run : command->args.run;
}

static void copy_doc(struct mk_doc *to, const struct mk_doc *from)
{
    uint64_t left[8];
    size_t depth = 0;
    for (size_t i = 0; i < from->count; i++) {
        const struct mk_doc_item *item = &from->items[i];
        if (item->type == DOC_MAP || item->type == DOC_ARRAY) {
            item->type == DOC_MAP ? doc_map(to) : doc_array(to);
            left[depth++] = item->type == DOC_MAP ? 2 * item->number : item->number;
        } else if (item->type == DOC_TEXT) {
            doc_text(to, item->text);
        } else if (item->type == DOC_U64) {
            doc_u64(to, item->number);
        } else if (item->type == DOC_BOOL) {
            doc_bool(to, item->number != 0);
        } else if (item->type == DOC_RAW) {
            doc_raw(to, item->text);
        } else {
            doc_nil(to);
        }
        bool opened = item->type == DOC_MAP || item->type == DOC_ARRAY;
        while (depth && (opened ? left[depth - 1] == 0 : --left[depth - 1] == 0)) {
            doc_end(to);
            depth--;
            opened = false;
        }
    }
}

/* The command was performed by this very stage: its result once more. */
static void repeat_staged(const struct turn_of *turn, const struct mk_command *command, const struct fact_write *write)
{
    struct answer *answer = stage_answer(turn->session, ANSWER_RESULT, command->reply_to, command->h.id);
    if (!answer)
        return;
    answer->as.result.ok = true;
    answer->data = doc_new(turn->session->mem);
    if (answer->data)
        copy_doc(answer->data, write->result->data);
    else
        turn->session->stage.failed = true;
}

static void repeat_stored(const struct turn_of *turn, const struct mk_command *command, struct span bytes)
{
    struct answer *answer = stage_answer(turn->session, ANSWER_RESULT, command->reply_to, command->h.id);
    if (!answer)
        return;
    answer->as.result.ok = true;
    answer->bytes = blob_new(turn->session->mem, bytes);
    if (!answer->bytes)
        turn->session->stage.failed = true;
}

/* True: the command's id is known, and answered. */
static bool repeated(const struct turn_of *turn, const struct mk_command *command)
{
    struct session *session = turn->session;
    struct leaving *leaving = &session->core.leaving;
    uint64_t digest = command_digest(command);
    const struct fact_write *write = stage_written(session, FACT_COMMAND, command->h.id);
    const struct fact *fact = session_fact(session, FACT_COMMAND, command->h.id);
    if (span_equal(id_span(&leaving->re), command->h.id)) {
        if (leaving->digest != digest)
            answer_error(turn, command, MK_ERR_ID_CONFLICT);
        else if (command->reply_to.bytes)
            id_set(&leaving->to, command->reply_to); /* it is being performed: who asked last is answered */
        return true;
    }
    if (!write && (!fact || !fact->exists))
        return false;
    if ((write ? write->record.digest : fact->record.digest) != digest)
        answer_error(turn, command, MK_ERR_ID_CONFLICT);
    else if (write)
        repeat_staged(turn, command, write);
    else
        repeat_stored(turn, command, fact->record.bytes);
    return true;
}

void answer_put_phase(const struct turn_of *turn, struct answer *answer)
{
    if (answer)
        doc_put_text(answer->data, "phase", span_of(phase_name(session_phase(turn->session))));
}

void answer_with_phase(const struct turn_of *turn, const struct mk_command *command)
{
    answer_put_phase(turn, answer_ok(turn, command));
}

void answer_with_count(const struct turn_of *turn, const struct mk_command *command, const char *what, size_t count)
{
    struct answer *answer = answer_ok(turn, command);
    if (!answer)
        return;
    doc_put_u64(answer->data, what, count);
    answer_put_phase(turn, answer);
}

/* --- which, and to whom it is refused at once --- */

struct operation {
    operation_fn *perform;
    enum mk_err unknown, destroyed; /* OK: it answers an unknown, or destroyed, session itself */
    bool leaving;                   /* it is performed while an unregister waits for the run */
};

/* clang-format off */
static const struct operation operations[MK_OP_LAST_MUTATING + 1] = {
    /*                               perform                    unknown                   destroyed             leaving */
    [MK_OP_REGISTER]               = {op_register,               MK_ERR_OK,                MK_ERR_DESTROYED,     false},
    [MK_OP_ATTACH]                 = {op_attach,                 MK_ERR_OK,                MK_ERR_DESTROYED,     false},
    [MK_OP_PREPARE_BINDINGS]       = {op_prepare_bindings,       MK_ERR_OK,                MK_ERR_DESTROYED,     false},
    [MK_OP_UNREGISTER]             = {op_unregister,             MK_ERR_OK,                MK_ERR_OK,            true},
    [MK_OP_UNREGISTER_IF_EPOCH]    = {op_unregister_if_epoch,    MK_ERR_NOT_READY,         MK_ERR_DESTROYED,     true},
    [MK_OP_RETIRE]                 = {op_retire,                 MK_ERR_NOT_FOUND,         MK_ERR_DESTROYED,     false},
    [MK_OP_RESET]                  = {op_reset,                  MK_ERR_NOT_FOUND,         MK_ERR_DESTROYED,     false},
    [MK_OP_RECYCLE]                = {op_recycle,                MK_ERR_NOT_FOUND,         MK_ERR_DESTROYED,     false},
    [MK_OP_RECOVER]                = {op_recover,                MK_ERR_NOT_FOUND,         MK_ERR_DESTROYED,     false},
    [MK_OP_STOP]                   = {op_stop,                   MK_ERR_NOT_READY,         MK_ERR_DESTROYED,     false},
    [MK_OP_DESTROY]                = {op_destroy,                MK_ERR_NOT_FOUND,         MK_ERR_DESTROYED,     true},
    [MK_OP_ABANDON_RETIRED]        = {op_abandon_retired,        MK_ERR_NOT_READY,         MK_ERR_NOT_READY,     false},
    [MK_OP_INTERRUPT]              = {op_interrupt,              MK_ERR_DESTROYED,         MK_ERR_DESTROYED,     true},
    [MK_OP_CANCEL_AFTER_BOUNDARY]  = {op_cancel_after_boundary,  MK_ERR_NOT_READY,         MK_ERR_DESTROYED,     true},
    [MK_OP_SILENT_INTENTS]         = {op_silent_intents,         MK_ERR_VALIDATION_FAILED, MK_ERR_DESTROYED,     false},
    [MK_OP_WITHDRAW]               = {op_withdraw,               MK_ERR_OK,                MK_ERR_OK,            true},
    [MK_OP_WAKE]                   = {op_wake,                   MK_ERR_NOT_READY,         MK_ERR_OK,            false},
    [MK_OP_PUBLISH_EVENT]          = {op_publish_event,          MK_ERR_NOT_FOUND,         MK_ERR_DESTROYED,     true},
    [MK_OP_INGEST]                 = {op_ingest,                 MK_ERR_NOT_FOUND,         MK_ERR_INVALID_STATE, false},
    [MK_OP_START_CONVERSATION_RUN] = {op_start_conversation_run, MK_ERR_NOT_READY,         MK_ERR_DESTROYED,     false},
    [MK_OP_COMMIT_SERVICE_TURN]    = {op_commit_service_turn,    MK_ERR_NOT_READY,         MK_ERR_DESTROYED,     false},
};
/* clang-format on */

/* L19: `deadline_ms` counts from the command's first sending; past it, it is never performed. */
static bool past_deadline(const struct turn_of *turn, const struct mk_command *command)
{
    uint64_t sent_ms = command->born ? command->born : command->h.ts;
    return command->deadline_ms && sent_ms && sent_ms + command->deadline_ms < turn->ctx->store_ms;
}

/* Rule 8: a repeat from before the horizon that finds nothing may have been performed. */
static bool too_late(const struct turn_of *turn, const struct mk_command *command)
{
    return command->born && command->born < turn->session->core.horizon_ms;
}

void session_command(const struct turn_of *turn, const struct mk_command *command)
{
    const struct session *session = turn->session;
    if (command->op >= MK_OP_COUNT) {
        answer_error(turn, command, MK_ERR_UNKNOWN_OP);
        return;
    }
    if (command->op > MK_OP_LAST_MUTATING) {
        session_query(turn, command);
        return;
    }
    if (repeated(turn, command))
        return;
    const struct operation *operation = &operations[command->op];
    bool destroyed = session->core.machine.phase == PHASE_DESTROYED;
    enum mk_err refusal = destroyed ? operation->destroyed : session_known(session) ? MK_ERR_OK : operation->unknown;
    if (too_late(turn, command))
        refusal = MK_ERR_TOO_LATE;
    if (!refusal && past_deadline(turn, command))
        refusal = MK_ERR_DEADLINE_PASSED;
    if (!refusal && session->core.leaving.re.bytes && !operation->leaving)
        refusal = MK_ERR_NOT_READY;
    if (refusal)
        answer_error(turn, command, refusal);
    else
        operation->perform(turn, command);
}
