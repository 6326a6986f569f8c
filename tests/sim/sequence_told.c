#include "tests/sim/sequence_told.h"

#include "codec/scan.h"

/* --- reading results --- */

static bool map_value(struct span map, const char *name, struct value *value, struct span *whole)
{
    struct cursor cursor = cursor_of(map);
    struct value head, key;
    if (!map.bytes || !cursor_read(&cursor, &head) || head.type != VALUE_MAP)
        return false;
    for (uint64_t i = 0; i < head.number && cursor_read(&cursor, &key); i++) {
        struct cursor at = cursor;
        if (!cursor_skip(&cursor, whole))
            return false;
        if (span_is(key.text, name))
            return cursor_read(&at, value);
    }
    return false;
}

struct span told_text(struct span map, const char *name)
{
    struct value value;
    struct span whole;
    return map_value(map, name, &value, &whole) && value.type == VALUE_STR ? value.text : (struct span){NULL, 0};
}

uint64_t told_number(struct span map, const char *name)
{
    struct value value;
    struct span whole;
    return map_value(map, name, &value, &whole) ? value.number : 0;
}

struct span told_raw(struct span map, const char *name)
{
    struct value value;
    struct span whole;
    return map_value(map, name, &value, &whole) && value.type != VALUE_NIL ? whole : (struct span){NULL, 0};
}

/* --- refusals --- */

/* L19: what came too late is never performed. */
bool told_too_late(const struct mk_command *command)
{
    return command->deadline_ms && command->deadline_ms <= SEQUENCE_LATE_MS_MAX;
}

/* Rule 7: for good only what lies in the frame, what is decided, and what a destroyed session says. */
bool told_final_rightly(struct sim *s, struct span session, enum mk_err err, bool of_input)
{
    switch ((int)err) {
    case MK_ERR_MISSING_FIELD:
    case MK_ERR_INVALID_FIELD:
    case MK_ERR_TOO_LARGE:
    case MK_ERR_UNKNOWN_OP:
    case MK_ERR_INVALID_INPUT:
    case MK_ERR_ID_CONFLICT:
    case MK_ERR_WRONG_PARTITION:
    case MK_ERR_TOO_LATE:
    case MK_ERR_WITHDRAWN:
        return true;
    case MK_ERR_VALIDATION_FAILED:
        return of_input;
    case MK_ERR_DESTROYED:
        return model_seen(s, session) == SEEN_DESTROYED;
    default:
        return false;
    }
}

/* --- what is said of inputs, held against their history --- */

static bool stored_completion(struct sim *s, struct span session, struct span id, struct span completion)
{
    struct fact_record fact;
    return checks_fact(s, session, FACT_INPUT, id, &fact) && span_equal(fact.bytes, completion);
}

static void check_told_completion(struct sequence *q, const struct mk_command *command, struct span data)
{
    struct span completion = told_raw(data, "completion");
    if (completion.bytes && !stored_completion(q->sim, command->session, command->args.id, completion))
        sim_broken(q->sim, "D14", "%s of %.*s tells a completion that is not the stored one", mk_op_name(command->op),
                   SPAN_ARGS(command->args.id));
}

static void check_withdrawn(struct sequence *q, const struct mk_command *command, struct span data)
{
    struct note *note = sequence_note(q, command->session, command->args.id);
    const struct mk_input *in = sim_clients_input(q->sim, command->session, command->args.id);
    bool durable = in != NULL;
    if (told_number(data, "withdrawn"))
        note->withdrawn |= durable;
    else if (note->withdrawn)
        sim_broken(q->sim, "rule 7", "%.*s was withdrawn, and is not any more", SPAN_ARGS(command->args.id));
}

