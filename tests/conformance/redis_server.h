/* A redis-server of the test's own: on a unix socket in a folder of its own, ended by its pid. */
#ifndef MEERKAT_TESTS_REDIS_SERVER_H
#define MEERKAT_TESTS_REDIS_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

struct redis_server {
    char folder[64], socket[96], url[112];
    pid_t pid; /* 0: not running */
};

/* Makes the folder and starts the server with `options`, an array ended by NULL of further words of its command line
 * (NULL: append-only file, everysec). Waits until the socket takes connections; fails the test after 20 s. */
void redis_server_open(struct redis_server *server, const char *const options[]);
void redis_server_start(struct redis_server *server, const char *const options[]); /* again, on the same folder */
void redis_server_kill(struct redis_server *server);                               /* SIGKILL, and waits for its end */
void redis_server_close(struct redis_server *server);                              /* kills, and removes the folder */

#endif
