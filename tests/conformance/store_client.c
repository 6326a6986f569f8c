#include "tests/conformance/store_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "codec/script.h"
#include "tests/lib/t.h"

#define WAIT_S 20
#define WORDS  20000

struct words {
    struct span at[WORDS];
    size_t count;
};

struct store_client *store_client_new(struct store_bench *bench, uint32_t n)
{
    struct store_client *c = calloc(1, sizeof *c);
    assert_non_null(c);
    c->bench = bench;
    c->base = n * CLIENT_PARTITIONS;
    bench->client = c;
    return c;
}

static void render(struct store_client *c, struct span item, size_t *at)
{
    const char *word = NULL;
    char fence[16];
    for (int p = 0; p < CLIENT_PARTITIONS && !word; p++) {
        if (!c->fence[p][0] || !span_is(item, c->fence[p]))
            continue;
        snprintf(fence, sizeof fence, "F%d", p);
        word = fence;
    }
    if (!span_given(item))
        word = "nil";
    else if (item.bytes == 0)
        word = "''";
    if (word)
        item = span_of(word);
    if (*at)
        c->text[(*at)++] = ' ';
    memcpy(c->text + *at, item.at, item.bytes);
    *at += item.bytes;
}

static void render_reply(struct store_client *c, const struct store_reply *reply)
{
    size_t at = 0;
    for (size_t i = 1; i < c->count; i++)
        render(c, c->items[i], &at);
    c->text[at] = 0;
    if (reply->verdict == STORE_REFUSED)
        snprintf(c->text, sizeof c->text, "refused %.*s", SPAN_ARGS(reply->error));
    if (reply->verdict == STORE_UNKNOWN)
        snprintf(c->text, sizeof c->text, "unknown");
}

void store_client_on_reply(void *user, uint64_t tag, const struct store_reply *reply)
{
    struct store_client *c = ((struct store_bench *)user)->client;
    assert_int_equal(tag, c->tag);
    assert_false(c->replied);
    c->replied = true;
    c->verdict = reply->verdict;
    c->count = reply->verdict == STORE_REPLIED ? reply->count : 0;
    assert_true(c->count <= CLIENT_ITEMS);
    size_t at = 0;
    for (size_t i = 0; i < c->count; i++) {
        c->items[i] = (struct span){NULL, 0};
        if (!span_given(reply->items[i]))
            continue;
        assert_true(at + reply->items[i].bytes < sizeof c->bytes);
        if (reply->items[i].bytes)
            memcpy(c->bytes + at, reply->items[i].at, reply->items[i].bytes);
        c->items[i] = span_bytes(c->bytes + at, reply->items[i].bytes);
        c->bytes[at + reply->items[i].bytes] = 0;
        at += reply->items[i].bytes + 1;
    }
    c->now_ms = c->count ? strtoull(c->items[0].at, NULL, 10) : 0;
    render_reply(c, reply);
}

static const char *letters_of(enum script script)
{
    static const char *const letters[SCRIPT_COUNT] = {
        [SCRIPT_FOUND] = "",         [SCRIPT_CLAIM] = "l",   [SCRIPT_RENEW] = "l",  [SCRIPT_RELEASE] = "ls",
        [SCRIPT_COMMIT] = "lsixtod", [SCRIPT_LOAD] = "lsix", [SCRIPT_FACTS] = "lt", [SCRIPT_ACTIVE] = "li",
        [SCRIPT_EVENTS] = "lo",      [SCRIPT_LIST] = "ls",   [SCRIPT_WATCH] = "l",  [SCRIPT_MEMBERS] = ""};
    return letters[script];
}

/* Keys of "0 1", into `names`. */
static size_t keys_of(struct store_client *c, enum script script, const char *partitions, struct span *keys,
                      char (*names)[KEY_BYTES])
{
    size_t count = 0;
    if (script == SCRIPT_FOUND)
        keys[count++] = SPAN_LIT(KEY_FACTS);
    if (script == SCRIPT_MEMBERS)
        keys[count++] = store_members_key(c);
    for (const char *p = partitions; *p; p++) {
        if (*p == ' ')
            continue;
        for (const char *letter = letters_of(script); *letter; letter++, count++) {
            uint32_t partition = c->base + (uint32_t)(*p - '0');
            keys[count] = span_bytes(names[count], key_of(names[count], partition, 1, *letter));
        }
    }
    return count;
}

struct span store_members_key(struct store_client *c)
{
    snprintf(c->members_key, sizeof c->members_key, "%s%u", KEY_MEMBERS, (unsigned)c->base);
    return span_of(c->members_key);
}

struct span store_key(struct store_client *c, uint32_t p, char letter, char out[KEY_BYTES])
{
    return span_bytes(out, key_of(out, c->base + p, 1, letter));
}

const char *store_ask_spans(struct store_client *c, enum script script, const char *partitions, const struct span *args,
                            size_t count)
{
    struct span keys[512];
    char names[512][KEY_BYTES];
    size_t key_count = keys_of(c, script, partitions, keys, names);
    return store_ask_keys(c, script, keys, key_count, args, count);
}

const char *store_ask_keys(struct store_client *c, enum script script, const struct span *keys, size_t key_count,
                           const struct span *args, size_t count)
{
    struct store_call call = {script, keys, args, key_count, count};
    c->bench->client = c;
    c->replied = false;
    c->tag++;
    assert_true(c->bench->port.ops->call(c->bench->port.self, c->tag, &call));
    assert_false(c->replied); /* nothing calls back from inside call() */
    time_t end = time(NULL) + WAIT_S;
    while (!c->replied && time(NULL) < end)
        c->bench->step(c->bench->self);
    assert_true(c->replied);
    return c->text;
}

