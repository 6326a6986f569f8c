#include "node/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

#define CONNECTIONS_MAX   64
#define REQUEST_BYTES_MAX 16384
#define IDLE_SECONDS      10

struct http_server {
    struct MHD_Daemon *daemon;
    uv_poll_t poll;   /* the daemon's epoll descriptor */
    uv_timer_t timer; /* the daemon's own timeouts */
    int open_handles;
    const struct http_route *routes;
    void *user;
    char address[80];
};

/* --- one request --- */

static enum MHD_Result reply(struct MHD_Connection *connection, const struct http_page *page)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(page->body.bytes, page->body.at, MHD_RESPMEM_MUST_COPY);
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, "Content-Type", page->type);
    MHD_add_response_header(response, "Cache-Control", "no-store");
    if (page->status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, "Allow", "GET, HEAD");
    enum MHD_Result result = MHD_queue_response(connection, page->status, response);
    MHD_destroy_response(response);
    return result;
}

static void fill(const struct http_server *server, const char *path, struct http_page *page)
{
    const struct http_route *route = server->routes;
    while (route->path && strcmp(route->path, path) != 0)
        route++;
    if (route->path) {
        route->fill(server->user, page);
        return;
    }
    page->status = MHD_HTTP_NOT_FOUND;
    buf_append(&page->body, "not found; there is:", 20);
    for (route = server->routes; route->path; route++) {
        buf_append(&page->body, " ", 1);
        buf_append(&page->body, route->path, strlen(route->path));
    }
    buf_append(&page->body, "\n", 1);
}

static enum MHD_Result on_request(void *user, struct MHD_Connection *connection, const char *path, const char *method,
                                  const char *version, const char *data, size_t *data_bytes, void **seen)
{
    struct http_page page = {.status = MHD_HTTP_OK, .type = "text/plain; charset=utf-8"};
    (void)version, (void)data;
    if (!*seen) { /* the head alone; the rest of the request is awaited */
        *seen = user;
        return MHD_YES;
    }
    if (*data_bytes) { /* a body is read and dropped */
        *data_bytes = 0;
        return MHD_YES;
    }
    if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0) {
        fill(user, path, &page);
    } else {
        page.status = MHD_HTTP_METHOD_NOT_ALLOWED;
        buf_append(&page.body, "only GET and HEAD\n", 18);
    }
    enum MHD_Result result = page.body.failed ? MHD_NO : reply(connection, &page);
    buf_fini(&page.body);
    return result;
}

/* --- on the loop --- */

static void serve(struct http_server *server);

static void on_readable(uv_poll_t *poll, int status, int events)
{
    (void)status, (void)events;
    serve(poll->data);
}

static void on_timeout(uv_timer_t *timer)
{
    serve(timer->data);
}

static void serve(struct http_server *server)
{
    MHD_UNSIGNED_LONG_LONG ms;
    MHD_run(server->daemon);
    if (MHD_get_timeout(server->daemon, &ms) == MHD_YES)
        uv_timer_start(&server->timer, on_timeout, ms, 0);
    else
        uv_timer_stop(&server->timer);
}

/* --- life --- */

static struct MHD_Daemon *start(struct http_server *server, const struct sockaddr *at)
{
    unsigned flags = MHD_USE_EPOLL | (at->sa_family == AF_INET6 ? MHD_USE_IPv6 : 0u);
    return MHD_start_daemon(flags, 0, NULL, NULL, on_request, server, MHD_OPTION_SOCK_ADDR, at,
                            MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
                            (unsigned)IDLE_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)REQUEST_BYTES_MAX,
                            MHD_OPTION_END);
}

static enum mk_err listen_at(struct http_server *server, const struct http_options *options, struct mk_note *note)
{
    const struct addrinfo wanted = {.ai_socktype = SOCK_STREAM,
                                    .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char port[8];
    snprintf(port, sizeof port, "%u", (unsigned)options->port);
    int error = getaddrinfo(options->host, port, &wanted, &found);
    if (error)
        return err_set(note, MK_ERR_REFUSED, "%.60s is no address: %s", options->host, gai_strerror(error));
    errno = 0;
    server->daemon = start(server, found->ai_addr);
    freeaddrinfo(found);
    if (!server->daemon)
        return err_set(note, MK_ERR_REFUSED, "cannot listen on %.60s port %s: %s", options->host, port,
                       errno ? strerror(errno) : "refused");
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT);
    snprintf(server->address, sizeof server->address, strchr(options->host, ':') ? "[%.60s]:%u" : "%.60s:%u",
             options->host, info ? (unsigned)info->port : options->port);
    return MK_ERR_OK;
}

static void join_loop(struct http_server *server, uv_loop_t *loop)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    uv_poll_init(loop, &server->poll, info->epoll_fd);
    uv_timer_init(loop, &server->timer);
    server->poll.data = server->timer.data = server;
    server->open_handles = 2;
    uv_poll_start(&server->poll, UV_READABLE, on_readable);
    serve(server);
}

enum mk_err http_server_open(struct http_server **out, uv_loop_t *loop, const struct http_options *options,
                             struct mk_note *note)
{
    *out = NULL;
    struct http_server *server = calloc(1, sizeof *server);
    if (!server)
        return err_set(note, MK_ERR_OVERLOADED, "no memory for HTTP");
    server->routes = options->routes;
    server->user = options->user;
    enum mk_err err = listen_at(server, options, note);
    if (err) {
        free(server);
        return err;
    }
    join_loop(server, loop);
    *out = server;
    return MK_ERR_OK;
}

const char *http_server_address(const struct http_server *server)
{
    return server->address;
}

static void on_closed(uv_handle_t *handle)
{
    struct http_server *server = handle->data;
    if (--server->open_handles > 0)
        return;
    MHD_stop_daemon(server->daemon);
    free(server);
}

void http_server_close(struct http_server *server)
{
    if (!server)
        return;
    uv_close((uv_handle_t *)&server->poll, on_closed);
    uv_close((uv_handle_t *)&server->timer, on_closed);
}
