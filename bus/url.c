#include "bus/url.h"

#include <stdio.h>
#include <stdlib.h>

#define IPC_PATH_BYTES_MAX 107 /* sun_path and its zero byte */
#define SCHEMES            "tcp://HOST:PORT, tls+tcp://HOST:PORT, ws://HOST:PORT/PATH, ipc://PATH, inproc://NAME"

static const char *const schemes[BUS_SCHEME_COUNT] = {
    [BUS_TCP] = "tcp", [BUS_TLS_TCP] = "tls+tcp", [BUS_WS] = "ws", [BUS_IPC] = "ipc", [BUS_INPROC] = "inproc",
};

const char *bus_scheme_name(enum bus_scheme scheme)
{
    return schemes[scheme];
}

static bool scheme_has_port(enum bus_scheme scheme)
{
    return scheme == BUS_TCP || scheme == BUS_TLS_TCP || scheme == BUS_WS;
}

/* What stands behind "scheme://". */
static const char *rest_of(const struct bus_end *end)
{
    return end->text + strlen(schemes[end->scheme]) + 3;
}

static const char *find(const char *at, size_t bytes, char wanted)
{
    return bytes ? memchr(at, wanted, bytes) : NULL;
}

/* The colon before the port: the last one before any path, and not one inside [v6]. NULL: there is none. */
static const char *port_colon(const struct bus_end *end)
{
    const char *rest = rest_of(end);
    const char *colon = NULL;
    for (const char *c = rest; *c && *c != '/'; c++) {
        if (*c == ']')
            colon = NULL;
        else if (*c == ':')
            colon = c;
    }
    return colon;
}

unsigned bus_end_port(const struct bus_end *end)
{
    const char *colon = scheme_has_port(end->scheme) ? port_colon(end) : NULL;
    return colon ? (unsigned)strtoul(colon + 1, NULL, 10) : 0;
}

enum mk_err bus_end_set_port(struct bus_end *end, unsigned port, struct mk_note *note)
{
    struct bus_end from = *end;
    const char *colon = port_colon(&from);
    const char *path = strchr(colon, '/');
    int head = (int)(colon + 1 - from.text);
    int length = snprintf(end->text, sizeof end->text, "%.*s%u%s", head, from.text, port, path ? path : "");
    if (length < 0 || (size_t)length >= sizeof end->text)
        return err_set(note, MK_ERR_TOO_LARGE, "bus URL `%s` is too long", from.text);
    return MK_ERR_OK;
}

const char *bus_end_path(const struct bus_end *end)
{
    return end->scheme == BUS_IPC ? rest_of(end) : "";
}

static enum mk_err check_port(const struct bus_end *end, struct mk_note *note)
{
    const char *colon = port_colon(end);
    size_t digits = colon ? strspn(colon + 1, "0123456789") : 0;
    char after = colon ? colon[1 + digits] : '\0';
    if (!colon || colon == rest_of(end) || digits == 0 || digits > 5 || (after != '\0' && after != '/') ||
        strtoul(colon + 1, NULL, 10) > 65535)
        return err_set(note, MK_ERR_INVALID_FIELD, "bus URL `%s` has no port; wanted %s://HOST:PORT, PORT 0 to 65535",
                       end->text, schemes[end->scheme]);
    if (after == '/' && end->scheme != BUS_WS)
        return err_set(note, MK_ERR_INVALID_FIELD, "bus URL `%s` has a path behind the port; only ws:// takes one",
                       end->text);
    return MK_ERR_OK;
}

static enum mk_err check_name(const struct bus_end *end, struct mk_note *note)
{
    const char *rest = rest_of(end);
    if (!*rest)
        return err_set(note, MK_ERR_INVALID_FIELD, "bus URL `%s` names nothing; wanted %s", end->text,
                       end->scheme == BUS_IPC ? "ipc://PATH of a socket" : "inproc://NAME");
    if (end->scheme == BUS_IPC && strlen(rest) > IPC_PATH_BYTES_MAX)
        return err_set(note, MK_ERR_TOO_LARGE, "socket path `%s` is %zu bytes; at most %d, `.out` included", rest,
                       strlen(rest), IPC_PATH_BYTES_MAX);
    return MK_ERR_OK;
}

