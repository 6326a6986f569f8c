/* Dead letters: read out of what `dead` answered, and redriven. */
#include "bus/client.h"
#include "codec/letter.h"

bool mk_letters_read(struct mk_bytes result, void (*each)(void *user, struct mk_bytes letter), void *user,
                     struct mk_bytes *next)
{
    struct letters_page page;
    struct span item;
    if (letters_open(span_from(result), &page, NULL))
        return false;
    while (letters_next(&page, &item))
        each(user, bytes_of(item));
    *next = bytes_of(page.next);
    return true;
}

bool mk_letter_read(struct mk_bytes bytes, struct mk_letter *out)
{
    struct letter_record letter;
    struct mk_id redriven = {.bytes = 0};
    if (letter_record_read(span_from(bytes), &letter, NULL))
        return false;
    const struct mk_input *input = &letter.input;
    *out = (struct mk_letter){
        .session = bytes_of(input->session),
        .id = bytes_of(input->h.id),
        .kind = bytes_of(span_of(mk_kind_name(input->kind))),
        .body = bytes_of(input->body),
        .left_out = letter.left_out,
        .outcome = bytes_of(span_of(mk_outcome_name(letter.outcome))),
        .reason = bytes_of(span_of(abandon_reason_name(letter.reason))),
        .error = bytes_of(letter.error),
        .detail = bytes_of(letter.detail),
        .run = bytes_of(letter.run),
        .at_ms = letter.at_ms,
        .seq = letter.seq,
        .attempts = letter.attempts,
    };
    if (letter_redriven_id(input->h.id, &redriven))
        memcpy(out->redriven_id, redriven.text, redriven.bytes);
    return true;
}

static enum mk_client_error check(struct mk_client *client, struct span bytes, struct letter_record *letter,
                                  struct mk_id *id)
{
    struct mk_note note = {""};
    if (letter_record_read(bytes, letter, &note)) {
        err_set(&client->note, MK_ERR_INVALID_FIELD, "this is no dead letter that can be redriven: %.160s", note.text);
        return MK_CLIENT_INVALID;
    }
    if (letter->left_out) {
        err_set(&client->note, MK_ERR_INVALID_FIELD, "`%.*s` cannot be redriven: its body, %llu bytes, was not kept",
                SPAN_ARGS(letter->input.h.id), (unsigned long long)letter->left_out);
        return MK_CLIENT_INVALID;
    }
    if (!letter_redriven_id(letter->input.h.id, id)) {
        err_set(&client->note, MK_ERR_INVALID_FIELD,
                "`%.*s` cannot be redriven: with a number behind it, its id would be longer than %d bytes",
                SPAN_ARGS(letter->input.h.id), MESSAGE_ID_BYTES_MAX);
        return MK_CLIENT_INVALID;
    }
    enum mk_client_error error = client__check_size(client, "body", letter->input.body.bytes);
    return error ? error : client__check_room(client, id_span(id));
}

enum mk_client_error mk_client_redrive(struct mk_client *client, const struct mk_redrive *redrive)
{
    struct letter_record letter;
    struct mk_id id;
    struct mk_session_id session;
    struct span bytes = span_from(redrive->letter);
    enum mk_client_error error = check(client, bytes, &letter, &id);
    if (error)
        return error;
    session_id_set(&session, letter.input.session);
    struct pending *pending = client__pending_new(NULL, session.text, redrive->timeout_ms, bytes.bytes);
    if (!pending)
        return client__no_memory(client);
    memcpy(pending->texts, bytes.at, bytes.bytes);
    letter_record_read((struct span){pending->texts, bytes.bytes}, &letter, NULL); /* as above: it lives as long */
    pending->id = id;
    pending->input = letter.input;
    pending->input.reply_to = id_span(&client->id);
    pending->input.idem = pending->input.after = (struct span){NULL, 0};
    pending->await_completion = redrive->await_completion;
    pending->on_answer = redrive->on_answer;
    pending->user = redrive->user;
    pending_add(&client->table, pending);
    return MK_CLIENT_OK;
}
