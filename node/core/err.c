#include "node/core/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *code;
    const char *text;
    bool final;
} errors[MK_ERR_COUNT] = {
#define X(name, code, final, text) [MK_ERR_##name] = {#code, text, final},
    MK_ERRORS(X)
#undef X
};

const char *mk_err_code(enum mk_err err)
{
    return errors[err].code;
}

const char *mk_err_text(enum mk_err err)
{
    return errors[err].text;
}

bool mk_err_final(enum mk_err err)
{
    return errors[err].final;
}

enum mk_err mk_err_parse(const char *code, size_t bytes)
{
    for (enum mk_err e = MK_ERR_OK; e < MK_ERR_COUNT; e++)
        if (strlen(errors[e].code) == bytes && memcmp(errors[e].code, code, bytes) == 0)
            return e;
    return MK_ERR_INTERNAL;
}

enum mk_err err_set(struct mk_note *note, enum mk_err err, const char *format, ...)
{
    if (!note)
        return err;
    va_list args;
    va_start(args, format);
    vsnprintf(note->text, sizeof note->text, format, args);
    va_end(args);
    return err;
}

enum mk_err err_wrap(struct mk_note *note, enum mk_err err, const char *prefix)
{
    if (!note || err == MK_ERR_OK)
        return err;
    char inner[sizeof note->text];
    memcpy(inner, note->text, sizeof inner);
    snprintf(note->text, sizeof note->text, "%s: %.*s", prefix, (int)(sizeof inner - strlen(prefix) - 3), inner);
    return err;
}
