/* What goes to the store, word by word; how a large call is split, and put together again; what its replies say. The
 * driver's other files are stood in for here: what would be given to the core is kept. */
#include "tests/lib/t.h"

#include <stdio.h>
#include <stdlib.h>

#include "node/core/slot.h"
#include "node/driver_impl.h"

#define CALLS_MAX  256
#define EVENTS_MAX 16
#define TEXT_BYTES 1024

struct sent {
    uint64_t tag;
    enum script script;
    size_t words;
    uint32_t partitions[CALL_ARGS_MAX], partition_count; /* of the lease keys */
    unsigned group;
    bool one_group;
    char text[TEXT_BYTES]; /* "key key | arg arg", cut */
};

/* An event as the core would have got it; the lists are copies. */
struct given {
    struct node_event event;
    struct lease *leases;
    struct member *members;
    struct part_verdict verdict;
    char session[32];
};

struct world {
    struct driver driver;
    struct test_mem memory;
    struct sent *sent;
    size_t sent_count, send_at_most;
    struct given given[EVENTS_MAX];
    size_t given_count, said;
};

static struct world w;

/* --- in the place of the driver's other files --- */

uint64_t driver_now(const struct driver *driver)
{
    (void)driver;
    return 1000;
}

struct node_event driver_event(const struct driver *driver, enum node_event_type type)
{
    (void)driver;
    return (struct node_event){.type = type, .now_ms = 1000};
}

void driver_say(struct driver *driver, enum trace_level level, const char *what, struct span why)
{
    (void)driver;
    (void)level;
    (void)what;
    (void)why;
    w.said++;
}

void driver_out_flush(struct driver *driver)
{
    (void)driver;
}

static void *copy(const void *list, size_t bytes)
{
    void *out = malloc(bytes ? bytes : 1);
    assert_non_null(out);
    if (bytes)
        memcpy(out, list, bytes);
    return out;
}

void driver_step(struct driver *driver, const struct node_event *event)
{
    (void)driver;
    assert_true(w.given_count < EVENTS_MAX);
    struct given *given = &w.given[w.given_count++];
    *given = (struct given){.event = *event};
    switch ((int)event->type) {
    case EV_CLAIMED:
    case EV_RENEWED:
    case EV_RELEASED:
    case EV_WATCHED:
        given->leases = copy(event->as.leases.leases, event->as.leases.count * sizeof *given->leases);
        break;
    case EV_MEMBERS:
        given->members = copy(event->as.members.list, event->as.members.count * sizeof *given->members);
        break;
    case EV_COMMITTED:
        given->verdict = event->as.committed.parts[0];
        break;
    case EV_LOADED:
        snprintf(given->session, sizeof given->session, "%.*s", SPAN_ARGS(event->as.loaded.session));
        break;
    default:
        break;
    }
}

/* --- a store that keeps what it is sent --- */

static bool port_call(void *self, uint64_t tag, const struct store_call *call)
{
    (void)self;
    if (w.sent_count == w.send_at_most)
        return false;
    assert_true(w.sent_count < CALLS_MAX);
    struct sent *sent = &w.sent[w.sent_count++];
    *sent = (struct sent){
        .tag = tag, .script = call->script, .words = call->key_count + call->arg_count, .one_group = true};
    size_t at = 0;
    for (size_t i = 0; i < sent->words; i++) {
        struct span word = i < call->key_count ? call->keys[i] : call->args[i - call->key_count];
        at += (size_t)snprintf(sent->text + at, sizeof sent->text - at, "%s%.*s%s", i == call->key_count ? "| " : "",
                               SPAN_ARGS(word), i + 1 < sent->words ? " " : "");
        at = at < sizeof sent->text ? at : sizeof sent->text - 1;
        unsigned group, partition;
        char letter;
        if (i >= call->key_count || sscanf(word.at, "mk:{%u}:%x:%c", &group, &partition, &letter) != 3)
            continue;
        sent->one_group &= i == 0 || group == sent->group;
        sent->group = group;
        if (letter == 'l')
            sent->partitions[sent->partition_count++] = partition;
    }
    return true;
}

static const struct store_ops port = {.call = port_call};

