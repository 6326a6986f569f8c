#include "codec/call.h"

#include "codec/letter.h"
#include "codec/message.h"
#include "codec/record.h"

#include <stdio.h>
#include <stdlib.h>

size_t key_of(char out[KEY_BYTES], uint32_t partition, uint32_t groups, char letter)
{
    return (size_t)snprintf(out, KEY_BYTES, "mk:{%u}:%04x:%c", (unsigned)(partition % groups), (unsigned)partition,
                            letter);
}

void call_init(struct call *call, enum script script)
{
    *call = (struct call){.script = script};
}

void call_fini(struct call *call)
{
    buf_fini(&call->bytes);
    buf_fini(&call->ends);
    free(call->spans);
    *call = (struct call){0};
}

static void end_argument(struct call *call)
{
    buf_append(&call->ends, &call->bytes.bytes, sizeof call->bytes.bytes);
    call->count++;
}

void call_text(struct call *call, struct span text)
{
    buf_append(&call->bytes, text.at, text.bytes);
    end_argument(call);
}

void call_key_text(struct call *call, const char *key)
{
    call_text(call, span_of(key));
    call->key_count++;
}

void call_key(struct call *call, uint32_t partition, uint32_t groups, char letter)
{
    char key[KEY_BYTES];
    size_t bytes = key_of(key, partition, groups, letter);
    call_text(call, (struct span){key, bytes});
    call->key_count++;
}

void call_u64(struct call *call, uint64_t number)
{
    char text[24];
    size_t at = sizeof text;
    do
        text[--at] = (char)('0' + number % 10);
    while (number /= 10);
    call_text(call, (struct span){text + at, sizeof text - at});
}

void call_lease(struct call *call, const struct node_config *config)
{
    call_text(call, id_span(&config->node));
    call_text(call, span_of(config->incarnation.text));
}

bool call_seal(struct call *call, struct store_call *out)
{
    if (call->bytes.failed || call->ends.failed)
        return false;
    if (!call->spans) {
        call->spans = malloc((call->count ? call->count : 1) * sizeof *call->spans);
        if (!call->spans)
            return false;
        size_t from = 0;
        for (size_t i = 0; i < call->count; i++) {
            size_t end;
            memcpy(&end, call->ends.at + i * sizeof end, sizeof end);
            call->spans[i] = (struct span){call->bytes.at + from, end - from};
            from = end;
        }
    }
    *out = (struct store_call){.script = call->script,
                               .keys = call->spans,
                               .key_count = call->key_count,
                               .args = call->spans + call->key_count,
                               .arg_count = call->count - call->key_count};
    return true;
}

/* --- commit --- */

struct packer {
    struct call *call;
    const struct mk_mem *mem;
    struct commit_scratch *scratch;
    uint64_t store_ms;
    size_t operations;
    uint64_t event_bytes;
    uint64_t letter_bytes; /* of the whole call */
    bool failed;
};

static void operation(struct packer *pack, char code, struct span field, struct span value)
{
    call_text(pack->call, (struct span){&code, 1});
    call_text(pack->call, field);
    call_text(pack->call, value);
    pack->operations++;
}

static void operation_number(struct packer *pack, char code, uint64_t number)
{
    char text[24];
    int bytes = snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    operation(pack, code, SPAN_LIT(""), (struct span){text, (size_t)bytes});
}

static void pack_event(struct packer *pack, struct session *session, struct staged_event *event)
{
    if (!event->bytes) {
        char id[48];
        int bytes =
            snprintf(id, sizeof id, "%llx-%llu", (unsigned long long)span_hash(session_id_span(&session->id)),
                     (unsigned long long)(event->is_completion ? event->as.completion.seq : event->as.effect.seq));
        buf_reset(&pack->scratch->record);
        if (event->is_completion)
            completion_pack(&pack->scratch->record, (struct span){id, (size_t)bytes}, &event->as.completion);
        else
            effect_pack(&pack->scratch->record, (struct span){id, (size_t)bytes}, &event->as.effect);
        event->bytes = pack->scratch->record.failed ? NULL : blob_new(pack->mem, buf_span(&pack->scratch->record));
    }
    if (!event->bytes) {
        pack->failed = true;
        return;
    }
    pack->event_bytes += event->bytes->bytes;
    operation(pack, 'o', session_id_span(&session->id), blob_span(event->bytes));
}

static void pack_memo(struct packer *pack, const struct session *session, const struct fact_write *write)
{
    char field[MEMO_FIELD_BYTES];
    size_t bytes = memo_field(field, session_id_span(&session->id));
    struct memo_record memo = {.version = MEMO_RECORD_VERSION,
                               .kind = write->record.kind,
                               .name = id_span(&write->name),
                               .at_ms = write->record.at_ms};
    buf_reset(&pack->scratch->record);
    memo_record_pack(&pack->scratch->record, &memo);
    pack->failed |= pack->scratch->record.failed;
    pack->event_bytes += pack->scratch->record.bytes;
    operation(pack, 'o', (struct span){field, bytes}, buf_span(&pack->scratch->record));
}

