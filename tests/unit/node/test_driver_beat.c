/* Heartbeats through the driver: what it says of its node is what another one's core is told. The core is stood in for
 * here: it has what it is given to say, and keeps what it hears. */
#include "tests/lib/t.h"

#include <stdio.h>
#include <stdlib.h>

#include "node/driver_impl.h"

#define HEARD_MAX 32

struct node {
    const struct mk_owned *owned;
    const struct mk_handing *handing;
    const uint32_t *expecting, *suspended;
    uint32_t owned_count, handing_count, expecting_count, suspended_count;
    struct node_view view;
    char heard[HEARD_MAX][64];
    size_t heard_count;
    struct node_effect *emits; /* by the next step */
};

static struct node core;

/* --- the core --- */

struct node *node_new(const struct node_config *config, const struct mk_mem *mem)
{
    (void)config;
    (void)mem;
    return &core;
}

void node_free(struct node *node)
{
    (void)node;
}

void node_effects_init(struct node_effects *fx, const struct mk_mem *mem)
{
    (void)mem;
    *fx = (struct node_effects){.count = 0};
}

void node_effects_reset(struct node_effects *fx)
{
    fx->count = 0;
}

void node_effects_fini(struct node_effects *fx)
{
    (void)fx;
}

/* Every event of a heartbeat says whose it is. */
void node_step(struct node *node, const struct node_event *event, struct node_effects *fx)
{
    fx->list = node->emits;
    fx->count = node->emits ? 1 : 0;
    node->emits = NULL;
    if (event->type != EV_HEARTBEAT)
        return;
    assert_true(node->heard_count < HEARD_MAX);
    char *text = node->heard[node->heard_count++];
    int bytes = snprintf(text, 64, "%.*s: ", SPAN_ARGS(event->as.heartbeat.beat->node));
    const struct mk_owned *owned = event->as.heartbeat.owned;
    const struct mk_handing *handing = event->as.heartbeat.handing;
    switch (event->as.heartbeat.part) {
    case BEAT_HEAD:
        assert_true(!owned && !handing);
        snprintf(text + bytes, 40, "%.*s", SPAN_ARGS(event->as.heartbeat.beat->phase));
        break;
    case BEAT_OWNED:
        assert_null(handing);
        snprintf(text + bytes, 40, "owns %u %llu", owned->partition, (unsigned long long)owned->fence);
        break;
    case BEAT_HANDING:
        assert_null(owned);
        snprintf(text + bytes, 40, "%s %u %.*s %llu", handing->released ? "gave" : "gives", handing->partition,
                 SPAN_ARGS(handing->successor), (unsigned long long)handing->fence);
        break;
    case BEAT_EXPECTING:
        assert_true(!owned && !handing);
        snprintf(text + bytes, 40, "expects %u", event->as.heartbeat.expecting);
        break;
    }
}

uint64_t node_due_ms(const struct node *node)
{
    (void)node;
    return UINT64_MAX;
}

enum may node_may(const struct node *node, uint32_t partition, uint64_t fence, uint64_t now_ms)
{
    (void)node;
    (void)partition;
    (void)fence;
    (void)now_ms;
    return MAY_LEAVE;
}

void node_view(const struct node *node, uint64_t now_ms, struct node_view *out)
{
    (void)now_ms;
    *out = node->view;
}

bool node_owned_next(const struct node *node, uint32_t *cursor, struct mk_owned *out)
{
    if (*cursor == node->owned_count)
        return false;
    *out = node->owned[(*cursor)++];
    return true;
}

bool node_handing_next(const struct node *node, uint32_t *cursor, struct mk_handing *out)
{
    if (*cursor == node->handing_count)
        return false;
    *out = node->handing[(*cursor)++];
    return true;
}

bool node_expecting_next(const struct node *node, uint32_t *cursor, uint32_t *out)
{
    if (*cursor == node->expecting_count)
        return false;
    *out = node->expecting[(*cursor)++];
    return true;
}

bool node_suspended_next(const struct node *node, uint32_t *cursor, uint32_t *out)
{
    if (*cursor == node->suspended_count)
        return false;
    *out = node->suspended[(*cursor)++];
    return true;
}

