#include "tests/lib/t.h"

#include "codec/message.h"

/* {"v": 1, "t": "command", "id": "c", "session": "s1", "op": OP, "args": {"input": {...}}} */
static size_t write_command(char *out, const char *op, struct span input)
{
    char *at = out;
#define PUT(literal) memcpy(at, literal, sizeof literal - 1), at += sizeof literal - 1
    PUT("\x86\xa1v\x01\xa1t\xa7"
        "command\xa2id\xa1"
        "c\xa7session\xa2s1\xa2op");
    *at++ = (char)(0xa0 | strlen(op));
    memcpy(at, op, strlen(op));
    at += strlen(op);
    PUT("\xa4"
        "args\x81\xa5input");
#undef PUT
    memcpy(at, input.at, input.bytes);
    return (size_t)(at - out) + input.bytes;
}

static enum mk_err read(const char *op, struct span input, struct mk_command *out, struct mk_note *note)
{
    static char bytes[512];
    return command_read(span_bytes(bytes, write_command(bytes, op, input)), out, note);
}

#define WHOLE                                                                                                          \
    SPAN_LIT("\x86\xa1v\x01\xa1t\xa5input\xa2id\xa3i-1\xa7session\xa2s2\xa4"                                           \
             "body\x07\xa4kind\xa6prompt")

static void test_command__ingest_carries_an_input_that_is_read_like_any_other(void **state)
{
    struct mk_command out;
    (void)state;
    assert_int_equal(read("ingest", WHOLE, &out, NULL), MK_ERR_OK);
    assert_span_equal(out.input.h.id, "i-1");
    assert_span_equal(out.input.session, "s2"); /* whether it is the topic's is for who knows the topic */
    assert_span_equal(out.input.body, "\x07");
    assert_int_equal(out.input.kind, MK_PROMPT);
    assert_true(out.input.wake && out.input.transcript_eligible);
}

#define FIXED(literal)                                                                                                 \
    {                                                                                                                  \
        literal, sizeof literal - 1                                                                                    \
    } /* in a table */

static void test_command__what_is_wrong_with_an_ingested_input_is_said_with_its_place(void **state)
{
    static const struct {
        struct span input;
        enum mk_err err;
    } cases[] = {
        {FIXED("\xa1x"), MK_ERR_MALFORMED},
        {FIXED("\x80"), MK_ERR_MISSING_FIELD},
        {FIXED("\x84\xa1v\x02\xa1t\xa5input\xa2id\xa1i\xa7session\xa2s1"), MK_ERR_UNSUPPORTED_VERSION},
        {FIXED("\x84\xa1v\x01\xa1t\xa5\x62"
               "atch\xa2id\xa1i\xa7session\xa2s1"),
         MK_ERR_INVALID_FIELD},
        {FIXED("\x83\xa1v\x01\xa1t\xa5input\xa2id\xa1i"), MK_ERR_MISSING_FIELD},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mk_command out;
        struct mk_note note = {""};
        assert_int_equal(read("ingest", cases[i].input, &out, &note), cases[i].err);
        assert_memory_equal(note.text, "args.input: ", 12);
    }
}

static void test_command__other_operations_do_not_look_at_an_input(void **state)
{
    struct mk_command out;
    (void)state;
    assert_int_equal(read("state", SPAN_LIT("\xa1x"), &out, NULL), MK_ERR_OK);
    assert_int_equal(out.input.h.id.bytes, 0);
    assert_int_equal(read("ingest", SPAN_LIT("\xc0"), &out, NULL), MK_ERR_OK); /* nil: not given; its session says so */
    assert_int_equal(out.input.h.id.bytes, 0);
}

static void test_command__the_longer_names_mean_the_same_operations(void **state)
{
    static const struct {
        const char *name;
        enum mk_op op;
    } cases[] = {
        {"register_session", MK_OP_REGISTER},
        {"ensure_session_with_executor", MK_OP_ATTACH},
        {"unregister_session", MK_OP_UNREGISTER},
        {"stop_runtime_executor", MK_OP_STOP},
        {"abandon_retired_pending_inputs", MK_OP_ABANDON_RETIRED},
        {"hard_cancel_current_run", MK_OP_INTERRUPT},
        {"set_session_silent_intents", MK_OP_SILENT_INTENTS},
        {"wake_runtime_if_active_inputs", MK_OP_WAKE},
        {"runtime_state", MK_OP_STATE},
        {"load_boundary_receipt", MK_OP_RECEIPT},
        {"resolve_transcript_edit_admission", MK_OP_TRANSCRIPT_EDIT},
        {"commit_service_turn_terminal_receipt", MK_OP_COMMIT_SERVICE_TURN},
        {"stop_runtime_executo", MK_OP_COUNT},
        {"", MK_OP_COUNT},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(mk_op_parse(span_of(cases[i].name)), cases[i].op);
    for (unsigned op = 0; op < MK_OP_COUNT; op++)
        assert_int_equal(mk_op_parse(span_of(mk_op_name((enum mk_op)op))), op);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_command__ingest_carries_an_input_that_is_read_like_any_other),
        cmocka_unit_test(test_command__what_is_wrong_with_an_ingested_input_is_said_with_its_place),
        cmocka_unit_test(test_command__other_operations_do_not_look_at_an_input),
        cmocka_unit_test(test_command__the_longer_names_mean_the_same_operations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
