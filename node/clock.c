#include "node/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

static uint64_t read_ms(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t now_ms(void *self)
{
    (void)self;
    return read_ms(CLOCK_BOOTTIME);
}

static uint64_t unix_ms(void *self)
{
    (void)self;
    return read_ms(CLOCK_REALTIME);
}

/* A kernel that has no random bytes to give leaves no way to name an incarnation that nobody else has. */
static void fill_random(void *self, void *bytes, size_t count)
{
    (void)self;
    char *at = bytes;
    while (count > 0) {
        ssize_t got = getrandom(at, count, 0);
        if (got < 0 && errno != EINTR)
            abort();
        if (got > 0) {
            at += got;
            count -= (size_t)got;
        }
    }
}

struct clock_port clock_system(void)
{
    static const struct clock_ops ops = {now_ms, unix_ms, fill_random};
    return (struct clock_port){&ops, NULL};
}