bool node_takes(const struct node *node, uint32_t partition)
{
    (void)node;
    (void)partition;
    return false;
}

void node_passed(struct node *node, uint32_t partition)
{
    (void)node;
    (void)partition;
}

void node_receipt(const struct node *node, struct mk_doc *doc)
{
    (void)node;
    (void)doc;
}

const struct session *node_session(const struct node *node, struct span id)
{
    (void)node;
    (void)id;
    return NULL;
}

uint64_t node_store_ms(const struct node *node, uint64_t now_ms)
{
    (void)node;
    return now_ms;
}

struct span slot_id(const struct slot *slot)
{
    (void)slot;
    return (struct span){NULL, 0};
}

uint32_t slot_partition(const struct slot *slot)
{
    (void)slot;
    return 0;
}

uint64_t slot_fence(const struct node *node, const struct slot *slot)
{
    (void)node;
    (void)slot;
    return 0;
}

const char *script_name(enum script script)
{
    (void)script;
    return "";
}

/* --- the ports --- */

static struct buf frame;
static uint64_t randoms;

static void publish(void *self, struct span bytes)
{
    (void)self;
    buf_reset(&frame);
    buf_append(&frame, bytes.at, bytes.bytes);
}

static uint64_t now_ms(void *self)
{
    (void)self;
    return 1000;
}

static void random_bytes(void *self, void *bytes, size_t count)
{
    (void)self;
    randoms++;
    memset(bytes, (int)randoms, count);
}

static const struct bus_ops bus = {.publish = publish};
static const struct clock_ops clock_port = {.now_ms = now_ms, .unix_ms = now_ms, .random = random_bytes};

static struct test_mem memory;

static struct driver *driver_named(const char *name, uint32_t partitions)
{
    struct ports ports = {.bus.ops = &bus, .clock.ops = &clock_port};
    struct driver_options options = {
        .partitions = partitions, .groups = 1, .lease_ms = 3000, .frame_bytes_max = FRAME_BYTES_DEFAULT};
    struct mk_note note = {""};
    id_set(&options.node, span_of(name));
    struct driver *driver = driver_new(&options, &ports, &memory.mem, &note);
    if (!driver)
        fail_msg("%s", note.text);
    return driver;
}

/* Says its heartbeat, which is then in `frame`. */
static void beat(struct driver *driver)
{
    struct node_effect effect = {.type = DO_HEARTBEAT};
    buf_reset(&frame);
    core.emits = &effect;
    driver_tick(driver);
    assert_true(frame.bytes > 0);
}

static void heard(const char *const *lines, size_t count)
{
    for (size_t i = 0; i < count && i < core.heard_count; i++)
        assert_string_equal(core.heard[i], lines[i]);
    assert_int_equal(core.heard_count, count);
    core.heard_count = 0;
}

#define HEARD(...)                                                                                                     \
    do {                                                                                                               \
        static const char *const lines_[] = {__VA_ARGS__};                                                             \
        heard(lines_, sizeof lines_ / sizeof *lines_);                                                                 \
    } while (0)

static int set_up(void **state)
{
    static const struct mk_owned owned[] = {{1, {"h", 1}, 11, 3}, {200, {"h", 1}, 12, 0}};
    static const struct mk_handing handing[] = {
        {1, {"b", 1}, false, 11}, {2, {"c", 1}, true, 13}, {201, {"", 0}, true, 14}};
    static const uint32_t expecting[] = {7, 255}, suspended[] = {200};
    (void)state;
    test_mem_init(&memory);
    core = (struct node){.owned = owned,
                         .owned_count = 2,
                         .handing = handing,
                         .handing_count = 3,
                         .expecting = expecting,
                         .expecting_count = 2,
                         .suspended = suspended,
                         .suspended_count = 1};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    buf_fini(&frame);
    assert_int_equal(memory.live, 0);
    return 0;
}

