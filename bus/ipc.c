#include "bus/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define GREETING_BYTES 8
#define PROTOCOL_PUB   32 /* pub/sub version 0, as the greeting names them */
#define PROTOCOL_SUB   33

static void folder_of(char *out, size_t room, const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t bytes = slash ? (size_t)(slash - path) : 0;
    if (!slash)
        snprintf(out, room, ".");
    else
        snprintf(out, room, "%.*s", bytes ? (int)bytes : 1, path);
}

enum mk_err bus__ipc_check(const char *path, struct mk_note *note)
{
    char folder[sizeof(struct sockaddr_un)];
    struct stat at;
    folder_of(folder, sizeof folder, path);
    if (stat(folder, &at) != 0)
        return err_set(note, MK_ERR_REFUSED, "folder %s of the socket: %s", folder, strerror(errno));
    if (!S_ISDIR(at.st_mode) || at.st_uid != geteuid() || (at.st_mode & 077) != 0)
        return err_set(note, MK_ERR_REFUSED,
                       "folder %s of the socket has mode %03o and owner %ld; wanted 700 and %ld (chmod 700)", folder,
                       (unsigned)at.st_mode & 0777u, (long)at.st_uid, (long)geteuid());
    if (lstat(path, &at) == 0 && !S_ISSOCK(at.st_mode))
        return err_set(note, MK_ERR_REFUSED, "%s exists and is no socket; wanted a new path", path);
    return MK_ERR_OK;
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return -1;
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* The listener greets first or last, so wait for its whole greeting: leaving earlier is what kills it. */
static bool greeted(int fd, int wait_ms)
{
    char in[GREETING_BYTES];
    size_t got = 0;
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    while (got < sizeof in) {
        if (poll(&ready, 1, wait_ms) <= 0)
            return false;
        ssize_t n = read(fd, in + got, sizeof in - got);
        if (n <= 0)
            return false;
        got += (size_t)n;
    }
    return memcmp(in, "\0SP\0", 4) == 0;
}

int bus__ipc_greet(const char *path, enum bus__peer as, int wait_ms)
{
    char out[GREETING_BYTES] = {0, 'S', 'P', 0, 0, as == BUS__AS_PUBLISHER ? PROTOCOL_PUB : PROTOCOL_SUB, 0, 0};
    int fd = connect_to(path);
    if (fd < 0)
        return -1;
    if (send(fd, out, sizeof out, MSG_NOSIGNAL) == (ssize_t)sizeof out && greeted(fd, wait_ms))
        return fd;
    close(fd);
    return -1;
}