static void set_up(uint32_t partitions, uint32_t groups)
{
    memset(&w, 0, sizeof w);
    test_mem_init(&w.memory);
    w.send_at_most = SIZE_MAX;
    w.sent = calloc(CALLS_MAX, sizeof *w.sent);
    assert_non_null(w.sent);
    struct driver *driver = &w.driver;
    driver->ports.store.ops = &port;
    driver->mem = &w.memory.mem;
    driver->options.partitions = driver->config.partitions = partitions;
    driver->options.groups = driver->config.groups = groups;
    driver->options.lease_ms = 3000;
    id_set(&driver->config.node, SPAN_LIT("n1"));
    memcpy(driver->config.incarnation.text, "i1", 3);
    driver->node = node_new(&driver->config, driver->mem);
    driver->scratch = calloc(1, sizeof *driver->scratch);
    assert_true(driver->node && driver->scratch);
}

static void tear_down(void)
{
    driver_calls_free(&w.driver);
    node_free(w.driver.node);
    assert_int_equal(w.memory.live, 0);
    buf_fini(&w.driver.scratch->record);
    free(w.driver.scratch);
    free(w.driver.unsent);
    free(w.sent);
    for (size_t i = 0; i < w.given_count; i++) {
        free(w.given[i].leases);
        free(w.given[i].members);
    }
}

/* The reply "now word word", '' being the empty word. */
static void answer(uint64_t tag, const char *text)
{
    static char room[400000];
    static struct span items[70000];
    size_t count = 0;
    assert_true(strlen(text) < sizeof room);
    strcpy(room, text);
    for (char *word = strtok(room, " "); word; word = strtok(NULL, " "))
        items[count++] = span_of(strcmp(word, "''") == 0 ? "" : strcmp(word, "nil") == 0 ? NULL : word);
    struct store_reply reply = {.verdict = STORE_REPLIED, .items = items, .count = count};
    driver_store_reply(&w.driver, tag, &reply);
}

static void answer_failure(uint64_t tag, enum store_verdict verdict)
{
    struct store_reply reply = {.verdict = verdict, .error = SPAN_LIT("ERR no")};
    driver_store_reply(&w.driver, tag, &reply);
}

/* --- effects --- */

static void lease_effect(struct node_effect *effect, enum node_effect_type type, struct lease_call *leases,
                         size_t count)
{
    *effect = (struct node_effect){.type = type, .call = 7};
    effect->as.leases.leases = leases;
    effect->as.leases.count = count;
}

static void call_leases(enum node_effect_type type, struct lease_call *leases, size_t count)
{
    struct node_effect effect;
    lease_effect(&effect, type, leases, count);
    driver_call_effect(&w.driver, &effect);
}

/* Partitions 0..count-1, each asked for in an order that is not theirs. */
static struct lease_call *many_leases(size_t count)
{
    struct lease_call *leases = calloc(count, sizeof *leases);
    assert_non_null(leases);
    for (size_t i = 0; i < count; i++)
        leases[i] = (struct lease_call){.partition = (uint32_t)((i * 5 + 3) % count), .history = {"hhh"}};
    return leases;
}

static const enum node_effect_type lease_types[] = {DO_CLAIM, DO_RENEW, DO_RELEASE, DO_WATCH};

/* --- the forms of codec/script.h --- */

static void test_driver_calls__leases_are_asked_for_in_the_form_of_their_scripts(void **state)
{
    struct lease_call leases[2] = {
        {.partition = 1, .fence = 5, .renewals = 41, .stood = true, .history = {"hist"}, .published = 6},
        {.partition = 0x1f, .fence = 8, .renewals = 42, .published = 9}};
    static const struct {
        enum node_effect_type type;
        enum script script;
        const char *text;
    } forms[] = {
        {DO_CLAIM, SCRIPT_CLAIM, "mk:{0}:0001:l mk:{0}:001f:l | n1 i1 3000 5 hist 41 8  "},
        {DO_RENEW, SCRIPT_RENEW, "mk:{0}:0001:l mk:{0}:001f:l | n1 i1 3000 5 41 8 42"},
        {DO_RELEASE, SCRIPT_RELEASE, "mk:{0}:0001:l mk:{0}:0001:s mk:{0}:001f:l mk:{0}:001f:s | n1 i1 5 n2 6 8  9"},
        {DO_WATCH, SCRIPT_WATCH, "mk:{0}:0001:l mk:{0}:001f:l"},
    };
    (void)state;
    id_set(&leases[0].successor, SPAN_LIT("n2"));
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        set_up(256, 1);
        call_leases(forms[i].type, leases, 2);
        assert_int_equal(w.sent_count, 1);
        assert_int_equal(w.sent[0].script, forms[i].script);
        assert_int_equal(w.sent[0].tag, 7);
        assert_string_equal(w.sent[0].text, forms[i].text);
        tear_down();
    }
}

