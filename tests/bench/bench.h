/* The two sides of the bench, and the clock and the figures they share. Run by run.py, which starts what they talk to.
 * Each prints one line of key=value on stdout and returns the exit code of the program. */
#ifndef MEERKAT_TESTS_BENCH_H
#define MEERKAT_TESTS_BENCH_H

#include <stddef.h>
#include <stdint.h>

/* load BUS INPUTS SESSIONS IN-FLIGHT BODY-BYTES PREFIX: durable inputs through the bus, each awaited to its completion.
 */
int bench_load(int argc, char **argv);

/* replay SOCKET FILE SKIP IN-FLIGHT: sends a Redis append-only file's commands to another Redis, pipelined, without the
 * transactions around them. The first SKIP bytes are not measured. IN-FLIGHT 0: one script's writes at a time. */
int bench_replay(int argc, char **argv);

uint64_t bench_now_us(void);

/* A decimal argument, 0..2^53; ends the program with 2 when it is none. */
uint64_t bench_number(const char *text);

/* The times of a round. Caller's memory: `us` has room for what is added. */
struct bench_times {
    uint64_t *us;
    size_t count;
};

/* Of a hundred, 50 or 99. Sorts. 0 when there are none. */
uint64_t bench_percentile(struct bench_times *times, unsigned percent);

#endif
