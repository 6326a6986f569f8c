#include "tests/bench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

uint64_t bench_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

uint64_t bench_number(const char *text)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || value > 1ull << 53) {
        fprintf(stderr, "bench: %s is no number\n", text);
        exit(2);
    }
    return value;
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

uint64_t bench_percentile(struct bench_times *times, unsigned percent)
{
    if (!times->count)
        return 0;
    qsort(times->us, times->count, sizeof *times->us, by_size);
    return times->us[(times->count - 1) * percent / 100];
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "load") == 0)
        return bench_load(argc - 2, argv + 2);
    if (argc > 1 && strcmp(argv[1], "replay") == 0)
        return bench_replay(argc - 2, argv + 2);
    fprintf(stderr,
            "bench: load BUS INPUTS SESSIONS IN-FLIGHT BODY-BYTES PREFIX | replay SOCKET FILE SKIP IN-FLIGHT\n");
    return 2;
}
