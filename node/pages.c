#include "node/pages.h"

#include <stdarg.h>
#include <stdio.h>

static void put(struct buf *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(struct buf *out, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    int bytes = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    buf_append(out, text, bytes < (int)sizeof text ? (size_t)bytes : sizeof text - 1);
}

/* A JSON string of printable text; what is none becomes a question mark. */
static void put_string(struct buf *out, const char *text)
{
    put(out, "\"");
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            put(out, "\\%c", *text);
        else
            put(out, "%c", *text >= ' ' && *text < 127 ? *text : '?');
    }
    put(out, "\"");
}

void pages_health(const struct pages_view *view, struct http_page *page)
{
    bool healthy = view->loop_age_ms <= view->loop_age_ms_max;
    page->status = healthy ? 200 : 503;
    page->type = "application/json";
    put(&page->body, "{\"healthy\":%s,\"loop_age_ms\":%llu,\"loop_age_ms_max\":%llu,\"uptime_ms\":%llu}\n",
        healthy ? "true" : "false", (unsigned long long)view->loop_age_ms, (unsigned long long)view->loop_age_ms_max,
        (unsigned long long)view->uptime_ms);
}

void pages_ready(const struct pages_view *view, struct http_page *page)
{
    page->status = view->unready_why ? 503 : 200;
    page->type = "application/json";
    put(&page->body, "{\"ready\":%s", view->unready_why ? "false,\"reason\":" : "true");
    if (view->unready_why)
        put_string(&page->body, view->unready_why);
    put(&page->body, ",\"partitions_owned\":%u}\n", (unsigned)view->driver.partitions_owned);
}

/* --- metrics --- */

struct metric {
    const char *name, *type, *help;
    size_t at; /* of a uint64_t in struct pages_view */
};

#define NODE(field) offsetof(struct pages_view, driver.field)
#define BUS(field)  offsetof(struct pages_view, bus.field)
#define OWN(field)  offsetof(struct pages_view, field)

/* clang-format off */
static const struct metric metrics[] = {
    {"sessions", "gauge", "sessions in memory", NODE(sessions)},
    {"sessions_quarantined", "gauge", "sessions set aside: a record cannot be read, or an invariant broke", NODE(sessions_quarantined)},
    {"runs_active", "gauge", "sessions with a run", NODE(runs_active)},
    {"executor_runs", "gauge", "runs in the executors", OWN(runs)},
    {"inputs_held", "gauge", "inputs that wait for the store", NODE(inputs_held)},
    {"oldest_unacknowledged_milliseconds", "gauge", "age of the oldest event that waits for the store", NODE(oldest_unacknowledged_ms)},
    {"loop_age_milliseconds", "gauge", "since the last finished turn of the loop began", OWN(loop_age_ms)},
    {"uptime_milliseconds", "gauge", "since the start", OWN(uptime_ms)},
    {"bus_waiting", "gauge", "frames that were heard and wait to be read", BUS(waiting)},
    {"frames_in_total", "counter", "frames read from the bus", NODE(frames_in)},
    {"frames_bad_total", "counter", "frames or messages that were refused unread", NODE(frames_bad)},
    {"frames_lost_total", "counter", "frames of numbered publishers that never came", NODE(frames_lost)},
    {"items_in_total", "counter", "messages in those frames", NODE(items_in)},
    {"items_foreign_total", "counter", "frames for partitions of others", NODE(items_foreign)},
    {"accepted_total", "counter", "inputs accepted", NODE(accepted)},
    {"deduplicated_total", "counter", "inputs that were known", NODE(deduplicated)},
    {"rejected_total", "counter", "inputs and commands rejected", NODE(rejected)},
    {"overloaded_total", "counter", "of these, for want of room", NODE(overloaded)},
    {"completed_total", "counter", "inputs that became terminal", NODE(completed)},
    {"runs_started_total", "counter", "runs given to an executor", NODE(runs_started)},
    {"runs_failed_total", "counter", "runs that failed", NODE(runs_failed)},
    {"commits_total", "counter", "commits sent to the store", NODE(commits)},
    {"sections_total", "counter", "sessions in those commits", NODE(sections)},
    {"sections_again_total", "counter", "of these, skipped by a condition and applied again", NODE(sections_again)},
    {"commits_resent_total", "counter", "commits of unknown outcome, sent again", NODE(commits_resent)},
    {"commit_bytes_total", "counter", "bytes of commits", NODE(commit_bytes)},
    {"leases_lost_total", "counter", "partitions lost to another owner or to time", NODE(leases_lost)},
    {"faults_total", "counter", "broken invariants", NODE(faults)},
    {"published_total", "counter", "numbered events published", NODE(published)},
    {"published_bytes_total", "counter", "bytes of frames published", NODE(published_bytes)},
    {"answers_total", "counter", "answers published", NODE(answers)},
    {"bus_sent_total", "counter", "frames handed to the bus", BUS(sent)},
    {"bus_heard_total", "counter", "frames heard on the bus", BUS(heard)},
    {"bus_refused_total", "counter", "frames not sent: too long", BUS(refused)},
    {"bus_dropped_total", "counter", "frames heard while the queue was full", BUS(dropped)},
};
/* clang-format on */

#undef NODE
#undef BUS
#undef OWN

static void put_metric(struct buf *out, const char *name, const char *type, const char *help, uint64_t value)
{
    put(out, "# HELP meerkat_%s %s\n# TYPE meerkat_%s %s\n", name, help, name, type);
    put(out, "meerkat_%s %llu\n", name, (unsigned long long)value);
}

void pages_metrics(const struct pages_view *view, struct http_page *page)
{
    page->type = "text/plain; version=0.0.4; charset=utf-8";
    put_metric(&page->body, "ready", "gauge", "1 when the node is ready", !view->unready_why);
    put_metric(&page->body, "partitions_owned", "gauge", "partitions whose lease this node holds",
               view->driver.partitions_owned);
    put_metric(&page->body, "bus_hubs_in", "gauge", "hubs connected to publish", view->bus.hubs_in);
    put_metric(&page->body, "bus_hubs_out", "gauge", "hubs connected to hear", view->bus.hubs_out);
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++) {
        uint64_t value;
        memcpy(&value, (const char *)view + metrics[i].at, sizeof value);
        put_metric(&page->body, metrics[i].name, metrics[i].type, metrics[i].help, value);
    }
}
