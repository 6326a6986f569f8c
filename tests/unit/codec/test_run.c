#include "tests/lib/t.h"

#include <stdio.h>
#include <stdlib.h>

#include "codec/run.h"

#define FIXED(literal)                                                                                                 \
    {                                                                                                                  \
        literal, sizeof(literal) - 1                                                                                   \
    }

static unsigned digit(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* An allocation of exactly its size, so that a sanitizer sees the first byte too far. */
static struct span from_hex(const char *hex)
{
    size_t bytes = strlen(hex) / 2;
    char *out = malloc(bytes ? bytes : 1);
    assert_non_null(out);
    for (size_t i = 0; i < bytes; i++)
        out[i] = (char)(16 * digit(hex[2 * i]) + digit(hex[2 * i + 1]));
    return span_bytes(out, bytes);
}

static void release(struct span bytes)
{
    free((void *)(uintptr_t)bytes.at);
}

static void assert_hex(struct span bytes, const char *hex)
{
    struct span wanted = from_hex(hex);
    assert_int_equal(bytes.bytes, wanted.bytes);
    assert_memory_equal(bytes.at, wanted.at, wanted.bytes);
    release(wanted);
}

/* --- to the child --- */

static void test_run__a_run_is_packed_as_it_is_documented(void **state)
{
    static const char hex[] =
        "000001a8de000aa372756ea3722d31a773657373696f6ea27331a7617474656d707402a566656e6365cf00060a24181e4001"
        "aa67656e65726174696f6e03a57374617465c40200ffa6696e7075747392de000ca26964a3692d31a46b696e64a670726f6d"
        "7074a4626f647993010203a8617474656d70747302aa6475726162696c697479a764757261626c65a66f726967696ea86578"
        "7465726e616ca868616e646c696e67a57374656572a2747305a4626f726e04a46964656da16ba4636f7272a163aa76697369"
        "62696c697479de0002aa7472616e736372697074c3a86f70657261746f72c2de000ca26964a3692d32a46b696e64ac706565"
        "725f72657175657374a4626f6479c0a8617474656d70747301aa6475726162696c697479a9657068656d6572616ca66f7269"
        "67696ea470656572a2747300aa7669736962696c697479de0002aa7472616e736372697074c2a86f70657261746f72c3a770"
        "6565725f6964a170a9706565725f6e616d65a150aa726571756573745f6964a171a6696e74656e74a361736baa7669736962"
        "696c697479c0a86964656e74697479c0a8696e6a6563746564dc0000";
    (void)state;
    struct run_record record = {.attempt = 2};
    id_set(&record.id, SPAN_LIT("r-1"));
    const struct mk_input first = {.h = {.id = SPAN_LIT("i-1"), .ts = 5},
                                   .kind = MK_PROMPT,
                                   .body = SPAN_LIT("\x93\x01\x02\x03"),
                                   .durability = MK_DURABLE,
                                   .origin = MK_EXTERNAL,
                                   .handling = MK_HANDLING_STEER,
                                   .idem = SPAN_LIT("k"),
                                   .corr = SPAN_LIT("c"),
                                   .reply_to = SPAN_LIT("nobody but the bus needs this"),
                                   .born = 4,
                                   .transcript_eligible = true};
    const struct mk_input second = {.h = {.id = SPAN_LIT("i-2")},
                                    .kind = MK_PEER_REQUEST,
                                    .durability = MK_EPHEMERAL,
                                    .origin = MK_PEER,
                                    .operator_eligible = true,
                                    .peer_id = SPAN_LIT("p"),
                                    .peer_name = SPAN_LIT("P"),
                                    .request_id = SPAN_LIT("q"),
                                    .intent = SPAN_LIT("ask")};
    const struct run_input inputs[] = {{&first, 2}, {&second, 1}};
    const struct run_request request = {.session = SPAN_LIT("s1"),
                                        .run = &record,
                                        .fence = 1700000000000001,
                                        .generation = 3,
                                        .state = span_bytes("\0\xff", 2),
                                        .inputs = inputs,
                                        .input_count = 2};
    struct buf out = {0};
    run_pack(&out, &request);
    assert_false(out.failed);
    assert_hex(buf_span(&out), hex);
    buf_fini(&out);
}

static void test_run__a_cancel_is_packed_as_it_is_documented(void **state)
{
    static const char hex[] = "00000014de0002a663616e63656ca3722d31a468617264c3";
    struct buf out = {0};
    (void)state;
    run_cancel_pack(&out, SPAN_LIT("r-1"), true);
    assert_hex(buf_span(&out), hex);
    buf_fini(&out);
}

static const struct mk_input small = {
    .h = {.id = FIXED("i-3")}, .kind = MK_PROMPT, .body = FIXED("\x01"), .durability = MK_DURABLE};

#define SMALL                                                                                                          \
    "de0008a26964a3692d33a46b696e64a670726f6d7074a4626f647901a8617474656d70747301aa6475726162696c697479a7647572"       \
    "61626c65a66f726967696ea86f70657261746f72a2747300aa7669736962696c697479de0002aa7472616e736372697074c2a86f70"       \
    "657261746f72c2"

static void test_run__an_input_for_a_run_at_work_is_packed_as_it_is_documented(void **state)
{
    static const char hex[] = "00000085de0002a6696e6a656374a3722d31a5696e707574" SMALL;
    const struct run_input input = {&small, 1};
    struct buf out = {0};
    (void)state;
    run_inject_pack(&out, SPAN_LIT("r-1"), &input);
    assert_hex(buf_span(&out), hex);
    buf_fini(&out);
}

/* As if it had been in the request. */
static void test_run__what_was_injected_is_in_the_frame_of_a_run_that_begins_anew(void **state)
{
    struct run_record record = {.attempt = 1};
    struct run_input inputs[] = {{&small, 1}, {&small, 2}, {&small, 3}};
    struct run_request request = {.session = SPAN_LIT("s"), .run = &record, .inputs = inputs, .input_count = 1};
    struct buf frame = {0}, later = {0}, again = {0}, whole = {0};
    (void)state;
    id_set(&record.id, SPAN_LIT("r-1"));
    request.injected = inputs;
    request.injected_count = 1;
    size_t count_at = run_pack(&frame, &request);
    run_input_pack(&later, &inputs[1]);
    run_input_pack(&later, &inputs[2]);
    run_again_pack(&again, buf_span(&frame), count_at, buf_span(&later), 3);
    request.injected_count = 3;
    run_pack(&whole, &request);
    assert_int_equal(again.bytes, whole.bytes);
    assert_memory_equal(again.at, whole.at, whole.bytes);
    buf_fini(&frame);
    buf_fini(&later);
    buf_fini(&again);
    buf_fini(&whole);
}

/* --- from the child --- */

static enum mk_err read_hex(const char *hex, size_t inputs, struct run_answer *out, struct mk_note *note)
{
    struct span map = from_hex(hex);
    enum mk_err err = run_answer_read(map, inputs, out, note);
    /* what was read borrows: look at it while it is there */
    for (size_t i = 0; i < out->result_count && !err; i++)
        assert_true(out->results[i].at >= map.at && out->results[i].at + out->results[i].bytes <= map.at + map.bytes);
    release(map);
    return err;
}

static void test_run__answers_are_read(void **state)
{
    static struct run_answer answer;
    (void)state;
    /* {} */
    assert_int_equal(read_hex("80", 1, &answer, NULL), MK_ERR_OK);
    assert_false(answer.has_state || answer.failed || answer.cancelled);
    assert_int_equal(answer.result_count + answer.event_count, 0);
    /* {state: bin "ab", result: nil, later: 1} */
    assert_int_equal(read_hex("83a57374617465c4026162a6726573756c74c0a56c6174657201", 3, &answer, NULL), MK_ERR_OK);
    assert_true(answer.has_state);
    assert_int_equal(answer.state.bytes, 2);
    assert_int_equal(answer.result_count, 1);
    assert_int_equal(answer.results[0].bytes, 1);
    /* {state: nil, results: [1, [2]], ops: [{}], cancelled: true} */
    assert_int_equal(
        read_hex("84a57374617465c0a7726573756c747392019102a36f70739180a963616e63656c6c6564c3", 2, &answer, NULL),
        MK_ERR_OK);
    assert_true(answer.has_state && answer.cancelled);
    assert_false(span_given(answer.state));
    assert_int_equal(answer.result_count, 2);
    assert_int_equal(answer.results[1].bytes, 2);
}

static void test_run__events_are_read_in_order(void **state)
{
    static struct run_answer answer;
    (void)state;
    /* {events: [{name: "a", data: 1}, {name: "b.c"}]} */
    struct span map = from_hex("81a66576656e74739282a46e616d65a161a4646174610181a46e616d65a3622e63");
    assert_int_equal(run_answer_read(map, 1, &answer, NULL), MK_ERR_OK);
    assert_int_equal(answer.event_count, 2);
    assert_span_equal(answer.events[0].name, "a");
    assert_span_equal(answer.events[0].data, "\x01");
    assert_span_equal(answer.events[1].name, "b.c");
    assert_false(span_given(answer.events[1].data));
    release(map);
}

static void test_run__a_failure_is_all_that_counts(void **state)
{
    static struct run_answer answer;
    (void)state;
    /* {state: bin "", result: 1, failure: {message: "no", kind: "budget_exhausted", final: true}} */
    struct span map =
        from_hex("83a57374617465c400a6726573756c7401a76661696c75726583a76d657373616765a26e6fa46b696e64b06275646765745f"
                 "657868617573746564a566696e616cc3");
    assert_int_equal(run_answer_read(map, 1, &answer, NULL), MK_ERR_OK);
    assert_true(answer.failed && answer.final);
    assert_false(answer.has_state);
    assert_int_equal(answer.result_count, 0);
    assert_int_equal(answer.cause, CAUSE_BUDGET_EXHAUSTED);
    assert_span_equal(answer.message, "no");
    release(map);
    /* {failure: {}}, and {failure: {kind: "odd"}} */
    assert_int_equal(read_hex("81a76661696c75726580", 1, &answer, NULL), MK_ERR_OK);
    assert_true(answer.failed && !answer.final && answer.cause == CAUSE_FAILED);
    assert_int_equal(read_hex("81a76661696c75726581a46b696e64a36f6464", 1, &answer, NULL), MK_ERR_OK);
    assert_int_equal(answer.cause, CAUSE_FAILED);
}

/* The words of a failure, and nothing else of it, say its class. */
static void test_run__every_kind_of_failure_is_a_class(void **state)
{
    static const struct {
        const char *hex;
        enum failure_cause cause;
    } cases[] = {
        /* {failure: {kind: "budget_exhausted"}} and so on */
        {"81a76661696c75726581a46b696e64b06275646765745f657868617573746564", CAUSE_BUDGET_EXHAUSTED},
        {"81a76661696c75726581a46b696e64b474696d655f6275646765745f6578636565646564", CAUSE_TIME_BUDGET_EXCEEDED},
        {"81a76661696c75726581a46b696e64d923737472756374757265645f6f75747075745f76616c69646174696f6e5f6661696c6564",
         CAUSE_STRUCTURED_OUTPUT_VALIDATION_FAILED},
        /* {failure: {message: "budget_exhausted"}} */
        {"81a76661696c75726581a76d657373616765b06275646765745f657868617573746564", CAUSE_FAILED},
    };
    static struct run_answer answer;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(read_hex(cases[i].hex, 1, &answer, NULL), MK_ERR_OK);
        assert_true(answer.failed);
        assert_int_equal(answer.cause, cases[i].cause);
    }
}

