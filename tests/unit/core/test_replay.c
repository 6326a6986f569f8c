/* Dead letters told page by page over the partitions of a node: which page is asked for next, and where an answer that
 * is full goes on. The store is stood in for here. */
#include "tests/lib/t.h"

#include "node/core/node_impl.h"

#include <stdio.h>

#define PARTITIONS 8

struct world {
    struct test_mem memory;
    struct node *node;
    struct node_effects fx;
    struct node_effect *ask; /* the last page asked for; NULL: none */
    char answer[512];        /* "a b next" of the last answer; "": none */
};

static struct world w;

/* Partitions 2, 3 and 6 are this node's; of 3 nothing was ever committed. */
static int set_up(void **state)
{
    (void)state;
    memset(&w, 0, sizeof w);
    test_mem_init(&w.memory);
    struct node_config config = {.partitions = PARTITIONS, .groups = 1, .answer_bytes_max = 80};
    id_set(&config.node, SPAN_LIT("n1"));
    w.node = node_new(&config, &w.memory.mem);
    assert_non_null(w.node);
    node_effects_init(&w.fx, &w.memory.mem);
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        bool ours = p == 2 || p == 3 || p == 6;
        w.node->partitions[p].state = ours ? PARTITION_OWNED : PARTITION_NONE;
        w.node->partitions[p].committed = p == 3 ? 0 : 5;
        w.node->partitions[p].fence = 100 + p;
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    node_effects_fini(&w.fx);
    node_free(w.node);
    assert_int_equal(w.memory.live, 0);
    return 0;
}

static void keep_answer(const struct mk_result *result)
{
    size_t at = 0;
    if (!result->ok) {
        snprintf(w.answer, sizeof w.answer, "%s", mk_err_code(result->error));
        return;
    }
    for (size_t i = 0; i < result->data->count; i++) {
        const struct mk_doc_item *item = &result->data->items[i];
        if (item->type == DOC_RAW || item->type == DOC_TEXT)
            at += (size_t)snprintf(w.answer + at, sizeof w.answer - at, "%.*s ", SPAN_ARGS(item->text));
        if (item->type == DOC_U64)
            at += (size_t)snprintf(w.answer + at, sizeof w.answer - at, "%llu ", (unsigned long long)item->number);
    }
    w.answer[at ? at - 1 : 0] = '\0';
}

static void give(const struct node_event *event)
{
    node_effects_reset(&w.fx);
    w.ask = NULL;
    w.answer[0] = '\0';
    node_step(w.node, event, &w.fx);
    for (size_t i = 0; i < w.fx.count; i++) {
        if (w.fx.list[i].type == DO_EVENTS)
            w.ask = &w.fx.list[i];
        if (w.fx.list[i].type == DO_ANSWER)
            keep_answer(&w.fx.list[i].as.answer->as.result);
    }
}

static void ask(struct mk_args args)
{
    struct mk_command command = {.h.id = SPAN_LIT("q"), .op = MK_OP_DEAD, .reply_to = SPAN_LIT("c1"), .args = args};
    give(&(struct node_event){.type = EV_COMMAND, .as.message.command = &command});
}

static const char *asked(void)
{
    static char text[80];
    if (!w.ask)
        return "";
    assert_true(w.ask->as.events.letters && w.ask->fence == 100 + w.ask->partition);
    snprintf(text, sizeof text, "%u from '%s'", (unsigned)w.ask->partition, w.ask->as.events.from);
    return text;
}

/* A page of letters: ids and messages by turns; `last`: there are more. */
static void page(const char *const *words, size_t letters, const char *last)
{
    struct outbox_event list[8] = {{.ts = 0}};
    for (size_t i = 0; i < letters; i++)
        list[i] = (struct outbox_event){.id = span_of(words[2 * i]),
                                        .message = span_of(words[2 * i + 1]),
                                        .session = SPAN_LIT("s"),
                                        .seq = 7,
                                        .input = span_of(words[2 * i + 1])};
    give(&(struct node_event){
        .type = EV_EVENTS,
        .call = w.ask->call,
        .as.events = {.status = LEASE_HELD, .last = span_of(last), .events = list, .count = letters}});
}

static void test_dead__every_partition_with_commits_is_asked_in_turn(void **state)
{
    (void)state;
    ask((struct mk_args){.limit = 0});
    assert_string_equal(asked(), "2 from ''");
    page((const char *const[]){"3-1", "a", "3-2", "b"}, 2, "3-2");
    assert_string_equal(asked(), "2 from '3-2'");
    page((const char *const[]){"4-1", "c"}, 1, NULL);
    assert_string_equal(asked(), "6 from ''");
    page((const char *const[]){"1-1", "d"}, 1, NULL);
    assert_string_equal(asked(), "");
    assert_string_equal(w.answer, "items a b c d");
}

