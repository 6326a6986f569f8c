/* What the client makes of dead letters: reads them, and publishes their inputs again. */
#include <stdio.h>
#include <stdlib.h>

#include "bus/client.h"
#include "codec/letter.h"
#include "tests/lib/t.h"

static int set_up(void **state)
{
    struct mk_client *client = calloc(1, sizeof *client);
    assert_non_null(client);
    assert_true(pending_table_init(&client->table, 16));
    client->window = 2;
    client->frame_bytes_max = FRAME_BYTES_DEFAULT;
    id_set(&client->id, SPAN_LIT("me"));
    *state = client;
    return 0;
}

static int tear_down(void **state)
{
    struct mk_client *client = *state;
    pending_table_fini(&client->table);
    free(client);
    return 0;
}

static const char body[] = "\x82\x07\xca\x3f\x80\x00\x00\xa1w\xcd\x00\x01"; /* a key that is a number, a float32 */

static struct mk_bytes letter_of(struct buf *out, const char *id)
{
    struct letter_record letter = {
        .version = LETTER_RECORD_VERSION,
        .at_ms = 8,
        .seq = 4,
        .outcome = MK_ABANDONED_WITH_ERROR,
        .reason = ABANDON_DEADLINE_PASSED,
        .error = SPAN_LIT("deadline_passed"),
        .attempts = 2,
        .input = {.h = {.id = span_of(id), .ts = 5, .pub = SPAN_LIT("p"), .pe = 1, .ps = 2},
                  .session = SPAN_LIT("s1"),
                  .kind = MK_PEER_MESSAGE,
                  .body = span_bytes(body, sizeof body - 1),
                  .durability = MK_EPHEMERAL,
                  .origin = MK_PEER,
                  .handling = MK_HANDLING_STEER,
                  .idem = SPAN_LIT("key"),
                  .after = SPAN_LIT("before"),
                  .corr = SPAN_LIT("corr"),
                  .reply_to = SPAN_LIT("another"),
                  .executor = SPAN_LIT("exec"),
                  .born = 3,
                  .deadline_ms = 70,
                  .wake = true},
    };
    buf_reset(out);
    letter_record_pack(out, &letter);
    assert_false(out->failed);
    return (struct mk_bytes){out->at, out->bytes};
}

static void test_redrive__publishes_the_input_again_under_the_next_id(void **state)
{
    struct mk_client *client = *state;
    struct buf bytes = {0};
    struct mk_redrive redrive = {.letter = letter_of(&bytes, "x~1"), .await_completion = true};
    assert_int_equal(mk_client_redrive(client, &redrive), MK_CLIENT_OK);
    memset(bytes.at, 0, bytes.bytes); /* it was copied */
    const struct pending *pending = pending_find(&client->table, SPAN_LIT("x~2"));
    assert_non_null(pending);
    assert_string_equal(pending->session, "s1");
    assert_true(pending->await_completion && !pending->born_ms);
    const struct mk_input *input = &pending->input;
    assert_true(span_equal(input->body, span_bytes(body, sizeof body - 1)));
    assert_true(input->kind == MK_PEER_MESSAGE && input->origin == MK_PEER && input->handling == MK_HANDLING_STEER);
    assert_true(input->durability == MK_EPHEMERAL && input->deadline_ms == 70 && input->wake);
    assert_true(span_is(input->executor, "exec") && span_is(input->corr, "corr") && span_is(input->reply_to, "me"));
    assert_false(span_given(input->idem) || span_given(input->after));
    assert_int_equal(mk_client_redrive(client, &redrive), MK_CLIENT_INVALID); /* zeroes */
    redrive.letter = letter_of(&bytes, "x~1");
    assert_int_equal(mk_client_redrive(client, &redrive), MK_CLIENT_INVALID);
    assert_non_null(strstr(mk_client_error_text(client), "being sent already"));
    buf_fini(&bytes);
}

