#include "node/log.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "codec/utf8.h"

#define TAIL_BYTES 16 /* kept free for what ends a line: the mark of a cut, a brace, a newline */

static const char *const level_names[] = {
    [TRACE_ERROR] = "error", [TRACE_WARN] = "warn", [TRACE_INFO] = "info", [TRACE_DEBUG] = "debug"};

const char *trace_level_name(enum trace_level level)
{
    return level_names[level];
}

/* --- a line under construction --- */

struct line {
    enum log_format format;
    size_t bytes;
    bool full; /* something did not fit; what came since the last field must go */
    char text[LOG_LINE_BYTES];
};

static void put(struct line *line, const char *at, size_t bytes)
{
    if (line->full || bytes > sizeof line->text - TAIL_BYTES - line->bytes) {
        line->full = true;
        return;
    }
    memcpy(line->text + line->bytes, at, bytes);
    line->bytes += bytes;
}

static void put_text(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

static size_t put_character(struct line *line, struct span rest)
{
    char escape[8];
    size_t length = utf8_length(rest);
    unsigned char c = (unsigned char)rest.at[0];
    if (length == 0) {
        put_text(line, "\\ufffd");
        return 1;
    }
    if (c == '"' || c == '\\') {
        put(line, (char[]){'\\', (char)c}, 2);
    } else if (c == '\n') {
        put_text(line, "\\n");
    } else if (c < 0x20 || c == 0x7f) {
        snprintf(escape, sizeof escape, "\\u%04x", c);
        put_text(line, escape);
    } else {
        put(line, rest.at, length);
    }
    return length;
}

static void put_quoted(struct line *line, struct span text)
{
    put(line, "\"", 1);
    while (text.bytes > 0 && !line->full) {
        size_t used = put_character(line, text);
        text = span_bytes(text.at + used, text.bytes - used);
    }
    put(line, "\"", 1);
}

/* Whether logfmt may do without quotes. */
static bool is_bare(struct span text)
{
    static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:/@+|,*-";
    for (size_t i = 0; i < text.bytes; i++)
        if (!text.at[i] || !strchr(safe, text.at[i]))
            return false;
    return text.bytes > 0;
}

static void put_key(struct line *line, const char *key)
{
    bool first = line->bytes == 0;
    if (line->format == LOG_JSON) {
        put_text(line, first ? "{\"" : ",\"");
        put_text(line, key);
        put_text(line, "\":");
    } else {
        put_text(line, first ? "" : " ");
        put_text(line, key);
        put_text(line, "=");
    }
}

static void put_field(struct line *line, const struct trace_field *field)
{
    char number[24];
    size_t before = line->bytes;
    put_key(line, field->key);
    if (!span_given(field->text)) {
        snprintf(number, sizeof number, "%llu", (unsigned long long)field->number);
        put_text(line, number);
    } else if (line->format == LOG_LOGFMT && is_bare(field->text)) {
        put(line, field->text.at, field->text.bytes);
    } else {
        put_quoted(line, field->text);
    }
    if (line->full)
        line->bytes = before;
}

static void end_line(struct line *line)
{
    const char *cut = line->format == LOG_JSON ? ",\"cut\":true" : " cut=true";
    const char *end = line->format == LOG_JSON ? "}\n" : "\n";
    int bytes = snprintf(line->text + line->bytes, TAIL_BYTES, "%s%s", line->full ? cut : "", end);
    line->bytes += (size_t)bytes;
}

/* RFC 3339 with milliseconds, UTC. */
static void format_time(char *out, size_t room, uint64_t unix_ms)
{
    char seconds[32];
    struct tm utc;
    time_t t = (time_t)(unix_ms / 1000);
    gmtime_r(&t, &utc);
    strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(out, room, "%s.%03uZ", seconds, (unsigned)(unix_ms % 1000));
}

void logger_line(struct logger *logger, enum trace_level level, const char *what, const struct trace_field *fields,
                 size_t count)
{
    if (level > logger->level)
        return;
    char t[48];
    struct line line = {.format = logger->format};
    format_time(t, sizeof t, logger->clock.ops->unix_ms(logger->clock.self));
    put_field(&line, &(struct trace_field){"t", span_of(t), 0});
    put_field(&line, &(struct trace_field){"level", span_of(level_names[level]), 0});
    put_field(&line, &(struct trace_field){"node", id_span(&logger->node), 0});
    put_field(&line, &(struct trace_field){"msg", span_of(what), 0});
    for (size_t i = 0; i < count; i++)
        put_field(&line, &fields[i]);
    end_line(&line);
    if (write(logger->fd, line.text, line.bytes) < 0)
        return; /* a log that nobody reads stops nobody */
}

static void port_line(void *self, enum trace_level level, const char *what, const struct trace_field *fields,
                      size_t count)
{
    logger_line(self, level, what, fields, count);
}

struct trace_port logger_port(struct logger *logger)
{
    static const struct trace_ops ops = {port_line};
    return (struct trace_port){&ops, logger};
}