static void test_driver_calls__members_are_told_and_asked_for(void **state)
{
    static const struct {
        enum member_phase phase;
        bool leave;
        const char *text;
    } forms[] = {{MEMBER_WORKING, false, "mk:{c}:members | n1 i1 3000 working"},
                 {MEMBER_DEAF, false, "mk:{c}:members | n1 i1 3000 deaf"},
                 {MEMBER_DRAINING, false, "mk:{c}:members | n1 i1 3000 draining"},
                 {MEMBER_DRAINING, true, "mk:{c}:members | n1 i1 3000 "}};
    (void)state;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        set_up(256, 1);
        struct node_effect effect = {.type = DO_MEMBERS, .call = 7};
        effect.as.members.phase = forms[i].phase;
        effect.as.members.leave = forms[i].leave;
        driver_call_effect(&w.driver, &effect);
        assert_int_equal(w.sent[0].script, SCRIPT_MEMBERS);
        assert_string_equal(w.sent[0].text, forms[i].text);
        tear_down();
    }
}

/* --- what replies say --- */

static void test_driver_calls__a_lease_reads_the_same_claimed_or_watched(void **state)
{
    static const enum node_effect_type types[] = {DO_CLAIM, DO_WATCH};
    static const enum node_event_type events[] = {EV_CLAIMED, EV_WATCHED};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct lease_call asked[2] = {{.partition = 9}, {.partition = 4}};
        set_up(256, 1);
        call_leases(types[i], asked, 2);
        answer(7, "555 other abc n2 i2 10 11 12 13 14 15 16 17 n3 free '' '' '' 0 0 0 0 0 0 0 0 ''");
        assert_int_equal(w.given_count, 1);
        assert_int_equal(w.given[0].event.type, events[i]);
        assert_true(w.given[0].event.call == 7 && w.given[0].event.store_ms == 555);
        assert_int_equal(w.given[0].event.as.leases.count, 2);
        const struct lease *lease = w.given[0].leases;
        assert_true(lease[0].partition == 9 && lease[0].status == LEASE_OTHER);
        assert_string_equal(lease[0].history.text, "abc");
        assert_span_equal(id_span(&lease[0].owner.node), "n2");
        assert_string_equal(lease[0].owner.incarnation.text, "i2");
        assert_true(lease[0].fence == 10 && lease[0].sequence == 11 && lease[0].published == 12);
        assert_true(lease[0].horizon_ms == 13 && lease[0].bytes == 14 && lease[0].renewals == 15);
        assert_true(lease[0].expires_ms == 16 && lease[0].began == 17);
        assert_span_equal(id_span(&lease[0].successor), "n3");
        assert_true(lease[1].partition == 4 && lease[1].status == LEASE_FREE && lease[1].fence == 0);
        assert_int_equal(id_span(&lease[1].successor).bytes, 0);
        assert_null(w.driver.calls);
        tear_down();
    }
}

static void test_driver_calls__renewals_and_releases_tell_what_they_have_to(void **state)
{
    struct lease_call asked[2] = {{.partition = 9}, {.partition = 4}};
    (void)state;
    set_up(256, 1);
    call_leases(DO_RENEW, asked, 2);
    answer(7, "555 held n1 10 3 other n2 20 4");
    assert_int_equal(w.given[0].event.type, EV_RENEWED);
    assert_true(w.given[0].leases[0].status == LEASE_HELD && w.given[0].leases[0].fence == 10);
    assert_true(w.given[0].leases[0].began == 3 && w.given[0].leases[1].began == 4);
    assert_span_equal(id_span(&w.given[0].leases[1].owner.node), "n2");
    call_leases(DO_RELEASE, asked, 2);
    answer(7, "556 held n1 10 17 free '' 20 0");
    assert_int_equal(w.given[1].event.type, EV_RELEASED);
    assert_true(w.given[1].leases[0].sessions == 17 && w.given[1].leases[0].began == 0);
    assert_true(w.given[1].leases[1].status == LEASE_FREE && w.given[1].leases[1].sessions == 0);
    tear_down();
}

