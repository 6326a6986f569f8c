#include "tests/lib/t.h"

#include "codec/letter.h"
#include "codec/message.h"

#include <stdio.h>
#include <stdlib.h>

/* A map with what JSON cannot say: a float32, bin, ext, a key that is a number, an integer wider than it need be. */
static const char body[] = "\x85\xa1"
                           "f\xca\x3f\x80\x00\x00\xa1"
                           "b\xc4\x02\x00\xff\xa1"
                           "e\xd4\x05\x01\x07\xc3\xa1w\xcd\x00\x01";
#define BODY span_bytes(body, sizeof body - 1)

static struct letter_record full(void)
{
    return (struct letter_record){
        .version = LETTER_RECORD_VERSION,
        .at_ms = 1700000000000,
        .seq = 9,
        .outcome = MK_ABANDONED_WITH_ERROR,
        .reason = ABANDON_MAX_ATTEMPTS_EXHAUSTED,
        .error = SPAN_LIT("executor_failed"),
        .detail = SPAN_LIT("it broke"),
        .attempts = 3,
        .run = SPAN_LIT("r1"),
        .left_out = 70,
        .input = {.h = {.id = SPAN_LIT("i1"), .ts = 5},
                  .session = SPAN_LIT("s1"),
                  .kind = MK_PEER_MESSAGE,
                  .body = BODY,
                  .origin = MK_PEER,
                  .handling = MK_HANDLING_STEER,
                  .idem = SPAN_LIT("k"),
                  .after = SPAN_LIT("i0"),
                  .executor = SPAN_LIT("fail"),
                  .deadline_ms = 7,
                  .wake = true},
    };
}

static void same(struct span a, struct span b)
{
    if (!span_equal(a, b) || span_given(a) != span_given(b))
        fail_msg("\"%.*s\" is not \"%.*s\"", SPAN_ARGS(a), SPAN_ARGS(b));
}

static void round_trip(const struct letter_record *in)
{
    struct buf bytes = {0};
    struct letter_record out;
    letter_record_pack(&bytes, in);
    assert_int_equal(letter_record_read(buf_span(&bytes), &out, NULL), MK_ERR_OK);
    assert_true(in->version == out.version && in->at_ms == out.at_ms && in->seq == out.seq);
    assert_true(in->outcome == out.outcome && in->reason == out.reason && in->attempts == out.attempts);
    assert_int_equal(in->left_out, out.left_out);
    same(in->error, out.error);
    same(in->detail, out.detail);
    same(in->run, out.run);
    same(in->input.h.id, out.input.h.id);
    same(in->input.session, out.input.session);
    same(in->input.body, out.input.body);
    same(in->input.executor, out.input.executor);
    same(in->input.idem, out.input.idem);
    assert_true(in->input.kind == out.input.kind && in->input.handling == out.input.handling);
    assert_true(in->input.deadline_ms == out.input.deadline_ms && in->input.wake == out.input.wake);
    buf_fini(&bytes);
}

static void test_letter__comes_back_as_it_was_its_body_byte_for_byte(void **state)
{
    (void)state;
    struct letter_record letter = full();
    round_trip(&letter);
    for (unsigned i = 0; i < ABANDON_REASON_COUNT; i++) {
        letter.reason = (enum abandon_reason)i;
        round_trip(&letter);
    }
    struct letter_record least = {.version = LETTER_RECORD_VERSION,
                                  .input = {.h.id = SPAN_LIT("i"), .session = SPAN_LIT("s"), .wake = true}};
    round_trip(&least);
}

static void test_letter__cut_short_at_any_byte_is_refused(void **state)
{
    (void)state;
    struct buf bytes = {0};
    struct letter_record letter = full(), out;
    letter_record_pack(&bytes, &letter);
    for (size_t i = 0; i < bytes.bytes; i++) {
        char *copy = malloc(i + 1); /* so that a sanitizer sees a read behind it */
        assert_non_null(copy);
        memcpy(copy, bytes.at, i);
        assert_int_not_equal(letter_record_read(span_bytes(copy, i), &out, NULL), MK_ERR_OK);
        free(copy);
    }
    buf_fini(&bytes);
}