static enum mk_err end_parse(struct span text, struct bus_end *out, struct mk_note *note)
{
    memset(out, 0, sizeof *out);
    if (text.bytes > BUS_URL_BYTES_MAX)
        return err_set(note, MK_ERR_TOO_LARGE, "bus URL is %zu bytes; at most %d", text.bytes, BUS_URL_BYTES_MAX);
    if (find(text.at, text.bytes, '\0'))
        return err_set(note, MK_ERR_INVALID_FIELD, "bus URL holds a zero byte");
    if (text.bytes)
        memcpy(out->text, text.at, text.bytes);
    for (int i = 0; i < BUS_SCHEME_COUNT; i++) {
        size_t length = strlen(schemes[i]);
        if (strncmp(out->text, schemes[i], length) == 0 && strncmp(out->text + length, "://", 3) == 0) {
            out->scheme = (enum bus_scheme)i;
            return scheme_has_port(out->scheme) ? check_port(out, note) : check_name(out, note);
        }
    }
    return err_set(note, MK_ERR_INVALID_FIELD, "bus URL `%s` is none of %s", out->text, SCHEMES);
}

/* The subscribers' end that belongs to a publishers' end. */
static enum mk_err end_derive(const struct bus_end *in, struct bus_end *out, struct mk_note *note)
{
    *out = *in;
    if (!scheme_has_port(in->scheme)) {
        size_t length = strlen(in->text);
        if (length + 4 > BUS_URL_BYTES_MAX)
            return err_set(note, MK_ERR_TOO_LARGE, "bus URL is %zu bytes; at most %d, `.out` included", length + 4,
                           BUS_URL_BYTES_MAX);
        memcpy(out->text + length, ".out", 5);
        return check_name(out, note);
    }
    unsigned port = bus_end_port(in);
    if (port == 65535)
        return err_set(note, MK_ERR_INVALID_FIELD,
                       "bus URL `%s`: subscribers use the next port, so PORT is at most 65534", in->text);
    return bus_end_set_port(out, port ? port + 1 : 0, note);
}

enum mk_err bus_url_parse(struct span text, struct bus_url *out, struct mk_note *note)
{
    const char *bar = find(text.at, text.bytes, '|');
    if (!bar) {
        enum mk_err err = end_parse(text, &out->in, note);
        return err ? err : end_derive(&out->in, &out->out, note);
    }
    size_t head = (size_t)(bar - text.at);
    enum mk_err err = end_parse((struct span){text.at, head}, &out->in, note);
    if (!err)
        err = end_parse((struct span){bar + 1, text.bytes - head - 1}, &out->out, note);
    return err;
}

static enum mk_err url_dialable(const struct bus_url *url, struct mk_note *note)
{
    const struct bus_end *ends[] = {&url->in, &url->out};
    for (int i = 0; i < 2; i++)
        if (scheme_has_port(ends[i]->scheme) && bus_end_port(ends[i]) == 0)
            return err_set(note, MK_ERR_INVALID_FIELD, "bus URL `%s` has port 0; to dial a hub, PORT is 1 to 65535",
                           ends[i]->text);
    return MK_ERR_OK;
}

enum mk_err bus_urls_parse(struct span text, struct bus_urls *out, struct mk_note *note)
{
    memset(out, 0, sizeof *out);
    for (;;) {
        const char *comma = find(text.at, text.bytes, ',');
        size_t length = comma ? (size_t)(comma - text.at) : text.bytes;
        if (out->count == BUS_HUBS_MAX)
            return err_set(note, MK_ERR_TOO_LARGE, "more than %d bus URLs", BUS_HUBS_MAX);
        struct bus_url *url = &out->list[out->count];
        enum mk_err err = bus_url_parse((struct span){text.at, length}, url, note);
        if (!err)
            err = url_dialable(url, note);
        if (err)
            return err;
        out->count++;
        if (!comma)
            return MK_ERR_OK;
        text = (struct span){comma + 1, text.bytes - length - 1};
    }
}

size_t bus_url_write(char *out, size_t room, const struct bus_url *url)
{
    int length = snprintf(out, room, "%s|%s", url->in.text, url->out.text);
    return length < 0 ? 0 : (size_t)length;
}
