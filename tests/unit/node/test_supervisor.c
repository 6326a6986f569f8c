/* The supervisor with real processes: what it starts, what it ends, and that nothing remains. */
#include "tests/lib/t.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "node/supervisor.h"

#define BOUND_MS 10000 /* a test that waits longer has failed */

struct fixture {
    struct executor_name names[2]; /* two children of the first, one of the second */
    struct supervisor supervisor;
};

static void name(struct executor_name *out, const char *text)
{
    assert_int_equal(executor_name_parse(out, span_of(text), NULL), MK_ERR_OK);
}

static void begin(struct fixture *f, const char *first, const char *second)
{
    struct mk_note note = {""};
    char secret[] = "secret";
    name(&f->names[0], first);
    name(&f->names[1], second);
    const struct supervisor_options options = {
        .names = f->names, .name_count = 2, .node = SPAN_LIT("n1"), .secret = secret, .secret_bytes = sizeof secret};
    assert_int_equal(supervisor_start(&f->supervisor, &options, &note), MK_ERR_OK);
    assert_true(f->supervisor.pid > 0);
    assert_string_equal(secret, "secret"); /* only the copy is wiped */
}

static void order(struct fixture *f, struct supervisor_order order)
{
    assert_int_equal(send(f->supervisor.fd, &order, sizeof order, MSG_NOSIGNAL), sizeof order);
}

static void await_readable(int fd)
{
    struct pollfd poll_fd = {fd, POLLIN, 0};
    assert_int_equal(poll(&poll_fd, 1, BOUND_MS), 1);
}

static struct supervisor_report report(struct fixture *f, int fds[3])
{
    struct supervisor_report out;
    struct iovec bytes = {&out, sizeof out};
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(3 * sizeof(int))];
    } control;
    struct msghdr message = {
        .msg_iov = &bytes, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room};
    await_readable(f->supervisor.fd);
    assert_int_equal(recvmsg(f->supervisor.fd, &message, 0), sizeof out);
    const struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    assert_int_equal(head != NULL, fds != NULL);
    if (head)
        memcpy(fds, CMSG_DATA(head), 3 * sizeof(int));
    return out;
}

/* Its pid; the descriptors are its stdin, stdout, stderr. */
static int spawn(struct fixture *f, uint32_t child, uint32_t life, int fds[3])
{
    order(f, (struct supervisor_order){.type = ORDER_SPAWN, .child = child, .life = life});
    struct supervisor_report started = report(f, fds);
    assert_int_equal(started.type, REPORT_STARTED);
    assert_int_equal(started.child, child);
    assert_int_equal(started.life, life);
    assert_int_equal(started.error, 0);
    return started.pid;
}

static struct supervisor_report await_end(struct fixture *f, uint32_t child)
{
    struct supervisor_report ended = report(f, NULL);
    assert_int_equal(ended.type, REPORT_ENDED);
    assert_int_equal(ended.child, child);
    assert_int_equal(ended.left, 0);
    return ended;
}

static void close_all(const int fds[3])
{
    for (size_t i = 0; i < 3; i++)
        close(fds[i]);
}

/* One line of the child's. */
static void read_line(int fd, char *out, size_t room)
{
    size_t bytes = 0;
    do {
        await_readable(fd);
        ssize_t got = read(fd, out + bytes, 1);
        assert_int_equal(got, 1);
    } while (out[bytes++] != '\n' && bytes < room);
    out[bytes - 1] = '\0';
}

static int read_pid(int fd)
{
    char line[32];
    read_line(fd, line, sizeof line);
    int pid = atoi(line);
    assert_true(pid > 1);
    return pid;
}