static void test_driver_beat__another_node_is_told_head_and_items_one_by_one(void **state)
{
    struct driver *a = driver_named("a", 256), *b = driver_named("b", 256);
    (void)state;
    core.view.phase = MEMBER_DRAINING;
    beat(a);
    driver_frame(b, buf_span(&frame));
    HEARD("a: draining", "a: owns 1 11", "a: owns 200 12", "a: gives 1 b 11", "a: gave 2 c 13", "a: gave 201  14",
          "a: expects 7", "a: expects 255");
    driver_free(a);
    driver_free(b);
}

static void test_driver_beat__its_own_heartbeat_tells_a_node_that_the_bus_works_and_no_more(void **state)
{
    struct driver *a = driver_named("a", 256);
    (void)state;
    beat(a);
    driver_frame(a, buf_span(&frame));
    HEARD("a: working");
    driver_free(a);
}

static void test_driver_beat__partitions_that_this_cluster_does_not_have_are_left_out(void **state)
{
    struct driver *a = driver_named("a", 256), *b = driver_named("b", 200);
    (void)state;
    beat(a);
    driver_frame(b, buf_span(&frame));
    HEARD("a: working", "a: owns 1 11", "a: gives 1 b 11", "a: gave 2 c 13", "a: expects 7");
    driver_free(a);
    driver_free(b);
}

static void test_driver_beat__the_phase_is_that_of_the_store(void **state)
{
    struct driver *a = driver_named("a", 256), *b = driver_named("b", 256);
    (void)state;
    core.owned_count = core.handing_count = core.expecting_count = 0;
    for (enum member_phase phase = 0; phase < MEMBER_PHASE_COUNT; phase++) {
        char wanted[32];
        core.view.phase = phase;
        core.view.leaving = true; /* says nothing by itself */
        beat(a);
        driver_frame(b, buf_span(&frame));
        snprintf(wanted, sizeof wanted, "a: %s", member_phase_name(phase));
        assert_string_equal(core.heard[0], wanted);
        assert_int_equal(core.heard_count, 1);
        core.heard_count = 0;
    }
    driver_free(a);
    driver_free(b);
}

static void test_driver_beat__what_cannot_be_worked_on_is_said(void **state)
{
    struct driver *a = driver_named("a", 256);
    struct span topic, map;
    struct mk_heartbeat in;
    struct heartbeat_lists lists;
    uint32_t partition;
    (void)state;
    beat(a);
    assert_int_equal(frame_split(buf_span(&frame), &topic, &map), MK_ERR_OK);
    assert_int_equal(heartbeat_read(map, &in, &lists, NULL), MK_ERR_OK);
    assert_true(partition_next(&lists.suspended, &partition) && partition == 200);
    assert_false(partition_next(&lists.suspended, &partition));
    driver_free(a);
}

/* Half a hand-over is none: not even its head reaches the core. */
static void test_driver_beat__a_heartbeat_that_is_not_sound_is_not_heard(void **state)
{
    static const struct mk_handing handing[] = {
        {1, {"b", 1}, true, 11},
        {2, {"a name of sixty-five bytes, which is one more than any node can have", 65}, true, 11}};
    struct driver *a = driver_named("a", 256), *b = driver_named("b", 256);
    struct driver_status status;
    (void)state;
    core.handing = handing;
    core.handing_count = 2;
    beat(a);
    driver_frame(b, buf_span(&frame));
    assert_int_equal(core.heard_count, 0);
    driver_status(b, &status);
    assert_int_equal(status.frames_bad, 1);
    driver_free(a);
    driver_free(b);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_driver_beat__another_node_is_told_head_and_items_one_by_one),
        TEST(test_driver_beat__its_own_heartbeat_tells_a_node_that_the_bus_works_and_no_more),
        TEST(test_driver_beat__partitions_that_this_cluster_does_not_have_are_left_out),
        TEST(test_driver_beat__the_phase_is_that_of_the_store),
        TEST(test_driver_beat__what_cannot_be_worked_on_is_said),
        TEST(test_driver_beat__a_heartbeat_that_is_not_sound_is_not_heard),
    };
    return cmocka_run_group_tests_name("driver_beat", tests, NULL, NULL);
}