/* What a fact remembers of an outcome is the very message that was published, or the result as it is answered. */
static void pack_fact(struct packer *pack, const struct session *session, struct fact_write *write)
{
    char field[FACT_FIELD_BYTES];
    size_t bytes = fact_field(field, session_id_span(&session->id), write->record.kind, id_span(&write->name));
    if (write->forget) {
        operation(pack, 'T', (struct span){field, bytes}, SPAN_LIT(""));
        return;
    }
    struct fact_record record = write->record;
    if (write->completion)
        record.bytes = blob_span(write->completion->bytes);
    struct buf packed = {0};
    if (write->result) {
        struct answer *answer = write->result;
        struct message_from from = {.node = (struct span){NULL, 0}, .ts = pack->store_ms};
        result_pack(&packed, id_span(&answer->re), &from, &answer->as.result);
    }
    if (write->receipt)
        doc_pack(&packed, write->receipt);
    if (write->result || write->receipt)
        record.bytes = buf_span(&packed);
    buf_reset(&pack->scratch->record);
    fact_record_pack(&pack->scratch->record, &record);
    pack->failed |= pack->scratch->record.failed || packed.failed;
    struct span name = {field, bytes}, value = buf_span(&pack->scratch->record);
    if (write->condition)
        operation(pack, '?', name, value);
    operation(pack, 't', name, value);
    buf_fini(&packed);
    if (write->memo)
        pack_memo(pack, session, write);
}

static void pack_head(struct packer *pack, const struct session *session)
{
    struct span id = session_id_span(&session->id);
    struct session_record record;
    session_record_of(session, pack->store_ms, pack->scratch->active, &record);
    buf_reset(&pack->scratch->record);
    session_record_pack(&pack->scratch->record, &record);
    pack->failed |= pack->scratch->record.failed;
    operation(pack, 's', id, buf_span(&pack->scratch->record));
    if (session->stage.state_changed && session->core.state)
        operation(pack, 'x', id, blob_span(session->core.state));
    else if (session->stage.state_changed)
        operation(pack, 'X', id, SPAN_LIT(""));
}

static void pack_row(struct packer *pack, struct span session, const struct entry *entry)
{
    char field[INPUT_FIELD_BYTES];
    struct input_record record;
    if (!entry->dirty)
        return;
    input_record_of(entry, &record);
    buf_reset(&pack->scratch->record);
    input_record_pack(&pack->scratch->record, &record);
    pack->failed |= pack->scratch->record.failed;
    operation(pack, 'i', (struct span){field, input_field(field, session, entry->seq)},
              buf_span(&pack->scratch->record));
}

static void pack_rows(struct packer *pack, const struct session *session)
{
    char field[INPUT_FIELD_BYTES];
    struct span id = session_id_span(&session->id);
    const struct ledger *ledger = &session->core.ledger;
    const struct carried *carried = &session->core.carried;
    for (size_t i = 0; i < ledger->count; i++)
        pack_row(pack, id, ledger->entries[i]);
    for (size_t i = 0; i < carried->count; i++)
        pack_row(pack, id, carried->entries[i]);
    for (size_t i = 0; i < session->stage.removed_count; i++)
        operation(pack, 'I', (struct span){field, input_field(field, id, session->stage.removed[i])}, SPAN_LIT(""));
}

/* An abandoned input is kept for people, and for a redrive. */
static void pack_letter(struct packer *pack, const struct session *session, const struct staged_event *event)
{
    const struct mk_completion *completion = &event->as.completion;
    struct letter_record letter = {
        .version = LETTER_RECORD_VERSION,
        .at_ms = completion->ts,
        .seq = completion->seq,
        .outcome = completion->outcome,
        .reason = event->dead_why,
        .error = completion->error ? span_of(mk_err_code(completion->error)) : (struct span){NULL, 0},
        .detail = blob_span(event->text),
        .attempts = event->dead_attempts,
        .run = id_span(&event->run),
        .input = event->dead->input,
    };
    if (pack->letter_bytes + letter.input.body.bytes > LETTERS_BYTES_MAX) {
        letter.left_out = letter.input.body.bytes;
        letter.input.body = (struct span){NULL, 0};
    }
    pack->letter_bytes += letter.input.body.bytes;
    buf_reset(&pack->scratch->record);
    letter_record_pack(&pack->scratch->record, &letter);
    pack->failed |= pack->scratch->record.failed;
    operation(pack, 'd', session_id_span(&session->id), buf_span(&pack->scratch->record));
}