/* It is over; whether somebody has taken it away does not matter. */
static bool is_gone(int pid)
{
    char path[64], text[512] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return true;
    size_t bytes = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    const char *end = bytes ? strrchr(text, ')') : NULL;
    return !end || end[2] == 'Z' || end[2] == 'X';
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void await_gone(int pid)
{
    for (uint64_t end = now_ms() + BOUND_MS; !is_gone(pid);) {
        assert_true(now_ms() < end);
        poll(NULL, 0, 5);
    }
}

/* The node dies, as far as the supervisor can see. */
static void finish(struct fixture *f)
{
    close(f->supervisor.fd);
    await_gone(f->supervisor.pid);
    assert_int_equal(waitpid(f->supervisor.pid, NULL, 0), f->supervisor.pid);
}

/* --- */

static void test_supervisor__no_command_needs_none(void **state)
{
    struct executor_name names[1];
    struct supervisor supervisor;
    (void)state;
    name(&names[0], "sum=builtin:counter");
    const struct supervisor_options options = {.names = names, .name_count = 1};
    assert_int_equal(supervisor_start(&supervisor, &options, NULL), MK_ERR_OK);
    assert_int_equal(supervisor.fd, -1);
    assert_int_equal(supervisor.pid, 0);
}

static void test_supervisor__a_child_has_three_pipes_and_nothing_of_the_nodes(void **state)
{
    struct fixture f;
    int fds[3];
    char line[256];
    (void)state;
    setenv("MEERKAT_STORE_PASSWORD_FILE", "/secret", 1);
    setenv("OTHERWISE", "kept", 1);
    int leak = dup(STDERR_FILENO); /* not closed on exec */
    begin(&f,
          "a=exec:2:ls /proc/self/fd | tr '\\n' ' '; echo; env | grep -c ^MEERKAT_; "
          "echo $MEERKAT_NODE $MEERKAT_EXECUTOR_NAME $MEERKAT_EXECUTOR_CHILD $OTHERWISE; "
          "echo oops >&2; cat; exit 3",
          "b=builtin:echo");
    int pid = spawn(&f, 1, 7, fds);
    read_line(fds[1], line, sizeof line);
    assert_string_equal(line, "0 1 2 3 "); /* 3 is ls' own, of the folder */
    read_line(fds[1], line, sizeof line);
    assert_string_equal(line, "3");
    read_line(fds[1], line, sizeof line);
    assert_string_equal(line, "n1 a 1.7 kept");
    read_line(fds[2], line, sizeof line);
    assert_string_equal(line, "oops");
    assert_int_equal(write(fds[0], "hello\n", 6), 6);
    read_line(fds[1], line, sizeof line);
    assert_string_equal(line, "hello");
    assert_int_equal(getpgid(pid), pid);
    assert_int_equal(getsid(pid), pid);
    close(fds[0]);
    struct supervisor_report ended = await_end(&f, 1);
    assert_int_equal(ended.why, WHY_ITSELF);
    assert_true(WIFEXITED(ended.status) && WEXITSTATUS(ended.status) == 3);
    close(fds[1]), close(fds[2]), close(leak);
    finish(&f);
}

static void test_supervisor__killing_a_child_ends_all_that_it_started(void **state)
{
    /* One in its group, one in a session of its own, one whose parent is gone, and one that also hides its name. */
    static const char command[] = "a=exec:2:sleep 1000 & echo $!; setsid sh -c 'echo $$; exec sleep 1000' & "
                                  "(setsid sh -c 'echo $$; exec sleep 1000' &); "
                                  "(env -i setsid sh -c 'echo $$; exec sleep 1000' &); wait; cat";
    struct fixture f;
    int fds[3], others[3], pids[4];
    (void)state;
    begin(&f, command, "b=exec:1:cat");
    int pid = spawn(&f, 0, 1, fds);
    int other = spawn(&f, 2, 1, others);
    for (size_t i = 0; i < 4; i++)
        pids[i] = read_pid(fds[1]);
    order(&f, (struct supervisor_order){.type = ORDER_KILL, .child = 0, .life = 9}); /* another life: ignored */
    order(&f, (struct supervisor_order){.type = ORDER_KILL, .child = 0, .life = 1});
    struct supervisor_report ended = await_end(&f, 0);
    assert_int_equal(ended.why, WHY_ORDER);
    assert_int_equal(ended.life, 1);
    assert_true(is_gone(pid));
    for (size_t i = 0; i < 4; i++)
        assert_true(is_gone(pids[i]));
    assert_false(is_gone(other));
    close_all(fds), close_all(others);
    finish(&f);
    assert_true(is_gone(other));
}

static void test_supervisor__what_a_child_leaves_behind_ends_with_it(void **state)
{
    struct fixture f;
    int fds[3];
    (void)state;
    begin(&f, "a=exec:1:(setsid sh -c 'echo $$; exec sleep 1000' &); read line; exit 0", "b=exec:1:cat");
    spawn(&f, 0, 1, fds);
    int left = read_pid(fds[1]);
    assert_false(is_gone(left)); /* as long as the child lives it may have such a helper */
    assert_int_equal(write(fds[0], "\n", 1), 1);
    assert_int_equal(await_end(&f, 0).why, WHY_ITSELF);
    assert_true(is_gone(left));
    close_all(fds);
    finish(&f);
}

static void test_supervisor__a_feed_that_stops_ends_who_has_a_run(void **state)
{
    struct fixture f;
    int busy[3], idle[3];
    (void)state;
    begin(&f, "a=exec:2:exec cat", "b=builtin:echo");
    int pid = spawn(&f, 0, 1, busy);
    int other = spawn(&f, 1, 1, idle);
    order(&f, (struct supervisor_order){.type = ORDER_BUSY, .child = 0, .life = 1, .busy = true});
    uint64_t until_ms = now_ms() + 200;
    order(&f, (struct supervisor_order){.type = ORDER_FEED, .until_ms = now_ms() + 50});
    order(&f, (struct supervisor_order){.type = ORDER_FEED, .until_ms = until_ms}); /* the last word counts */
    struct supervisor_report ended = await_end(&f, 0);
    assert_true(now_ms() >= until_ms);
    assert_int_equal(ended.why, WHY_FEED);
    assert_true(is_gone(pid));
    assert_false(is_gone(other));
    order(&f, (struct supervisor_order){.type = ORDER_BUSY, .child = 1, .life = 1, .busy = true}); /* too late */
    assert_int_equal(await_end(&f, 1).why, WHY_FEED);
    close_all(busy), close_all(idle);
    finish(&f);
}

static void test_supervisor__nothing_is_at_stake_without_partitions(void **state)
{
    struct fixture f;
    int fds[3];
    (void)state;
    begin(&f, "a=exec:1:exec cat", "b=builtin:echo");
    int pid = spawn(&f, 0, 1, fds);
    order(&f, (struct supervisor_order){.type = ORDER_BUSY, .child = 0, .life = 1, .busy = true});
    order(&f, (struct supervisor_order){.type = ORDER_FEED, .until_ms = now_ms() + 100});
    order(&f, (struct supervisor_order){.type = ORDER_FEED, .until_ms = UINT64_MAX});
    struct pollfd none = {f.supervisor.fd, POLLIN, 0};
    assert_int_equal(poll(&none, 1, 300), 0);
    assert_false(is_gone(pid));
    close_all(fds);
    finish(&f);
}

static void test_supervisor__nothing_outlives_the_node(void **state)
{
    struct fixture f;
    int fds[3], others[3];
    (void)state;
    begin(&f, "a=exec:2:trap '' TERM HUP INT PIPE; (setsid sh -c 'echo $$; exec sleep 1000' &); sleep 1000",
          "b=exec:1:exec sleep 1000");
    int pids[] = {spawn(&f, 0, 1, fds), 0, spawn(&f, 2, 1, others)};
    pids[1] = read_pid(fds[1]);
    kill(f.supervisor.pid, SIGTERM); /* not a reason */
    kill(f.supervisor.pid, SIGINT);
    finish(&f);
    for (size_t i = 0; i < 3; i++)
        assert_true(is_gone(pids[i]));
    close_all(fds), close_all(others);
}

static void test_supervisor__a_command_that_is_none_ends_as_the_shell_says(void **state)
{
    struct fixture f;
    int fds[3];
    char line[256];
    (void)state;
    begin(&f, "a=exec:1:/nonexistent/program", "b=builtin:echo");
    spawn(&f, 0, 1, fds);
    read_line(fds[2], line, sizeof line);
    assert_non_null(strstr(line, "/nonexistent/program"));
    struct supervisor_report ended = await_end(&f, 0);
    assert_true(WIFEXITED(ended.status) && WEXITSTATUS(ended.status) == 127);
    close_all(fds);
    spawn(&f, 0, 2, fds); /* its place is free again */
    await_end(&f, 0);
    close_all(fds);
    finish(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_supervisor__no_command_needs_none),
        cmocka_unit_test(test_supervisor__a_child_has_three_pipes_and_nothing_of_the_nodes),
        cmocka_unit_test(test_supervisor__killing_a_child_ends_all_that_it_started),
        cmocka_unit_test(test_supervisor__what_a_child_leaves_behind_ends_with_it),
        cmocka_unit_test(test_supervisor__a_feed_that_stops_ends_who_has_a_run),
        cmocka_unit_test(test_supervisor__nothing_is_at_stake_without_partitions),
        cmocka_unit_test(test_supervisor__nothing_outlives_the_node),
        cmocka_unit_test(test_supervisor__a_command_that_is_none_ends_as_the_shell_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
