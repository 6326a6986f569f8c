#include "bus/log.h"

#include <time.h>

#define LINE_BYTES 2048

static const char *const levels[] = {"error", "warn", "info", "debug"};

enum mk_err log_level_parse(const char *text, enum log_level *out, struct mk_note *note)
{
    *out = LOG_INFO;
    if (!text)
        return MK_ERR_OK;
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        *out = (enum log_level)i;
        if (strcmp(text, levels[i]) == 0)
            return MK_ERR_OK;
    }
    return err_set(note, MK_ERR_INVALID_FIELD, "--log-level `%.40s`: wanted error, warn, info or debug", text);
}

enum mk_err log_format_parse(const char *text, bool *json, struct mk_note *note)
{
    *json = text && strcmp(text, "json") == 0;
    if (!text || *json || strcmp(text, "logfmt") == 0)
        return MK_ERR_OK;
    return err_set(note, MK_ERR_INVALID_FIELD, "--log-format `%.40s`: wanted logfmt or json", text);
}

/* A line that does not fit is cut, never split. */
struct line {
    char text[LINE_BYTES];
    size_t used;
};

static void put_char(struct line *line, char c)
{
    if (line->used + 1 < sizeof line->text)
        line->text[line->used++] = c;
}

static void put(struct line *line, const char *text)
{
    while (*text)
        put_char(line, *text++);
}

/* Quoted; what would break the line or the terminal is escaped. Valid as JSON and as logfmt. */
static void put_quoted(struct line *line, struct span text)
{
    char code[8];
    put_char(line, '"');
    for (size_t i = 0; i < text.bytes; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (c == '"' || c == '\\')
            put_char(line, '\\');
        if (c >= ' ' && c < 127) {
            put_char(line, (char)c);
        } else {
            snprintf(code, sizeof code, "\\u%04x", c);
            put(line, code);
        }
    }
    put_char(line, '"');
}

static void put_key(struct line *line, bool json, const char *key)
{
    if (line->used)
        put_char(line, json ? ',' : ' ');
    if (json && line->used == 0)
        put_char(line, '{');
    if (json)
        put_quoted(line, span_of(key));
    else
        put(line, key);
    put_char(line, json ? ':' : '=');
}

static bool plain(struct span text)
{
    for (size_t i = 0; i < text.bytes; i++)
        if (text.at[i] <= ' ' || text.at[i] == '"' || text.at[i] == '=' || text.at[i] == '\\' || text.at[i] >= 127)
            return false;
    return text.bytes > 0;
}

static void put_text(struct line *line, bool json, const char *key, struct span text)
{
    put_key(line, json, key);
    if (json || !plain(text))
        put_quoted(line, text);
    else
        for (size_t i = 0; i < text.bytes; i++)
            put_char(line, text.at[i]);
}

static void put_time(struct line *line, bool json)
{
    char text[40];
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t used = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text + used, sizeof text - used, ".%03ldZ", now.tv_nsec / 1000000);
    put_text(line, json, "t", span_of(text));
}

void log_line(const struct log *log, enum log_level level, const char *what, const struct log_field *fields,
              size_t count)
{
    struct line line = {.used = 0};
    char number[24];
    if (level > log->level)
        return;
    put_time(&line, log->json);
    put_text(&line, log->json, "level", span_of(levels[level]));
    put_text(&line, log->json, "ev", span_of(what));
    for (size_t i = 0; i < count; i++) {
        if (span_given(fields[i].text)) {
            put_text(&line, log->json, fields[i].key, fields[i].text);
        } else {
            put_key(&line, log->json, fields[i].key);
            snprintf(number, sizeof number, "%llu", (unsigned long long)fields[i].number);
            put(&line, number);
        }
    }
    fprintf(log->to, "%.*s%s\n", (int)line.used, line.text, log->json ? "}" : "");
}