static void test_run__what_is_no_answer_is_refused(void **state)
{
    static const struct {
        const char *hex, *what;
    } cases[] = {
        {"", "nothing"},
        {"c0", "no map"},
        {"01", "no map"},
        {"9180", "an array"},
        {"81", "cut off"},
        {"81a6726573756c74", "cut off before the value"},
        {"8080", "something behind it"},
        {"c1", "the reserved byte"},
        {"82a6726573756c7401a6726573756c7402", "a key twice"},
        {"81a5737461746501", "state: a number"},
        {"81a5737461746580", "state: a map"},
        {"81a7726573756c747301", "results: no array"},
        {"81a7726573756c747390", "results: too few"},
        {"81a7726573756c7473920102", "results: too many"},
        {"82a6726573756c7401a7726573756c74739101", "result and results"},
        {"81a66576656e747301", "events: no array"},
        {"81a66576656e74739101", "events: no map"},
        {"81a66576656e74739180", "events: no name"},
        {"81a66576656e74739181a46e616d65a0", "events: an empty name"},
        {"81a66576656e74739181a46e616d65a3612062", "events: a name with a space"},
        {"81a66576656e74739181a46e616d65aa72756e5f6661696c6564", "events: the machine's own name"},
        {"81a76661696c757265a26e6f", "failure: no map"},
        {"81a76661696c75726581a76d65737361676501", "failure: message is no text"},
        {"81a76661696c75726581a566696e616c01", "failure: final is no boolean"},
        {"81a963616e63656c6c656401", "cancelled: no boolean"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static struct run_answer answer;
        struct mk_note note = {""};
        if (read_hex(cases[i].hex, 1, &answer, &note) != MK_ERR_EXECUTOR_FAILED)
            fail_msg("taken: %s", cases[i].what);
        assert_true(note.text[0]);
    }
}

static void test_run__no_cut_of_an_answer_is_read_too_far(void **state)
{
    static const char hex[] =
        "85a57374617465c4026162a7726573756c74739181a16101a66576656e74739182a46e616d65a161a4646174619101a36f7073"
        "90a963616e63656c6c6564c2";
    static struct run_answer answer;
    (void)state;
    assert_int_equal(read_hex(hex, 1, &answer, NULL), MK_ERR_OK);
    for (size_t cut = 0; cut < strlen(hex); cut += 2) {
        char part[sizeof hex];
        snprintf(part, sizeof part, "%.*s", (int)cut, hex);
        assert_int_equal(read_hex(part, 1, &answer, NULL), MK_ERR_EXECUTOR_FAILED);
    }
}

/* {key: [[[...]]]}, so many arrays */
static struct span nested(const char *key, size_t depth)
{
    size_t head = 2 + strlen(key);
    char *out = malloc(head + depth);
    assert_non_null(out);
    out[0] = (char)0x81;
    out[1] = (char)(0xa0 | strlen(key));
    memcpy(out + 2, key, strlen(key));
    memset(out + head, 0x91, depth);
    out[head + depth - 1] = (char)0x90;
    return span_bytes(out, head + depth);
}

static void test_run__a_result_may_be_as_deep_as_a_body(void **state)
{
    static const struct {
        const char *key;
        size_t depth;
        enum mk_err err;
    } cases[] = {
        {"result", BODY_NESTING_MAX, MK_ERR_OK},
        {"result", BODY_NESTING_MAX + 1, MK_ERR_RESULT_TOO_LARGE},
        {"result", NESTING_WRAPPED_MAX + 9, MK_ERR_RESULT_TOO_LARGE},
        {"results", BODY_NESTING_MAX + 1, MK_ERR_OK}, /* the outermost array is the list */
        {"results", BODY_NESTING_MAX + 2, MK_ERR_RESULT_TOO_LARGE},
        {"ignored", BODY_NESTING_MAX + 2, MK_ERR_OK},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static struct run_answer answer;
        struct span map = nested(cases[i].key, cases[i].depth);
        assert_int_equal(run_answer_read(map, 1, &answer, NULL), cases[i].err);
        release(map);
    }
}

static void test_run__a_state_has_its_limit(void **state)
{
    static struct run_answer answer;
    size_t bytes = STATE_BYTES_MAX + 1;
    char *map = calloc(1, 12 + bytes);
    (void)state;
    assert_non_null(map);
    memcpy(map, "\x81\xa5state\xc6\x00\x80\x00\x01", 12);
    assert_int_equal(run_answer_read(span_bytes(map, 12 + bytes), 1, &answer, NULL), MK_ERR_RESULT_TOO_LARGE);
    map[11] = 0;
    assert_int_equal(run_answer_read(span_bytes(map, 11 + bytes), 1, &answer, NULL), MK_ERR_OK);
    assert_int_equal(answer.state.bytes, STATE_BYTES_MAX);
    free(map);
}

static void test_run__an_answer_has_so_many_events(void **state)
{
    static const char event[] = "\x81\xa4name\xa1x";
    static struct run_answer answer;
    static char map[16 + (RUN_EVENTS_MAX + 1) * (sizeof event - 1)];
    (void)state;
    for (size_t more = 0; more < 2; more++) {
        size_t count = RUN_EVENTS_MAX + more, bytes = 11;
        memcpy(map,
               "\x81\xa6"
               "events"
               "\xdc",
               9);
        map[9] = (char)(count >> 8), map[10] = (char)(count & 255);
        for (size_t i = 0; i < count; i++, bytes += sizeof event - 1)
            memcpy(map + bytes, event, sizeof event - 1);
        enum mk_err wanted = more ? MK_ERR_RESULT_TOO_LARGE : MK_ERR_OK;
        assert_int_equal(run_answer_read(span_bytes(map, bytes), 1, &answer, NULL), wanted);
    }
}

/* --- text --- */

static void test_run__text_is_made_fit_for_people(void **state)
{
    static const struct {
        const char *text, *wanted;
    } cases[] = {
        {"", ""},
        {"plain", "plain"},
        {"a\tb\033[1m\x7f", "a b?[1m?"},
        {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
        {"\xff\xc3", "??"},
        {"\xc0\x80\xed\xa0\x80", "?????"},
        {"\xc2\x9b", "??"},
        {"0123456789\xe2\x82\xac", "0123456789"}, /* the character does not fit whole */
        {"0123456789abcdef", "0123456789ab"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[13];
        assert_int_equal(run_text(out, sizeof out, span_of(cases[i].text)), strlen(cases[i].wanted));
        assert_string_equal(out, cases[i].wanted);
    }
}

static void assert_word(const char *hex, enum child_word word, const char *about, bool yes)
{
    static struct run_answer answer;
    struct span map = from_hex(hex);
    assert_int_equal(run_answer_read(map, 1, &answer, NULL), MK_ERR_OK);
    assert_int_equal(answer.word, word);
    assert_true(span_is(answer.about, about));
    assert_int_equal(answer.yes, yes);
    release(map);
}

static void test_run__words_of_a_run_at_work_are_read(void **state)
{
    static struct run_answer answer;
    static const char *const wrong[] = {
        "81a8626f756e64617279a3722d31",             /* {boundary: "r-1"} */
        "82a8626f756e64617279a3722d31a46c69766501", /* live: 1 */
        "82a8626f756e6461727901a46c697665c3",       /* boundary: 1 */
        "82a8626f756e64617279a0a46c697665c3",       /* boundary: "" */
        "81a8696e6a6563746564a3692d33",             /* {injected: "i-3"} */
        "82a8696e6a6563746564c4016da26f6bc3",       /* injected: bytes */
    };
    (void)state;
    assert_word("82a8626f756e64617279a3722d31a46c697665c3", WORD_BOUNDARY, "r-1", true);
    assert_word("82a46c697665c2a8626f756e64617279a3722d31", WORD_BOUNDARY, "r-1", false);
    assert_word("82a8696e6a6563746564a3692d33a26f6bc3", WORD_INJECTED, "i-3", true);
    assert_word("83a8696e6a6563746564a3692d33a26f6bc2a6726573756c7401", WORD_INJECTED, "i-3", false);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(read_hex(wrong[i], 1, &answer, NULL), MK_ERR_EXECUTOR_FAILED);
    /* nil is as good as absent, and `live` alone is an unknown key */
    assert_int_equal(read_hex("83a8626f756e64617279c0a46c697665c3a6726573756c7401", 1, &answer, NULL), MK_ERR_OK);
    assert_int_equal(answer.word, WORD_ANSWER);
    assert_int_equal(answer.result_count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run__a_run_is_packed_as_it_is_documented),
        cmocka_unit_test(test_run__a_cancel_is_packed_as_it_is_documented),
        cmocka_unit_test(test_run__an_input_for_a_run_at_work_is_packed_as_it_is_documented),
        cmocka_unit_test(test_run__what_was_injected_is_in_the_frame_of_a_run_that_begins_anew),
        cmocka_unit_test(test_run__words_of_a_run_at_work_are_read),
        cmocka_unit_test(test_run__answers_are_read),
        cmocka_unit_test(test_run__events_are_read_in_order),
        cmocka_unit_test(test_run__a_failure_is_all_that_counts),
        cmocka_unit_test(test_run__every_kind_of_failure_is_a_class),
        cmocka_unit_test(test_run__what_is_no_answer_is_refused),
        cmocka_unit_test(test_run__no_cut_of_an_answer_is_read_too_far),
        cmocka_unit_test(test_run__a_result_may_be_as_deep_as_a_body),
        cmocka_unit_test(test_run__a_state_has_its_limit),
        cmocka_unit_test(test_run__an_answer_has_so_many_events),
        cmocka_unit_test(test_run__text_is_made_fit_for_people),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
