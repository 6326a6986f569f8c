/* What the node shows over HTTP: /healthz, /readyz (JSON) and /metrics (Prometheus text). Pure: text from a view. */
#ifndef MEERKAT_NODE_PAGES_H
#define MEERKAT_NODE_PAGES_H

#include "bus/endpoint.h"
#include "node/driver.h"
#include "node/http.h"

struct pages_view {
    struct driver_status driver;
    struct endpoint_status bus;
    const char *unready_why;  /* NULL: ready */
    uint64_t loop_age_ms;     /* since the last turn of the loop that was finished had begun */
    uint64_t loop_age_ms_max; /* beyond it the node is not healthy */
    uint64_t uptime_ms, runs; /* runs in the executors */
};

/* 200 while the loop turns, else 503. */
void pages_health(const struct pages_view *view, struct http_page *page);

/* 200, or 503 with the reason. */
void pages_ready(const struct pages_view *view, struct http_page *page);

/* Every number, each with HELP and TYPE. */
void pages_metrics(const struct pages_view *view, struct http_page *page);

#endif