static void test_redrive__of_an_id_that_would_grow_too_long_is_refused(void **state)
{
    struct mk_client *client = *state;
    struct buf bytes = {0};
    char name[MESSAGE_ID_BYTES_MAX] = "";
    memset(name, 'n', 63);
    struct mk_redrive redrive = {.letter = letter_of(&bytes, name)};
    assert_int_equal(mk_client_redrive(client, &redrive), MK_CLIENT_INVALID);
    assert_non_null(strstr(mk_client_error_text(client), "64 bytes"));
    buf_fini(&bytes);
}

static void test_redrive__of_a_letter_without_its_body_is_refused(void **state)
{
    struct mk_client *client = *state;
    struct buf bytes = {0}, without = {0};
    struct letter_record letter;
    struct mk_bytes whole = letter_of(&bytes, "x");
    assert_int_equal(letter_record_read(span_bytes(whole.at, whole.bytes), &letter, NULL), MK_ERR_OK);
    letter.left_out = 5000;
    letter_record_pack(&without, &letter);
    struct mk_redrive redrive = {.letter = {without.at, without.bytes}};
    assert_int_equal(mk_client_redrive(client, &redrive), MK_CLIENT_INVALID);
    assert_non_null(strstr(mk_client_error_text(client), "5000 bytes, was not kept"));
    buf_fini(&without);
    buf_fini(&bytes);
}

static void test_redrive__keeps_to_the_window_and_the_frame(void **state)
{
    struct mk_client *client = *state;
    struct buf bytes = {0};
    for (int i = 0; i < 3; i++) {
        struct mk_redrive redrive = {.letter = letter_of(&bytes, i == 0 ? "a" : i == 1 ? "b" : "c")};
        assert_int_equal(mk_client_redrive(client, &redrive), i < 2 ? MK_CLIENT_OK : MK_CLIENT_FULL);
    }
    client->frame_bytes_max = 4096;
    struct mk_redrive large = {.letter = letter_of(&bytes, "d")};
    assert_int_equal(mk_client_redrive(client, &large), MK_CLIENT_TOO_LARGE);
    buf_fini(&bytes);
}

static void count(void *user, struct mk_bytes letter)
{
    (void)letter;
    ++*(size_t *)user;
}

static void test_letters__are_read_out_of_an_answer(void **state)
{
    (void)state;
    struct buf bytes = {0}, answer = {0};
    struct mk_letter letter;
    struct mk_bytes one = letter_of(&bytes, "x"), next;
    size_t letters = 0;
    assert_true(mk_letter_read(one, &letter));
    assert_true(letter.at_ms == 8 && letter.seq == 4 && letter.attempts == 2);
    assert_int_equal(letter.reason.bytes, strlen("deadline_passed"));
    assert_memory_equal(letter.id.at, "x", 1);
    assert_string_equal(letter.redriven_id, "x~1");
    assert_int_equal(letter.body.bytes, sizeof body - 1);
    buf_append(&answer, "\x82\xa5items\x92", 8);
    buf_append(&answer, one.at, one.bytes);
    buf_append(&answer,
               "\x80\xa4next\xa3"
               "abc",
               10);
    assert_true(mk_letters_read((struct mk_bytes){answer.at, answer.bytes}, count, &letters, &next));
    assert_int_equal(letters, 2);
    assert_int_equal(next.bytes, 3);
    assert_false(mk_letter_read((struct mk_bytes){"\x80", 1}, &letter));
    assert_false(mk_letters_read((struct mk_bytes){"\x80", 1}, count, &letters, &next));
    buf_fini(&answer);
    buf_fini(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_redrive__publishes_the_input_again_under_the_next_id, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_redrive__of_an_id_that_would_grow_too_long_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_redrive__of_a_letter_without_its_body_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_redrive__keeps_to_the_window_and_the_frame, set_up, tear_down),
        cmocka_unit_test(test_letters__are_read_out_of_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
