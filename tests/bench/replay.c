/* The baseline: what Redis does with the very writes that the node made, when a bare client pipelines them. They are
 * read from the append-only file of the measured round, where each script's writes stand between MULTI and EXEC. */
#include "tests/bench/bench.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hiredis/hiredis.h>

struct replay {
    redisContext *redis;
    const char *at, *end;
    uint64_t in_flight_max, in_flight;
    uint64_t commands, errors;
    struct bench_times groups; /* a script's writes, until the last is answered; only one at a time */
    size_t room;
};

/* One command as it stands in the file. */
struct command {
    const char *at;
    size_t bytes;
    bool opens, closes, passes; /* MULTI; EXEC; nothing that a client must send */
};

/* The number of "*3\r\n" or "$10\r\n"; moves behind it. -1: the file ends or is none. */
static long number_line(const char **at, const char *end, char mark)
{
    if (*at >= end || **at != mark)
        return -1;
    long value = 0;
    const char *p = *at + 1;
    for (; p < end && *p >= '0' && *p <= '9'; p++)
        value = value * 10 + (*p - '0');
    if (end - p < 2 || p[0] != '\r')
        return -1;
    *at = p + 2;
    return value;
}

static bool named(const char *at, long bytes, const char *name)
{
    return (size_t)bytes == strlen(name) && strncmp(at, name, (size_t)bytes) == 0;
}

static bool command_next(struct replay *r, struct command *out)
{
    *out = (struct command){.at = r->at};
    long words = number_line(&r->at, r->end, '*');
    for (long i = 0; i < words; i++) {
        long bytes = number_line(&r->at, r->end, '$');
        if (bytes < 0 || r->end - r->at < bytes + 2)
            return false;
        if (i == 0) {
            out->opens = named(r->at, bytes, "MULTI");
            out->closes = named(r->at, bytes, "EXEC");
            out->passes = out->opens || out->closes || named(r->at, bytes, "SELECT");
        }
        r->at += bytes + 2;
    }
    out->bytes = (size_t)(r->at - out->at);
    return words > 0;
}

static bool take_replies(struct replay *r, uint64_t leave)
{
    while (r->in_flight > leave) {
        redisReply *reply = NULL;
        if (redisGetReply(r->redis, (void **)&reply) != REDIS_OK) {
            fprintf(stderr, "bench: redis: %s\n", r->redis->errstr);
            return false;
        }
        if (reply->type == REDIS_REPLY_ERROR && r->errors++ == 0)
            fprintf(stderr, "bench: redis refused: %s\n", reply->str);
        freeReplyObject(reply);
        r->in_flight--;
    }
    return true;
}

static bool note_group(struct replay *r, uint64_t us)
{
    if (r->groups.count == r->room) {
        r->room = r->room ? 2 * r->room : 4096;
        uint64_t *more = realloc(r->groups.us, r->room * sizeof *more);
        if (!more)
            return false;
        r->groups.us = more;
    }
    r->groups.us[r->groups.count++] = us;
    return true;
}

static bool send_one(struct replay *r, const struct command *command)
{
    if (command->passes)
        return true;
    r->in_flight++;
    r->commands++;
    return redisAppendFormattedCommand(r->redis, command->at, command->bytes) == REDIS_OK;
}

/* Pipelined: in_flight_max commands on their way, and never fewer than half of them. */
static bool send_pipelined(struct replay *r, const char *until)
{
    struct command c;
    while (r->at < until && command_next(r, &c)) {
        if (!send_one(r, &c))
            return false;
        if (r->in_flight >= r->in_flight_max && !take_replies(r, r->in_flight_max / 2))
            return false;
    }
    return take_replies(r, 0);
}

/* One script's writes, their replies, then the next. */
static bool send_by_group(struct replay *r)
{
    struct command c;
    bool inside = false;
    uint64_t began = bench_now_us();
    while (command_next(r, &c)) {
        inside = (inside || c.opens) && !c.closes;
        if (!send_one(r, &c))
            return false;
        if (inside || !r->in_flight)
            continue;
        if (!take_replies(r, 0) || !note_group(r, bench_now_us() - began))
            return false;
        began = bench_now_us();
    }
    return true;
}

/* The whole file; to be freed. NULL: it cannot be read. */
static char *file_read(const char *path, size_t *bytes)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL;
    char *text = NULL;
    long size = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    if (size > 0 && fseek(file, 0, SEEK_SET) == 0)
        text = malloc((size_t)size);
    *bytes = text ? fread(text, 1, (size_t)size, file) : 0;
    fclose(file);
    return text;
}

int bench_replay(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    size_t bytes = 0, skip = bench_number(argv[2]);
    uint64_t in_flight = bench_number(argv[3]);
    int code = 1;
    char *text = file_read(argv[1], &bytes);
    struct replay r = {.redis = redisConnectUnix(argv[0]), .at = text, .end = text + bytes, .in_flight_max = 1000};
    if (!text || skip > bytes || !r.redis || r.redis->err) {
        fprintf(stderr, "bench: cannot read %s or reach %s\n", argv[1], argv[0]);
        goto out;
    }
    if (!send_pipelined(&r, text + skip))
        goto out;
    r.commands = r.errors = 0;
    r.in_flight_max = in_flight;
    uint64_t began = bench_now_us();
    if (!(in_flight ? send_pipelined(&r, r.end) : send_by_group(&r)))
        goto out;
    uint64_t us = bench_now_us() - began;
    printf("us=%llu commands=%llu groups=%zu bytes=%zu errors=%llu p50_us=%llu p99_us=%llu\n", (unsigned long long)us,
           (unsigned long long)r.commands, r.groups.count, bytes - skip, (unsigned long long)r.errors,
           (unsigned long long)bench_percentile(&r.groups, 50), (unsigned long long)bench_percentile(&r.groups, 99));
    code = r.errors ? 1 : 0;
out:
    free(r.groups.us);
    if (r.redis)
        redisFree(r.redis);
    free(text);
    return code;
}