static void pack_events(struct packer *pack, struct session *session)
{
    bool letters = false;
    for (struct staged_event *event = session->stage.events; event && !pack->failed; event = event->next) {
        pack_event(pack, session, event);
        if (event->dead)
            pack_letter(pack, session, event);
        letters |= event->dead != NULL;
    }
    if (letters)
        operation_number(pack, 'D', DEAD_LETTERS_MAX);
}

/* The number of operations stands before them: its place is kept, and rewritten when they are known. */
static void pack_section(struct packer *pack, struct session *session, uint64_t trim_to)
{
    struct call *call = pack->call;
    size_t at = call->bytes.bytes;
    call_text(call, SPAN_LIT("000000"));
    pack->operations = 0;
    if (trim_to)
        operation_number(pack, '-', trim_to);
    pack_events(pack, session);
    for (struct fact_write *write = session->stage.writes; write && !pack->failed; write = write->next)
        pack_fact(pack, session, write);
    pack_head(pack, session);
    pack_rows(pack, session);
    if (!call->bytes.failed) {
        char digits[7];
        snprintf(digits, sizeof digits, "%06zu", pack->operations % 1000000);
        memcpy(call->bytes.at + at, digits, 6);
    }
}

static void pack_part(struct packer *pack, struct commit_part *part)
{
    struct call *call = pack->call;
    call_u64(call, part->fence);
    call_u64(call, part->sequence);
    size_t digest_at = call->bytes.bytes;
    call_text(call, SPAN_LIT("0000000000000000"));
    call_u64(call, part->published);
    call_u64(call, part->horizon_ms);
    size_t bytes_at = call->bytes.bytes;
    call_text(call, SPAN_LIT("0000000000000000"));
    call_u64(call, part->section_count);
    size_t from = call->bytes.bytes;
    pack->event_bytes = 0;
    for (size_t i = 0; i < part->section_count; i++)
        pack_section(pack, part->sections[i].session, i ? 0 : part->trim_to);
    part->growth = pack->event_bytes - part->trim_bytes;
    *part->total += part->growth;
    if (call->bytes.failed)
        return;
    char text[21];
    snprintf(text, sizeof text, "%016llu", (unsigned long long)(*part->total % 10000000000000000ull));
    memcpy(call->bytes.at + bytes_at, text, 16);
    uint64_t digest = span_hash((struct span){call->bytes.at + from, call->bytes.bytes - from});
    snprintf(text, sizeof text, "%016llx", (unsigned long long)digest);
    memcpy(call->bytes.at + digest_at, text, 16);
}

bool call_commit(struct call *call, const struct node_config *config, struct commit *commit, uint64_t store_ms,
                 const struct mk_mem *mem, struct commit_scratch *scratch)
{
    static const char letters[] = "lsixtod";
    call_init(call, SCRIPT_COMMIT);
    struct packer pack = {.call = call, .mem = mem, .scratch = scratch, .store_ms = store_ms};
    for (size_t p = 0; p < commit->part_count; p++)
        for (const char *letter = letters; *letter; letter++)
            call_key(call, commit->parts[p].partition, config->groups, *letter);
    call_lease(call, config);
    for (size_t p = 0; p < commit->part_count && !pack.failed; p++)
        pack_part(&pack, &commit->parts[p]);
    return !pack.failed && !call->bytes.failed && !call->ends.failed;
}

/* --- replies --- */

struct span reply_text(struct reply_reader *reader)
{
    if (reader->bad || !reader->left) {
        reader->bad = true;
        return (struct span){NULL, 0};
    }
    reader->left--;
    return *reader->items++;
}

uint64_t reply_u64(struct reply_reader *reader)
{
    struct span text = reply_text(reader);
    uint64_t number = 0;
    if (!text.bytes || text.bytes > 19)
        reader->bad = true;
    for (size_t i = 0; i < text.bytes && !reader->bad; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            reader->bad = true;
        number = 10 * number + (uint64_t)(text.at[i] - '0');
    }
    return reader->bad ? 0 : number;
}

enum lease_status reply_status(struct reply_reader *reader)
{
    static const char *const words[] = {[LEASE_HELD] = "held",
                                        [LEASE_OTHER] = "other",
                                        [LEASE_FREE] = "free",
                                        [LEASE_AGAIN] = "again",
                                        [LEASE_SEQUENCE] = "sequence"};
    struct span text = reply_text(reader);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (span_is(text, words[i]))
            return (enum lease_status)i;
    reader->bad = true;
    return LEASE_OTHER;
}

struct reply_reader reply_open(const struct store_reply *reply, uint64_t *now_ms)
{
    struct reply_reader reader = {.items = reply->items, .left = reply->count};
    *now_ms = reply_u64(&reader);
    return reader;
}
