/* traces: plays what the source system did (docs/semantics.md) on the real core.
 *   traces [-q] FILE...      one scenario a line; `-` is standard input, *.gz is unpacked by gzip
 * Prints, for each scenario that differs, its first differing step; then the excuses and `N passed, N failed`.
 * Exit code: 0 all passed, 1 something failed or nothing was played, 2 usage. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/traces/play.h"

struct tally {
    size_t passed, failed;
    bool broken; /* a file that cannot be read */
};

static void say_failure(const char *name, const struct failure *failure)
{
    printf("FAILED %s\n  step %zu %s, %s%s%s\n    expected %s\n    got      %s\n", name, failure->step, failure->op,
           failure->field, failure->input[0] ? " of " : "", failure->input, failure->want, failure->got);
}

static void play_line(struct tally *tally, const char *file, size_t number, const char *line)
{
    json_error_t error;
    json_t *scenario = json_loads(line, 0, &error);
    if (!scenario) {
        fprintf(stderr, "traces: %s:%zu: %s\n", file, number, error.text);
        tally->broken = true;
        return;
    }
    struct failure failure;
    const char *name = json_string_value(json_object_get(scenario, "name"));
    bool good = play(scenario, &failure);
    tally->passed += good;
    tally->failed += !good;
    if (!good)
        say_failure(name ? name : "(no name)", &failure);
    json_decref(scenario);
}

static void play_stream(struct tally *tally, const char *file, FILE *in)
{
    char *line = NULL;
    size_t room = 0, number = 0;
    ssize_t bytes;
    while ((bytes = getline(&line, &room, in)) > 0) {
        number++;
        if (strspn(line, " \t\r\n") < (size_t)bytes)
            play_line(tally, file, number, line);
    }
    tally->broken |= ferror(in) != 0;
    free(line);
}

/* The file through gzip. */
static void play_packed(struct tally *tally, const char *file)
{
    int ends[2], status = 1;
    if (pipe(ends)) {
        tally->broken = true;
        return;
    }
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        execlp("gzip", "gzip", "-dc", "--", file, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    FILE *in = fdopen(ends[0], "r");
    if (in && child > 0)
        play_stream(tally, file, in);
    if (in)
        fclose(in);
    tally->broken |= child < 0 || !in || waitpid(child, &status, 0) < 0 || status != 0;
}

static void play_file(struct tally *tally, const char *file)
{
    size_t bytes = strlen(file);
    if (strcmp(file, "-") == 0) {
        play_stream(tally, "standard input", stdin);
    } else if (bytes > 3 && strcmp(file + bytes - 3, ".gz") == 0) {
        play_packed(tally, file);
    } else {
        FILE *in = fopen(file, "r");
        tally->broken |= !in;
        if (!in) {
            perror(file);
            return;
        }
        play_stream(tally, file, in);
        fclose(in);
    }
}

int main(int argc, char **argv)
{
    struct tally tally = {0};
    if (argc < 2) {
        fprintf(stderr, "usage: traces FILE...\n");
        return 2;
    }
    for (int i = 1; i < argc; i++)
        play_file(&tally, argv[i]);
    excuses_print();
    if (tally.broken)
        fprintf(stderr, "traces: not every file could be read\n");
    printf("%zu passed, %zu failed\n", tally.passed, tally.failed);
    return tally.failed || tally.broken || !tally.passed;
}