/* What was known before the question came is known. */
static void check_outcome(struct sequence *q, const struct mk_command *command, const struct note *asked,
                          struct span data)
{
    struct span state = told_text(data, "state"), id = told_text(data, "input");
    const struct mk_input *in = sim_clients_input(q->sim, command->session, id);
    const struct note *note = in ? sequence_note(q, command->session, id) : NULL;
    if (!in || in->durability != MK_DURABLE)
        return;
    bool lost = note->admitted && note->said_us < asked->sent_us && span_is(state, "never_seen");
    bool behind =
        note->over && note->over_us < asked->sent_us && !span_is(state, "committed") && !span_is(state, "withdrawn");
    if (lost || behind)
        sim_broken(q->sim, "D14", "the outcome of %.*s, which was %s, is %.*s", SPAN_ARGS(id),
                   lost ? "accepted" : "over", SPAN_ARGS(state));
}

/* Ids in the order of admission. */
static void check_list(struct sequence *q, const struct mk_command *command, struct span data)
{
    struct span list = told_raw(data, "inputs");
    struct cursor cursor = cursor_of(list);
    struct value head, id;
    uint64_t last = 0;
    if (!list.bytes || !cursor_read(&cursor, &head))
        return;
    for (uint64_t i = 0; i < head.number && cursor_read(&cursor, &id); i++) {
        const struct seen_input *input = checks_input(q->sim, command->session, id.text);
        if (input->seq && input->seq <= last)
            sim_broken(q->sim, "section 7", "list_active_inputs of %.*s names %.*s out of order",
                       SPAN_ARGS(command->session), SPAN_ARGS(id.text));
        last = input->seq ? input->seq : last;
    }
}

/* L15: one that names a run cancels that run, or nothing. */
static void check_cancelled(struct sequence *q, const struct mk_command *command, struct span data)
{
    struct span run = told_text(data, "run");
    if (command->run.bytes && !span_equal(run, command->run))
        sim_broken(q->sim, "rule 6", "%s meant run %.*s and speaks of %.*s", mk_op_name(command->op),
                   SPAN_ARGS(command->run), SPAN_ARGS(run));
    if (told_number(data, "cancelled") && !run.bytes)
        sim_broken(q->sim, "rule 6", "%s cancelled no run", mk_op_name(command->op));
}

static void check_receipt(struct sequence *q, const struct mk_command *command, struct span data)
{
    struct span receipt = told_raw(data, "receipt");
    if (receipt.bytes && (!span_equal(told_text(receipt, "run"), command->run) ||
                          told_number(receipt, "sequence") != command->args.sequence))
        sim_broken(q->sim, "section 7", "the receipt of run %.*s is another's", SPAN_ARGS(command->run));
}

static void check_verdict(struct sequence *q, const struct mk_command *command, struct span data)
{
    bool busy = command->args.running || command->args.active_inputs;
    if (!span_is(told_text(data, "verdict"), busy ? "denied_busy" : "admissible"))
        sim_broken(q->sim, "section 7", "a transcript edit is %.*s", SPAN_ARGS(told_text(data, "verdict")));
}

/* What drains is not abandoned, and the other way round. */
static void check_retired(struct sequence *q, const struct mk_command *command, struct span data)
{
    if (told_number(data, "abandoned") && told_number(data, "pending_drain"))
        sim_broken(q->sim, "section 5.7", "retire of %.*s abandons and drains", SPAN_ARGS(command->session));
}

void told_data(struct sequence *q, const struct mk_command *command, const struct note *note, struct span data)
{
    switch ((int)command->op) {
    case MK_OP_WITHDRAW:
        check_withdrawn(q, command, data);
        check_told_completion(q, command, data);
        break;
    case MK_OP_OUTCOME:
        check_outcome(q, command, note, data);
        break;
    case MK_OP_INPUT_STATE:
        check_told_completion(q, command, data);
        break;
    case MK_OP_LIST_ACTIVE_INPUTS:
        check_list(q, command, data);
        break;
    case MK_OP_INTERRUPT:
    case MK_OP_CANCEL_AFTER_BOUNDARY:
        check_cancelled(q, command, data);
        break;
    case MK_OP_RECEIPT:
        check_receipt(q, command, data);
        break;
    case MK_OP_TRANSCRIPT_EDIT:
        check_verdict(q, command, data);
        break;
    case MK_OP_RETIRE:
        check_retired(q, command, data);
        break;
    default:
        break;
    }
}
