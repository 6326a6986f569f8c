#include "bus/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define CONNECTIONS_MAX   64
#define REQUEST_BYTES_MAX 16384
#define IDLE_SECONDS      10

struct http {
    struct MHD_Daemon *daemon;
    http_page_fn page;
    void *user;
    char address[HTTP_ADDRESS_BYTES];
};

static enum MHD_Result reply(struct MHD_Connection *connection, unsigned status, const char *body)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer_with_free_callback(strlen(body), strdup(body), free);
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, "Content-Type", "text/plain; charset=utf-8");
    MHD_add_response_header(response, "Cache-Control", "no-store");
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result on_request(void *user, struct MHD_Connection *connection, const char *path, const char *method,
                                  const char *version, const char *data, size_t *data_bytes, void **seen)
{
    struct http *http = user;
    char body[HTTP_PAGE_BYTES] = "not found\n";
    (void)version, (void)data;
    if (!*seen) { /* called once for the head alone */
        *seen = http;
        return MHD_YES;
    }
    if (*data_bytes) { /* a body is read and dropped: the answer must wait for its end */
        *data_bytes = 0;
        return MHD_YES;
    }
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        return reply(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET\n");
    unsigned status = http->page(http->user, path, body);
    return reply(connection, status, body);
}

/* Splits HOST:PORT at the last colon; brackets around a v6 host go. */
static bool split(const char *address, char host[HTTP_ADDRESS_BYTES], const char **port)
{
    const char *colon = strrchr(address, ':');
    if (!colon || colon == address || !colon[1] || strlen(colon + 1) > 5 ||
        strspn(colon + 1, "0123456789") != strlen(colon + 1))
        return false;
    size_t bytes = (size_t)(colon - address);
    bool v6 = address[0] == '[' && bytes > 2 && colon[-1] == ']';
    *port = colon + 1;
    return snprintf(host, HTTP_ADDRESS_BYTES, "%.*s", (int)(v6 ? bytes - 2 : bytes), v6 ? address + 1 : address) <
           HTTP_ADDRESS_BYTES - 8;
}

static struct MHD_Daemon *start(struct http *http, const struct addrinfo *at)
{
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | (at->ai_family == AF_INET6 ? MHD_USE_IPv6 : 0);
    return MHD_start_daemon(flags, 0, NULL, NULL, on_request, http, MHD_OPTION_SOCK_ADDR, at->ai_addr,
                            MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
                            (unsigned)IDLE_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)REQUEST_BYTES_MAX,
                            MHD_OPTION_END);
}

enum mk_err http_open(struct http **out, const char *address, http_page_fn page, void *user, struct mk_note *note)
{
    char host[HTTP_ADDRESS_BYTES];
    const char *port = NULL;
    struct addrinfo *found = NULL;
    const struct addrinfo wanted = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    *out = NULL;
    if (!split(address, host, &port))
        return err_set(note, MK_ERR_INVALID_FIELD, "--http `%.80s`: wanted HOST:PORT, like 127.0.0.1:9100", address);
    int error = getaddrinfo(host, port, &wanted, &found);
    if (error)
        return err_set(note, MK_ERR_INVALID_FIELD, "--http `%.80s`: %s", address, gai_strerror(error));
    enum mk_err err = MK_ERR_OK;
    struct http *http = calloc(1, sizeof *http);
    if (!http) {
        err = err_set(note, MK_ERR_OVERLOADED, "no memory for HTTP");
        goto out;
    }
    http->page = page;
    http->user = user;
    errno = 0;
    http->daemon = start(http, found);
    if (!http->daemon) {
        err = err_set(note, MK_ERR_REFUSED, "--http %.80s: %s", address, errno ? strerror(errno) : "refused");
        free(http);
        goto out;
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_BIND_PORT);
    snprintf(http->address, sizeof http->address, strchr(host, ':') ? "[%.110s]:%u" : "%.110s:%u", host,
             info ? (unsigned)info->port : 0);
    *out = http;
out:
    freeaddrinfo(found);
    return err;
}

const char *http_address(const struct http *http)
{
    return http->address;
}

void http_close(struct http *http)
{
    if (!http)
        return;
    MHD_stop_daemon(http->daemon);
    free(http);
}
