/* Where a Redis is: redis://[USER@]HOST[:PORT][/DB] or unix:PATH. */
#ifndef MEERKAT_REDIS_URL_H
#define MEERKAT_REDIS_URL_H

#include "node/core/err.h"

#define REDIS_PATH_BYTES 108 /* of a unix socket, its zero byte included */
#define REDIS_HOST_BYTES 256

struct redis_url {
    char path[REDIS_PATH_BYTES]; /* unix; else "" */
    char host[REDIS_HOST_BYTES]; /* a name, or a numeric address without brackets */
    char user[REDIS_HOST_BYTES]; /* "": the default user */
    unsigned port, db;
};

/*   errors  INVALID_FIELD: the note says what is wrong, the value and the form */
enum mk_err redis_url_parse(const char *text, struct redis_url *out, struct mk_note *note);

#endif
