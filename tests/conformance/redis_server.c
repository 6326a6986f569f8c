#include "tests/conformance/redis_server.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/t.h"

#define WORDS_MAX 64
#define WAIT_S    20

static bool answers(const struct redis_server *server)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, server->socket, strlen(server->socket) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    bool ok = connect(fd, (const struct sockaddr *)(const void *)&address, sizeof address) == 0;
    close(fd);
    return ok;
}

static void run_server(const struct redis_server *server, const char *const options[])
{
    static const char *const durable[] = {"--appendonly", "yes", "--appendfsync", "everysec", NULL};
    const char *words[WORDS_MAX] = {"redis-server", "--port", "0", "--unixsocket", server->socket, "--dir",
                                    server->folder, "--save", "",  "--loglevel",   "warning",      "--logfile",
                                    "server.log"};
    size_t n = 13;
    for (const char *const *option = options ? options : durable; *option && n < WORDS_MAX - 1; option++)
        words[n++] = *option;
    char *argv[WORDS_MAX];
    memcpy(argv, words, sizeof argv);
    execvp(argv[0], argv);
    _exit(127);
}

void redis_server_start(struct redis_server *server, const char *const options[])
{
    unlink(server->socket);
    server->pid = fork();
    assert_true(server->pid >= 0);
    if (server->pid == 0)
        run_server(server, options);
    time_t end = time(NULL) + WAIT_S;
    const struct timespec pause = {.tv_nsec = 5000000};
    while (!answers(server)) {
        if (time(NULL) > end || waitpid(server->pid, NULL, WNOHANG) == server->pid)
            fail_msg("redis-server did not start; see %s/server.log", server->folder);
        nanosleep(&pause, NULL);
    }
}

void redis_server_open(struct redis_server *server, const char *const options[])
{
    memset(server, 0, sizeof *server);
    snprintf(server->folder, sizeof server->folder, "/tmp/meerkat-redis-XXXXXX");
    assert_non_null(mkdtemp(server->folder));
    snprintf(server->socket, sizeof server->socket, "%s/redis.sock", server->folder);
    snprintf(server->url, sizeof server->url, "unix:%s", server->socket);
    redis_server_start(server, options);
}

void redis_server_kill(struct redis_server *server)
{
    if (server->pid <= 0)
        return;
    kill(server->pid, SIGKILL);
    waitpid(server->pid, NULL, 0);
    server->pid = 0;
}

/* Two levels: the append-only files lie in a folder of their own. */
static void empty_folder(const char *path, int levels)
{
    DIR *folder = opendir(path);
    for (const struct dirent *entry = folder ? readdir(folder) : NULL; entry; entry = readdir(folder)) {
        char inner[512];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        if (unlink(inner) != 0 && levels > 1)
            empty_folder(inner, levels - 1);
    }
    if (folder)
        closedir(folder);
    rmdir(path);
}

void redis_server_close(struct redis_server *server)
{
    redis_server_kill(server);
    empty_folder(server->folder, 2);
}