static void ask_members(void)
{
    struct node_effect effect = {.type = DO_MEMBERS, .call = 7};
    driver_call_effect(&w.driver, &effect);
}

static void test_driver_calls__members_are_read(void **state)
{
    char text[256];
    (void)state;
    set_up(256, 1);
    ask_members();
    answer(7, "555 held n1 i1 working 900 n2 i2 deaf 901 n3 i3 draining 902 n4 i4 resting 903");
    const struct given *given = &w.given[0];
    assert_int_equal(given->event.type, EV_MEMBERS);
    assert_true(given->event.as.members.status == LEASE_HELD && given->event.as.members.count == 4);
    for (unsigned i = 0; i < 4; i++) {
        static const enum member_phase phases[] = {MEMBER_WORKING, MEMBER_DEAF, MEMBER_DRAINING, MEMBER_DEAF};
        snprintf(text, sizeof text, "n%u", i + 1);
        assert_span_equal(id_span(&given->members[i].who.node), text);
        snprintf(text, sizeof text, "i%u", i + 1);
        assert_string_equal(given->members[i].who.incarnation.text, text);
        assert_int_equal(given->members[i].phase, phases[i]);
        assert_int_equal(given->members[i].expires_ms, 900 + i);
    }
    ask_members();
    answer(7, "555 other n1 i9 working 900");
    assert_true(w.given[1].event.as.members.status == LEASE_OTHER && w.given[1].event.as.members.count == 1);
    ask_members(); /* a name that no node can have is left out */
    snprintf(text, sizeof text, "555 held %070d i1 working 900 n2 i2 working 901", 1);
    answer(7, text);
    assert_int_equal(w.given[2].event.as.members.count, 1);
    assert_span_equal(id_span(&w.given[2].members[0].who.node), "n2");
    ask_members();
    answer(7, "555 held n1 i1 working");
    assert_int_equal(w.given[3].event.type, EV_CALL_FAILED);
    assert_true(w.given_count == 4 && w.said == 1);
    tear_down();
}

static void test_driver_calls__a_verdict_tells_where_the_fence_began(void **state)
{
    uint64_t total = 0;
    struct commit_part part = {.partition = 3, .fence = 5, .sequence = 9, .total = &total};
    struct commit commit = {.parts = &part, .part_count = 1};
    struct node_effect effect = {.type = DO_COMMIT, .call = 7};
    (void)state;
    set_up(256, 1);
    effect.as.commit = &commit;
    driver_call_effect(&w.driver, &effect);
    answer(7, "555 other 9 20 8 0");
    assert_int_equal(w.given[0].event.type, EV_COMMITTED);
    assert_true(w.given[0].verdict.status == LEASE_OTHER && w.given[0].verdict.sequence == 9);
    assert_true(w.given[0].verdict.fence == 20 && w.given[0].verdict.began == 8);
    effect.type = DO_RESEND; /* it is kept until the core forgets it */
    driver_call_effect(&w.driver, &effect);
    assert_true(w.sent_count == 2 && w.sent[1].tag == 7);
    assert_string_equal(w.sent[1].text, w.sent[0].text);
    effect.type = DO_FORGET;
    driver_call_effect(&w.driver, &effect);
    assert_null(w.driver.calls);
    answer(7, "555 held 9 20 8 0");
    assert_int_equal(w.given_count, 1);
    tear_down();
}

/* --- calls in parts --- */

static void check_parts(size_t partitions)
{
    bool *asked = calloc(partitions, sizeof *asked);
    size_t count = 0;
    assert_non_null(asked);
    for (size_t i = 0; i < w.sent_count; i++) {
        assert_true(w.sent[i].words <= CALL_ARGS_MAX);
        assert_true(w.sent[i].one_group);
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(w.sent[i].tag, w.sent[j].tag);
        for (size_t k = 0; k < w.sent[i].partition_count; k++, count++) {
            assert_false(asked[w.sent[i].partitions[k]]);
            asked[w.sent[i].partitions[k]] = true;
        }
    }
    assert_int_equal(count, partitions);
    free(asked);
}

