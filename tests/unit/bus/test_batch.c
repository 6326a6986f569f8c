#include <stdio.h>
#include <stdlib.h>

#include "bus/batch.h"
#include "codec/message.h"
#include "tests/lib/t.h"

struct fixture {
    struct pending_table table;
    struct batch batch;
};

static const struct batch_now now = {.unix_ms = 5, .id = {"f1", 2}};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    assert_true(pending_table_init(&f->table, 16));
    f->batch = (struct batch){.pub = SPAN_LIT("p1"), .pe = 9, .frame_bytes_max = 4096};
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    pending_table_fini(&f->table);
    batch_fini(&f->batch);
    free(f);
    return 0;
}

static struct pending *add(struct fixture *f, const char *id, const char *session, struct span body)
{
    struct pending *p = calloc(1, sizeof *p);
    assert_non_null(p);
    id_set(&p->id, span_of(id));
    snprintf(p->session, sizeof p->session, "%s", session);
    p->input = (struct mk_input){.session = span_of(session),
                                 .body = body,
                                 .origin = MK_EXTERNAL,
                                 .wake = true,
                                 .transcript_eligible = true,
                                 .operator_eligible = true};
    assert_true(pending_add(&f->table, p));
    return p;
}

/* One frame: its topic, its head, and how many of the queue are in it. */
static size_t next(struct fixture *f, char topic[TOPIC_BYTES_MAX + 1], struct message_head *head)
{
    size_t taken = 0;
    struct span text, map;
    struct span frame = batch_frame(&f->batch, &f->table, 256, now, &taken);
    assert_true(frame.bytes > 0 && frame.bytes <= f->batch.frame_bytes_max);
    assert_int_equal(frame_split(frame, &text, &map), MK_ERR_OK);
    snprintf(topic, TOPIC_BYTES_MAX + 1, "%.*s", SPAN_ARGS(text));
    assert_int_equal(message_head_read(map, head, NULL), MK_ERR_OK);
    for (size_t i = 0; i < taken; i++)
        pending_sent(&f->table, TAILQ_FIRST(&f->table.queue), 0, 1);
    return taken;
}

static void test_batch__an_empty_queue_makes_no_frame(void **state)
{
    struct fixture *f = *state;
    size_t taken = 7;
    assert_int_equal(batch_frame(&f->batch, &f->table, 256, now, &taken).bytes, 0);
    assert_int_equal(taken, 0);
}

static void test_batch__one_message_is_a_numbered_frame_on_its_own_topic(void **state)
{
    struct fixture *f = *state;
    char topic[TOPIC_BYTES_MAX + 1];
    struct message_head head;
    add(f, "a", "s1", SPAN_LIT("\x01"));
    assert_int_equal(next(f, topic, &head), 1);
    assert_string_equal(topic, "in/0078/s1");
    assert_int_equal(head.type, MK_INPUT);
    assert_span_equal(head.h.id, "a");
    assert_span_equal(head.h.pub, "p1");
    assert_int_equal(head.h.pe, 9);
    assert_int_equal(head.h.ps, 1);
}

/* The map of the next frame, as it leaves. */
static struct span next_map(struct fixture *f)
{
    size_t taken = 0;
    struct span text, map;
    assert_int_equal(frame_split(batch_frame(&f->batch, &f->table, 256, now, &taken), &text, &map), MK_ERR_OK);
    assert_int_equal(taken, 1);
    return map;
}

static void test_batch__a_repeat_says_when_it_was_first_sent(void **state)
{
    struct fixture *f = *state;
    struct mk_input input;
    struct mk_command command;
    struct pending *first = add(f, "a", "s1", SPAN_LIT("\x01"));
    for (uint64_t born = 0; born <= 77; born += 77) {
        first->born_ms = born;
        assert_int_equal(input_read(next_map(f), &input, NULL), MK_ERR_OK);
        assert_int_equal(input.born, born);
    }
    first->is_command = true;
    first->command = (struct mk_command){.session = SPAN_LIT("s1"), .op = MK_OP_RETIRE};
    for (uint64_t born = 0; born <= 77; born += 77) {
        first->born_ms = born;
        assert_int_equal(command_read(next_map(f), &command, NULL), MK_ERR_OK);
        assert_int_equal(command.born, born);
    }
}

static void test_batch__stars_stand_for_what_differs(void **state)
{
    struct fixture *f = *state;
    char topic[TOPIC_BYTES_MAX + 1];
    struct message_head head;
    add(f, "a", "s1", SPAN_LIT("\x01"));
    add(f, "b", "s1", SPAN_LIT("\x01"));
    assert_int_equal(next(f, topic, &head), 2);
    assert_string_equal(topic, "in/0078/*");
    assert_int_equal(head.type, MK_BATCH);
    assert_int_equal(head.h.ps, 1);
    add(f, "c", "s1", SPAN_LIT("\x01"));
    add(f, "d", "s2", SPAN_LIT("\x01"));
    assert_int_equal(next(f, topic, &head), 2);
    assert_string_equal(topic, "in/*/*");
    assert_int_equal(head.h.ps, 2);
}

static void test_batch__classes_do_not_mix_and_keep_their_order(void **state)
{
    struct fixture *f = *state;
    char topic[TOPIC_BYTES_MAX + 1];
    struct message_head head;
    add(f, "a", "s1", SPAN_LIT("\x01"));
    struct pending *command = add(f, "b", "s1", SPAN_LIT("\x01"));
    command->is_command = true;
    command->command = (struct mk_command){.session = SPAN_LIT("s1"), .op = MK_OP_STATE, .op_text = SPAN_LIT("state")};
    add(f, "c", "s1", SPAN_LIT("\x01"));
    assert_int_equal(next(f, topic, &head), 1);
    assert_string_equal(topic, "in/0078/s1");
    assert_int_equal(next(f, topic, &head), 1);
    assert_string_equal(topic, "ctl/0078/s1");
    assert_int_equal(head.h.ps, 1);
    assert_int_equal(next(f, topic, &head), 1);
    assert_string_equal(topic, "in/0078/s1");
    assert_int_equal(head.h.ps, 2);
}

static void test_batch__what_does_not_fit_waits_for_the_next_frame(void **state)
{
    struct fixture *f = *state;
    char topic[TOPIC_BYTES_MAX + 1], body[1503];
    struct message_head head;
    memset(body, 'x', sizeof body);
    memcpy(body, "\xc5\x05\xdc", 3); /* bin of 1,500 */
    for (int i = 0; i < 5; i++)
        add(f, (const char *[]){"a", "b", "c", "d", "e"}[i], "s1", (struct span){body, sizeof body});
    assert_int_equal(next(f, topic, &head), 2);
    assert_int_equal(next(f, topic, &head), 2);
    assert_int_equal(next(f, topic, &head), 1);
    assert_null(TAILQ_FIRST(&f->table.queue));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_batch__an_empty_queue_makes_no_frame),
        CASE(test_batch__one_message_is_a_numbered_frame_on_its_own_topic),
        CASE(test_batch__a_repeat_says_when_it_was_first_sent),
        CASE(test_batch__stars_stand_for_what_differs),
        CASE(test_batch__classes_do_not_mix_and_keep_their_order),
        CASE(test_batch__what_does_not_fit_waits_for_the_next_frame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