static void test_dead__a_full_answer_says_where_to_go_on(void **state)
{
    (void)state;
    ask((struct mk_args){.limit = 2});
    page((const char *const[]){"3-1", "a", "3-2", "b", "4-1", "c"}, 3, NULL);
    assert_string_equal(w.answer, "items a b next 0002:3-2");
    ask((struct mk_args){.limit = 2, .cursor = SPAN_LIT("0002:3-2")});
    assert_string_equal(asked(), "2 from '3-2'");
    page((const char *const[]){"4-1", "c"}, 1, NULL);
    assert_string_equal(asked(), "6 from ''");
    page((const char *const[]){"9-1", "d", "9-2", "e"}, 2, NULL);
    assert_string_equal(w.answer, "items c d next 0006:9-1");
    ask((struct mk_args){.cursor = SPAN_LIT("0006:9-1")});
    page((const char *const[]){"9-2", "e"}, 1, NULL);
    assert_string_equal(w.answer, "items e");
}

static void test_dead__a_cursor_of_a_partition_that_is_gone_goes_on_with_the_next(void **state)
{
    (void)state;
    w.node->partitions[2].state = PARTITION_NONE;
    ask((struct mk_args){.cursor = SPAN_LIT("0002:3-2")});
    assert_string_equal(asked(), "6 from ''");
    ask((struct mk_args){.cursor = SPAN_LIT("0007:")});
    assert_string_equal(w.answer, "items");
    ask((struct mk_args){.cursor = SPAN_LIT("ffff:1-1")});
    assert_string_equal(w.answer, "items");
}

static void test_dead__a_cursor_of_another_form_is_refused(void **state)
{
    static const char *const wrong[] = {
        "x",          "0002",    "002:1",
        "000g:1-1",   "0002:1-", "0002:-1",
        "0002:1-1-1", "0002:x",  "0002:11111111111111111111111111111111111111111111111111"};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ask((struct mk_args){.cursor = span_of(wrong[i])});
        assert_null(w.ask);
        assert_string_equal(w.answer, "invalid_field");
    }
}

static void test_dead__the_bytes_of_an_answer_are_bounded_and_one_letter_always_goes(void **state)
{
    char half[42], large[200];
    (void)state;
    memset(half, 'h', sizeof half - 1);
    memset(large, 'l', sizeof large - 1);
    half[sizeof half - 1] = large[sizeof large - 1] = '\0';
    ask((struct mk_args){.limit = 0});
    page((const char *const[]){"3-1", half, "3-2", half}, 2, NULL);
    assert_non_null(strstr(w.answer, "next 0002:3-1"));
    ask((struct mk_args){.cursor = SPAN_LIT("0002:3-1")});
    page((const char *const[]){"3-2", large, "3-3", "a"}, 2, NULL);
    assert_non_null(strstr(w.answer, "too_large 199"));
    assert_null(strstr(w.answer, " a "));
    assert_non_null(strstr(w.answer, "next 0002:3-2"));
}

static void test_dead__of_one_input_the_others_are_passed_over(void **state)
{
    (void)state;
    ask((struct mk_args){.id = SPAN_LIT("b"), .limit = 1});
    page((const char *const[]){"3-1", "a", "3-2", "b", "3-3", "c"}, 3, NULL);
    assert_string_equal(asked(), "6 from ''");
    page((const char *const[]){"3-1", "c"}, 1, NULL);
    assert_string_equal(w.answer, "items b");
}

static void test_dead__a_page_that_fails_or_is_refused_is_answered_by_nothing(void **state)
{
    (void)state;
    ask((struct mk_args){.limit = 0});
    uint64_t call = w.ask->call;
    give(&(struct node_event){.type = EV_CALL_FAILED, .call = call, .as.failed.unknown = true});
    assert_null(w.node->replays);
    ask((struct mk_args){.limit = 0});
    give(&(struct node_event){.type = EV_EVENTS, .call = w.ask->call, .as.events.status = LEASE_OTHER});
    assert_null(w.node->replays);
    assert_string_equal(w.answer, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_dead__every_partition_with_commits_is_asked_in_turn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_dead__a_full_answer_says_where_to_go_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_dead__a_cursor_of_a_partition_that_is_gone_goes_on_with_the_next, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_dead__a_cursor_of_another_form_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_dead__the_bytes_of_an_answer_are_bounded_and_one_letter_always_goes,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_dead__of_one_input_the_others_are_passed_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_dead__a_page_that_fails_or_is_refused_is_answered_by_nothing, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