static struct span word(struct store_client *c, struct span text)
{
    if (span_is(text, "''"))
        return SPAN_LIT("");
    if (text.bytes == 2 && text.at[0] == 'F' && text.at[1] >= '0' && text.at[1] < '0' + CLIENT_PARTITIONS)
        return span_of(c->fence[text.at[1] - '0']);
    return text;
}

static struct words *words_of(struct store_client *c, const char *args)
{
    struct words *words = calloc(1, sizeof *words);
    assert_non_null(words);
    while (*args) {
        size_t bytes = strcspn(args, " ");
        if (bytes)
            words->at[words->count++] = word(c, span_bytes(args, bytes));
        args += bytes + (args[bytes] == ' ');
    }
    return words;
}

const char *store_ask(struct store_client *c, enum script script, const char *partitions, const char *args)
{
    struct words *words = words_of(c, args);
    const char *text = store_ask_spans(c, script, partitions, words->at, words->count);
    free(words);
    return text;
}

bool store_ask_cut(struct store_client *c, enum script script, const char *partitions, const char *args, size_t writes)
{
    struct span keys[512];
    char names[512][KEY_BYTES];
    struct words *words = words_of(c, args);
    struct store_call call = {.script = script, .keys = keys, .args = words->at, .arg_count = words->count};
    call.key_count = keys_of(c, script, partitions, keys, names);
    bool died = c->bench->cut(c->bench->self, &call, writes);
    free(words);
    return died;
}

const char *store_ask_letters(struct store_client *c, uint32_t p, const char *args)
{
    char names[2][KEY_BYTES];
    struct span keys[] = {store_key(c, p, 'l', names[0]), store_key(c, p, 'd', names[1])};
    struct words *words = words_of(c, args);
    const char *text = store_ask_keys(c, SCRIPT_EVENTS, keys, 2, words->at, words->count);
    free(words);
    return text;
}

void store_claim(struct store_client *c, uint32_t p, const char *owner, unsigned lease_ms)
{
    char args[256], partition[2] = {(char)('0' + p), 0};
    snprintf(args, sizeof args, "%s %u 0 history ''", owner, lease_ms);
    const char *text = store_ask(c, SCRIPT_CLAIM, partition, args);
    if (strncmp(text, "held ", 5) != 0)
        fail_msg("claim: %s", text);
    snprintf(c->fence[p], sizeof c->fence[p], "%.*s", SPAN_ARGS(c->items[5]));
}

/* --- what no script would do --- */

/* A partition that no case uses: its owner may name any hash as its own. */
#define SCRATCH 0x70000

static void scratch_keys(struct store_client *c, struct span hash, struct span keys[7], char names[7][KEY_BYTES])
{
    static const char letters[] = "lsixtod";
    for (size_t i = 0; i < 7; i++)
        keys[i] = store_key(c, SCRATCH, letters[i], names[i]);
    keys[1] = hash;
}

static struct span scratch_claim(struct store_client *c)
{
    struct span keys[7];
    char names[7][KEY_BYTES];
    static const struct span args[] = {{"w", 1}, {"w", 1}, {"60000000", 8}, {"0", 1}, {"h", 1}, {"", 0}};
    scratch_keys(c, SPAN_LIT(""), keys, names);
    store_ask_keys(c, SCRIPT_CLAIM, keys, 1, args, 6);
    assert_true(c->count > 6 && span_is(c->items[1], "held"));
    snprintf(c->scratch, sizeof c->scratch, "%.*s", SPAN_ARGS(c->items[5]));
    c->scratch_seq = strtoull(c->items[6].at, NULL, 10);
    return span_of(c->scratch);
}

void store_write(struct store_client *c, struct span key, const char *field, const char *value)
{
    struct span keys[7], fence = scratch_claim(c);
    char names[7][KEY_BYTES], seq[24];
    snprintf(seq, sizeof seq, "%llu", (unsigned long long)c->scratch_seq + 1);
    scratch_keys(c, key, keys, names);
    struct span zero = SPAN_LIT("0"), one = SPAN_LIT("1"), owner = SPAN_LIT("w");
    struct span args[] = {owner,
                          owner,
                          fence,
                          span_of(seq),
                          SPAN_LIT("digest"),
                          zero,
                          zero,
                          zero,
                          one,
                          one,
                          value ? SPAN_LIT("s") : SPAN_LIT("S"),
                          span_of(field),
                          span_of(value ? value : "")};
    store_ask_keys(c, SCRIPT_COMMIT, keys, 7, args, sizeof args / sizeof *args);
    assert_true(c->count > 1 && span_is(c->items[1], "held"));
}

const char *store_read(struct store_client *c, struct span key, const char *field)
{
    struct span keys[7], fence = scratch_claim(c), owner = SPAN_LIT("w");
    char names[7][KEY_BYTES];
    scratch_keys(c, key, keys, names);
    struct span args[] = {owner, owner, fence, span_of(field)};
    store_ask_keys(c, SCRIPT_FACTS, keys, 2, args, 4);
    assert_true(c->count == 3 && span_is(c->items[1], "held"));
    return c->text + strlen("held ");
}