/* What the store would say of a part: each lease has its partition for fence. */
static char *reply_to(const struct sent *sent, unsigned now)
{
    static char text[400000];
    size_t at = (size_t)snprintf(text, sizeof text, "%u", now);
    for (size_t k = 0; k < sent->partition_count; k++)
        at += (size_t)snprintf(text + at, sizeof text - at,
                               sent->script == SCRIPT_CLAIM || sent->script == SCRIPT_WATCH
                                   ? " other h n2 i2 %u 0 0 0 0 0 0 0 ''"
                                   : " held n1 %u 0",
                               (unsigned)sent->partitions[k]);
    return text;
}

static void test_driver_calls__no_part_is_too_large_or_of_two_groups_and_the_answer_is_one(void **state)
{
    static const uint32_t groups[] = {1, 3, 64};
    (void)state;
    for (size_t t = 0; t < 4 * 3; t++) {
        enum node_effect_type type = lease_types[t % 4];
        size_t partitions = PARTITIONS_MAX;
        set_up((uint32_t)partitions, groups[t / 4]);
        struct lease_call *leases = many_leases(partitions);
        call_leases(type, leases, partitions);
        check_parts(partitions);
        assert_true(w.sent_count >= groups[t / 4]);
        for (size_t i = w.sent_count; i-- > 0;) { /* the last one first: the order does not matter */
            assert_int_equal(w.given_count, 0);
            answer(w.sent[i].tag, reply_to(&w.sent[i], i == 1 ? 999 : 500));
        }
        assert_int_equal(w.given_count, 1);
        assert_true(w.given[0].event.call == 7 && w.given[0].event.as.leases.count == partitions);
        assert_int_equal(w.given[0].event.store_ms, w.sent_count > 1 ? 999 : 500);
        for (size_t i = 0; i < partitions; i++) {
            assert_int_equal(w.given[0].leases[i].partition, leases[i].partition);
            assert_int_equal(w.given[0].leases[i].fence, leases[i].partition);
        }
        assert_null(w.driver.calls);
        free(leases);
        tear_down();
    }
}

static void test_driver_calls__when_a_part_fails_the_whole_has_failed(void **state)
{
    (void)state;
    for (size_t bad = 0; bad < 4; bad++) {
        for (unsigned how = 0; how < 3; how++) {
            struct lease_call *leases = many_leases(8);
            set_up(8, 4);
            call_leases(DO_CLAIM, leases, 8);
            assert_int_equal(w.sent_count, 4);
            for (size_t i = 0; i < bad; i++)
                answer(w.sent[i].tag, reply_to(&w.sent[i], 500));
            assert_int_equal(w.given_count, 0);
            if (how == 0)
                answer_failure(w.sent[bad].tag, STORE_REFUSED);
            else if (how == 1)
                answer_failure(w.sent[bad].tag, STORE_UNKNOWN);
            else
                answer(w.sent[bad].tag, "500 other h n2");
            assert_int_equal(w.given_count, 1);
            assert_int_equal(w.given[0].event.type, EV_CALL_FAILED);
            assert_int_equal(w.given[0].event.call, 7);
            assert_true(w.given[0].event.as.failed.unknown); /* the others may have been executed */
            for (size_t i = bad + 1; i < 4; i++)
                answer(w.sent[i].tag, reply_to(&w.sent[i], 500));
            assert_int_equal(w.given_count, 1);
            assert_null(w.driver.calls);
            free(leases);
            tear_down();
        }
    }
}

static void test_driver_calls__one_part_that_was_refused_wrote_nothing(void **state)
{
    struct lease_call lease = {.partition = 3};
    (void)state;
    set_up(8, 4);
    call_leases(DO_RENEW, &lease, 1);
    answer_failure(7, STORE_REFUSED);
    assert_int_equal(w.given[0].event.type, EV_CALL_FAILED);
    assert_false(w.given[0].event.as.failed.unknown);
    call_leases(DO_RENEW, &lease, 1);
    answer_failure(7, STORE_UNKNOWN);
    assert_true(w.given[1].event.as.failed.unknown);
    tear_down();
}

