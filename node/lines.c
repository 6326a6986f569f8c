#include "node/lines.h"

static void look_at_the_clock(struct lines *lines, uint64_t now_ms)
{
    if (now_ms < lines->from_ms + LINES_WINDOW_MS)
        return;
    lines->from_ms = now_ms;
    lines->count = lines->taken = 0;
}

static void end_line(struct lines *lines, struct lines_out out)
{
    if (lines->count < LINES_A_SECOND)
        out.line(out.user, span_bytes(lines->text, lines->bytes), lines->cut);
    else
        lines->left_out++;
    lines->count++;
    lines->bytes = 0;
    lines->cut = false;
}

static void keep(struct lines *lines, struct span part)
{
    size_t room = sizeof lines->text - lines->bytes;
    size_t count = part.bytes < room ? part.bytes : room;
    if (count)
        memcpy(lines->text + lines->bytes, part.at, count);
    lines->bytes += count;
    lines->cut = lines->cut || part.bytes > room;
}

void lines_feed(struct lines *lines, uint64_t now_ms, struct span bytes, struct lines_out out)
{
    look_at_the_clock(lines, now_ms);
    lines->taken += bytes.bytes;
    while (bytes.bytes) {
        const char *end = memchr(bytes.at, '\n', bytes.bytes);
        size_t length = end ? (size_t)(end - bytes.at) : bytes.bytes;
        keep(lines, span_bytes(bytes.at, length));
        if (end)
            end_line(lines, out);
        size_t used = length + (end != NULL);
        bytes = span_bytes(bytes.at + used, bytes.bytes - used);
    }
}

void lines_end(struct lines *lines, uint64_t now_ms, struct lines_out out)
{
    look_at_the_clock(lines, now_ms);
    if (lines->bytes)
        end_line(lines, out);
}

bool lines_full(const struct lines *lines)
{
    return lines->taken >= LINES_BYTES_MAX;
}

uint64_t lines_due_ms(const struct lines *lines)
{
    return lines->from_ms + LINES_WINDOW_MS;
}

uint64_t lines_left_out(struct lines *lines)
{
    uint64_t count = lines->left_out;
    lines->left_out = 0;
    return count;
}
