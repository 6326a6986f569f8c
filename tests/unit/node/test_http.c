#include "tests/lib/t.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "node/http.h"

#define BOUND_MS 5000 /* a test that waits longer has failed */

static void hello(void *user, struct http_page *page)
{
    page->status = *(unsigned *)user;
    buf_append(&page->body, "hello\n", 6);
}

struct fixture {
    uv_loop_t loop;
    struct http_server *server;
    unsigned status;
    char answer[32768];
};

static uint64_t bound_ns(void)
{
    return uv_hrtime() + BOUND_MS * 1000000ull;
}

static int setup(void **state)
{
    static struct fixture f;
    static const struct http_route routes[] = {{"/hello", hello}, {NULL, NULL}};
    struct mk_note note = {""};
    memset(&f, 0, sizeof f);
    f.status = 200;
    uv_loop_init(&f.loop);
    struct http_options options = {"127.0.0.1", 0, routes, &f.status};
    assert_int_equal(http_server_open(&f.server, &f.loop, &options, &note), MK_ERR_OK);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    http_server_close(f->server);
    for (uint64_t end = bound_ns(); uv_run(&f->loop, UV_RUN_NOWAIT) && uv_hrtime() < end;)
        continue;
    return uv_loop_close(&f->loop);
}

static uint16_t port_of(const struct fixture *f)
{
    const char *address = http_server_address(f->server);
    assert_int_equal(strncmp(address, "127.0.0.1:", 10), 0);
    return (uint16_t)strtoul(address + 10, NULL, 10);
}

static int dial(const struct fixture *f)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port_of(f)), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

/* Sends a request and turns the loop until the server has closed the connection. */
static const char *ask(struct fixture *f, const char *request)
{
    int fd = dial(f);
    size_t used = 0;
    ssize_t got = -1;
    assert_int_equal(write(fd, request, strlen(request)), (ssize_t)strlen(request));
    uint64_t end = bound_ns();
    while (got != 0 && uv_hrtime() < end) {
        uv_run(&f->loop, UV_RUN_NOWAIT);
        got = read(fd, f->answer + used, sizeof f->answer - 1 - used);
        used += got > 0 ? (size_t)got : 0;
    }
    close(fd);
    assert_int_equal(got, 0);
    f->answer[used] = '\0';
    return f->answer;
}

#define CLOSE "\r\nHost: x\r\nConnection: close\r\n\r\n"

static void test_http__a_page_is_served_with_its_status(void **state)
{
    struct fixture *f = *state;
    assert_non_null(strstr(ask(f, "GET /hello HTTP/1.1" CLOSE), "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(f->answer, "\r\n\r\nhello\n"));
    f->status = 503;
    assert_non_null(strstr(ask(f, "GET /hello HTTP/1.1" CLOSE), "HTTP/1.1 503 "));
}

static void test_http__what_is_no_page_is_404_and_lists_what_there_is(void **state)
{
    struct fixture *f = *state;
    assert_non_null(strstr(ask(f, "GET /hell HTTP/1.1" CLOSE), "HTTP/1.1 404 "));
    assert_non_null(strstr(f->answer, "/hello"));
    assert_non_null(strstr(ask(f, "GET /hello/ HTTP/1.1" CLOSE), "HTTP/1.1 404 "));
}

static void test_http__only_get_and_head_are_allowed(void **state)
{
    struct fixture *f = *state;
    assert_non_null(strstr(ask(f, "DELETE /hello HTTP/1.1" CLOSE), "HTTP/1.1 405 "));
    assert_non_null(strstr(f->answer, "Allow: GET, HEAD\r\n"));
    assert_non_null(
        strstr(ask(f, "POST /hello HTTP/1.1\r\nContent-Length: 3\r\nConnection: close\r\nHost: x\r\n\r\nabc"),
               "HTTP/1.1 405 "));
    assert_non_null(strstr(ask(f, "HEAD /hello HTTP/1.1" CLOSE), "HTTP/1.1 200 "));
    assert_null(strstr(f->answer, "\r\n\r\nhello"));
}

static void test_http__an_endless_head_is_refused(void **state)
{
    struct fixture *f = *state;
    static char request[40000];
    int length = snprintf(request, sizeof request, "GET /hello HTTP/1.1\r\nX: ");
    memset(request + length, 'x', sizeof request - (size_t)length - 1);
    ask(f, request);
    assert_null(strstr(f->answer, " 200 "));
}

static void test_http__garbage_ends_the_connection_not_the_server(void **state)
{
    struct fixture *f = *state;
    ask(f, "\x16\x03\x01 garbage\r\n\r\n");
    assert_non_null(strstr(ask(f, "GET /hello HTTP/1.1" CLOSE), " 200 "));
}

static void test_http__a_taken_port_is_refused_by_name(void **state)
{
    struct fixture *f = *state;
    struct mk_note note = {""};
    struct http_server *second;
    struct http_options options = {"127.0.0.1", port_of(f), NULL, NULL};
    assert_int_equal(http_server_open(&second, &f->loop, &options, &note), MK_ERR_REFUSED);
    assert_null(second);
    assert_non_null(strstr(note.text, "127.0.0.1"));
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(test_http__a_page_is_served_with_its_status),
        WITH_FIXTURE(test_http__what_is_no_page_is_404_and_lists_what_there_is),
        WITH_FIXTURE(test_http__only_get_and_head_are_allowed),
        WITH_FIXTURE(test_http__an_endless_head_is_refused),
        WITH_FIXTURE(test_http__garbage_ends_the_connection_not_the_server),
        WITH_FIXTURE(test_http__a_taken_port_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