static void test_driver_calls__a_call_that_is_sent_in_part_is_given_up(void **state)
{
    (void)state;
    for (size_t most = 0; most < 4; most++) {
        struct lease_call *leases = many_leases(8);
        set_up(8, 4);
        w.send_at_most = most;
        call_leases(DO_RELEASE, leases, 8);
        assert_true(w.sent_count == most && w.driver.unsent_count == 1);
        assert_int_equal(w.driver.unsent[0].id, 7);
        assert_int_equal(w.driver.unsent[0].begun, most > 0);
        assert_null(w.driver.calls);
        for (size_t i = 0; i < most; i++)
            answer(w.sent[i].tag, reply_to(&w.sent[i], 500));
        assert_int_equal(w.given_count, 0);
        free(leases);
        tear_down();
    }
}

static void test_driver_calls__sessions_are_loaded_group_by_group(void **state)
{
    enum { SESSIONS = 6 };
    struct slot slots[SESSIONS] = {0};
    struct node_effect effect = {.type = DO_LOAD, .call = 7};
    (void)state;
    set_up(8, 2);
    for (size_t i = 0; i < SESSIONS; i++) {
        char id[8];
        snprintf(id, sizeof id, "s%zu", i);
        session_id_set(&slots[i].id, span_of(id));
        slots[i].partition = (uint32_t)(i % 4);
        effect.as.load.slots[effect.as.load.count++] = &slots[i];
    }
    driver_call_effect(&w.driver, &effect);
    assert_int_equal(w.sent_count, 2);
    assert_true(w.sent[0].one_group && w.sent[1].one_group && w.sent[0].group != w.sent[1].group);
    const char *args = strchr(w.sent[0].text, '|');
    assert_string_equal(args, "| n1 i1 0 s0 0 s2 0 s4");
    answer(w.sent[1].tag, "500 held nil nil 0 held nil nil 0 held nil nil 0");
    assert_int_equal(w.given_count, 3); /* what has come is worked on at once */
    answer(w.sent[0].tag, "500 held nil nil 0 held nil nil 0 held nil nil 0");
    assert_int_equal(w.given_count, 6);
    static const char *const order[] = {"s1", "s3", "s5", "s0", "s2", "s4"};
    for (size_t i = 0; i < SESSIONS; i++) {
        assert_int_equal(w.given[i].event.type, EV_LOADED);
        assert_string_equal(w.given[i].session, order[i]);
    }
    assert_null(w.driver.calls);
    tear_down();
}

static void test_driver_calls__a_reply_to_no_call_is_ignored(void **state)
{
    struct lease_call lease = {.partition = 3};
    (void)state;
    set_up(8, 4);
    answer(7, "500 held n1 1 0");
    call_leases(DO_RENEW, &lease, 1);
    answer(7 | (uint64_t)1 << 48, "500 held n1 1 0"); /* it has one part */
    answer(8, "500 held n1 1 0");
    assert_int_equal(w.given_count, 0);
    answer(7, "500 held n1 1 0");
    assert_int_equal(w.given_count, 1);
    tear_down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_driver_calls__leases_are_asked_for_in_the_form_of_their_scripts),
        cmocka_unit_test(test_driver_calls__members_are_told_and_asked_for),
        cmocka_unit_test(test_driver_calls__a_lease_reads_the_same_claimed_or_watched),
        cmocka_unit_test(test_driver_calls__renewals_and_releases_tell_what_they_have_to),
        cmocka_unit_test(test_driver_calls__members_are_read),
        cmocka_unit_test(test_driver_calls__a_verdict_tells_where_the_fence_began),
        cmocka_unit_test(test_driver_calls__no_part_is_too_large_or_of_two_groups_and_the_answer_is_one),
        cmocka_unit_test(test_driver_calls__when_a_part_fails_the_whole_has_failed),
        cmocka_unit_test(test_driver_calls__one_part_that_was_refused_wrote_nothing),
        cmocka_unit_test(test_driver_calls__a_call_that_is_sent_in_part_is_given_up),
        cmocka_unit_test(test_driver_calls__sessions_are_loaded_group_by_group),
        cmocka_unit_test(test_driver_calls__a_reply_to_no_call_is_ignored),
    };
    return cmocka_run_group_tests_name("driver_calls", tests, NULL, NULL);
}
