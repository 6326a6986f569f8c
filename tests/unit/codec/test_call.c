/* What a session's stage becomes in the call of a commit. */
#include "tests/unit/core/rig.h"

#include "codec/call.h"
#include "codec/letter.h"

#define BODY_BYTES (1u << 20)
#define INPUTS     70

static struct span body(char *bytes)
{
    bytes[0] = '\xc6'; /* bin 32 */
    for (int i = 0; i < 4; i++)
        bytes[1 + i] = (char)((BODY_BYTES - 5) >> (24 - 8 * i));
    return span_bytes(bytes, BODY_BYTES);
}

/* The commit of what is staged. */
static struct store_call commit_of(struct rig *rig, struct call *call, struct commit_scratch *scratch)
{
    static struct commit_section section;
    static struct commit_part part;
    static uint64_t total;
    static const struct node_config config = {.partitions = 8, .groups = 1};
    struct commit commit = {.parts = &part, .part_count = 1};
    struct store_call flat;
    section = (struct commit_section){.session = rig->session};
    part = (struct commit_part){
        .partition = 7, .fence = 100, .sequence = 3, .total = &total, .sections = &section, .section_count = 1};
    assert_true(call_commit(call, &config, &commit, rig->ctx.store_ms, &rig->t.mem, scratch));
    assert_true(call_seal(call, &flat));
    return flat;
}

static void test_call__the_bodies_of_a_commits_letters_are_bounded(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    struct call call = {0};
    struct commit_scratch *scratch = calloc(1, sizeof *scratch);
    char *bytes = calloc(1, BODY_BYTES), id[16];
    assert_true(scratch && bytes);
    for (int i = 0; i < INPUTS; i++) {
        snprintf(id, sizeof id, "i%d", i);
        struct mk_input input = rig_input(id, MK_PROMPT);
        input.body = body(bytes);
        rig_admit(rig, input);
    }
    struct mk_command destroy = rig_command("d", MK_OP_DESTROY);
    session_apply(rig->session, &rig->ctx, &(struct session_event){.type = EV_SESSION_COMMAND, .command = &destroy});
    struct store_call flat = commit_of(rig, &call, scratch);
    size_t whole = 0, cut = 0, bounds = 0;
    for (size_t i = 0; i < flat.arg_count; i++) {
        struct letter_record letter;
        bounds += span_is(flat.args[i], "D");
        if (!span_is(flat.args[i], "d") || i + 2 >= flat.arg_count || !span_is(flat.args[i + 1], "s1"))
            continue;
        assert_int_equal(letter_record_read(flat.args[i + 2], &letter, NULL), MK_ERR_OK);
        assert_int_equal(letter.reason, ABANDON_DESTROYED);
        assert_int_equal(letter.input.body.bytes + letter.left_out, BODY_BYTES);
        whole += !letter.left_out;
        cut += letter.left_out != 0;
    }
    assert_int_equal(whole, LETTERS_BYTES_MAX / BODY_BYTES);
    assert_int_equal(whole + cut, INPUTS);
    assert_int_equal(bounds, 1);
    session_undo(rig->session);
    call_fini(&call);
    buf_fini(&scratch->record);
    free(scratch);
    free(bytes);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_call__the_bodies_of_a_commits_letters_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