static void test_letter__of_another_version_or_form_is_refused(void **state)
{
    (void)state;
    struct buf bytes = {0};
    struct letter_record letter = full(), out;
    struct mk_note note = {""};
    letter.version = 2;
    letter_record_pack(&bytes, &letter);
    assert_int_equal(letter_record_read(buf_span(&bytes), &out, &note), MK_ERR_UNSUPPORTED_VERSION);
    assert_non_null(strstr(note.text, "version 2"));
    buf_fini(&bytes);
    static const char command[] = "\x86\xa1v\x01\xa2"
                                  "at\x01\xa3seq\x01\xa7outcome\xa9"
                                  "cancelled\xa6reason\xa5reset\xa5input\x85"
                                  "\xa1v\x01\xa1t\xa7"
                                  "command\xa2id\xa1i\xa2op\xa5state\xa7session\xa1s";
    assert_int_equal(letter_record_read(span_bytes(command, sizeof command - 1), &out, NULL), MK_ERR_INVALID_FIELD);
    assert_int_equal(letter_record_read(SPAN_LIT("\x81\xa1v\x01"), &out, NULL), MK_ERR_MISSING_FIELD);
    assert_int_equal(letter_record_read(SPAN_LIT("\x80"), &out, NULL), MK_ERR_MISSING_FIELD);
}

static void test_letter__the_id_of_a_redrive_counts_up(void **state)
{
    static const struct {
        const char *id, *next;
    } cases[] = {
        {"x", "x~1"},
        {"x~1", "x~2"},
        {"x~9", "x~10"},
        {"x~1~4", "x~1~5"},
        {"~", "~~1"},
        {"x~", "x~~1"},
        {"x~0", "x~0~1"},
        {"x~01", "x~01~1"},
        {"7", "7~1"},
        {"x~a", "x~a~1"},
        {"~3", "~4"},
        {"x~-1", "x~-1~1"},
        {"x~999999", "x~1000000"},
        {"x~1000000", "x~1000000~1"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mk_id next;
        assert_true(letter_redriven_id(span_of(cases[i].id), &next));
        assert_string_equal(next.text, cases[i].next);
    }
}

static void test_letter__an_id_that_would_grow_too_long_has_no_redrive(void **state)
{
    (void)state;
    char name[MESSAGE_ID_BYTES_MAX + 1];
    struct mk_id next;
    memset(name, 'n', sizeof name);
    assert_true(letter_redriven_id(span_bytes(name, 62), &next));
    assert_int_equal(next.bytes, 64);
    assert_false(letter_redriven_id(span_bytes(name, 63), &next));
    assert_false(letter_redriven_id(span_bytes(name, 65), &next));
    assert_false(letter_redriven_id(SPAN_LIT(""), &next));
    memcpy(name + 62, "~9", 2);
    assert_false(letter_redriven_id(span_bytes(name, 64), &next));
}

static void test_letters__a_page_is_read_item_by_item(void **state)
{
    (void)state;
    struct letters_page page;
    struct span item;
    static const char two[] = "\x82\xa5items\x92\x80\xa1z\xa4next\xa6"
                              "0001:7";
    assert_int_equal(letters_open(span_bytes(two, sizeof two - 1), &page, NULL), MK_ERR_OK);
    assert_true(letters_next(&page, &item));
    same(item, SPAN_LIT("\x80"));
    assert_true(letters_next(&page, &item));
    same(item, SPAN_LIT("\xa1z"));
    assert_false(letters_next(&page, &item));
    same(page.next, SPAN_LIT("0001:7"));
    assert_int_equal(letters_open(SPAN_LIT("\x81\xa5items\x90"), &page, NULL), MK_ERR_OK);
    assert_false(letters_next(&page, &item));
    assert_false(span_given(page.next));
    assert_int_equal(letters_open(SPAN_LIT("\x81\xa5items\x05"), &page, NULL), MK_ERR_INVALID_FIELD);
    assert_int_equal(letters_open(SPAN_LIT("\x80"), &page, NULL), MK_ERR_MISSING_FIELD);
    assert_int_equal(letters_open(SPAN_LIT("\x81\xa5items\x92\x80"), &page, NULL), MK_ERR_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_letter__comes_back_as_it_was_its_body_byte_for_byte),
        cmocka_unit_test(test_letter__cut_short_at_any_byte_is_refused),
        cmocka_unit_test(test_letter__of_another_version_or_form_is_refused),
        cmocka_unit_test(test_letter__the_id_of_a_redrive_counts_up),
        cmocka_unit_test(test_letter__an_id_that_would_grow_too_long_has_no_redrive),
        cmocka_unit_test(test_letters__a_page_is_read_item_by_item),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
