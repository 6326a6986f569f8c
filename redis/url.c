#include "redis/url.h"

#include <stdlib.h>
#include <string.h>

#define FORM "redis://[USER@]HOST[:PORT][/DB] or unix:PATH"

static enum mk_err wrong(struct mk_note *note, const char *text, const char *what)
{
    return err_set(note, MK_ERR_INVALID_FIELD, "store '%.80s': %s; the form is " FORM, text, what);
}

static bool take(char *out, size_t room, const char *from, size_t bytes)
{
    if (bytes == 0 || bytes >= room)
        return false;
    memcpy(out, from, bytes);
    out[bytes] = 0;
    return true;
}

/* A number that ends the text. */
static bool number(const char *text, unsigned most, unsigned *out)
{
    if (strspn(text, "0123456789") != strlen(text) || *text == 0 || strlen(text) > 5)
        return false;
    *out = (unsigned)strtoul(text, NULL, 10);
    return *out <= most;
}

/* "HOST", "HOST:PORT", "[::1]:PORT" */
static const char *parse_host(char *text, struct redis_url *out)
{
    char *end = text[0] == '[' ? strchr(text, ']') : text + strcspn(text, ":");
    if (!end)
        return "a bracket is not closed";
    const char *from = text[0] == '[' ? text + 1 : text;
    if (!take(out->host, sizeof out->host, from, (size_t)(end - from)))
        return "the host is missing or too long";
    end += *end == ']';
    if (*end == 0)
        return NULL;
    if (*end != ':' || !number(end + 1, 65535, &out->port) || out->port == 0)
        return "the port is not a number from 1 to 65535";
    return NULL;
}

enum mk_err redis_url_parse(const char *text, struct redis_url *out, struct mk_note *note)
{
    static const char scheme[] = "redis://", local[] = "unix:";
    memset(out, 0, sizeof *out);
    out->port = 6379;
    if (strncmp(text, local, strlen(local)) == 0) {
        const char *path = text + strlen(local);
        if (!take(out->path, sizeof out->path, path, strlen(path)))
            return wrong(note, text, "the path is missing or longer than 107 bytes");
        return MK_ERR_OK;
    }
    char rest[3 * REDIS_HOST_BYTES];
    if (strncmp(text, scheme, strlen(scheme)) != 0)
        return wrong(note, text, "it is neither redis:// nor unix:");
    if (!take(rest, sizeof rest, text + strlen(scheme), strlen(text) - strlen(scheme)))
        return wrong(note, text, "the host is missing or too long");
    char *host = strrchr(rest, '@');
    if (host) {
        *host++ = 0;
        if (strchr(rest, ':'))
            return err_set(note, MK_ERR_INVALID_FIELD,
                           "store: a password does not belong into the address, where others "
                           "can read it; give it in a file");
        if (!take(out->user, sizeof out->user, rest, strlen(rest)))
            return wrong(note, text, "the user is missing or too long");
    } else {
        host = rest;
    }
    char *slash = strchr(host, '/');
    if (slash)
        *slash++ = 0;
    if (slash && *slash && !number(slash, 99999, &out->db))
        return wrong(note, text, "the database is not a number");
    const char *bad = parse_host(host, out);
    return bad ? wrong(note, text, bad) : MK_ERR_OK;
}
