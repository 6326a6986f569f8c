#include "node/executor_name.h"

#define BUILTIN_PREFIX "builtin:"
#define COMMAND_PREFIX "exec:"

static bool is_name(struct span text)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:-";
    for (size_t i = 0; i < text.bytes; i++)
        if (!text.at[i] || !strchr(allowed, text.at[i]))
            return false;
    return text.bytes > 0;
}

/* What follows the prefix; absent: it does not begin so. */
static struct span after(struct span text, const char *prefix)
{
    size_t bytes = strlen(prefix);
    if (text.bytes < bytes || memcmp(text.at, prefix, bytes) != 0)
        return (struct span){NULL, 0};
    return span_bytes(text.at + bytes, text.bytes - bytes);
}

/* N:COMMAND */
static enum mk_err read_command(struct executor_name *out, struct span text, struct mk_note *note)
{
    size_t digits = 0;
    uint32_t children = 0;
    while (digits < text.bytes && digits < 4 && text.at[digits] >= '0' && text.at[digits] <= '9')
        children = children * 10 + (uint32_t)(text.at[digits++] - '0');
    if (!digits || digits == text.bytes || text.at[digits] != ':' || !children || children > EXECUTOR_CHILDREN_MAX)
        return err_set(note, MK_ERR_INVALID_FIELD, "wanted exec:N:COMMAND, N from 1 to %d children",
                       EXECUTOR_CHILDREN_MAX);
    struct span command = span_bytes(text.at + digits + 1, text.bytes - digits - 1);
    if (!command.bytes || command.bytes >= sizeof out->command || memchr(command.at, '\0', command.bytes))
        return err_set(note, MK_ERR_INVALID_FIELD, "wanted exec:N:COMMAND, COMMAND of 1 to %d bytes for sh -c",
                       EXECUTOR_COMMAND_BYTES - 1);
    memcpy(out->command, command.at, command.bytes);
    out->children = children;
    return MK_ERR_OK;
}

enum mk_err executor_name_parse(struct executor_name *out, struct span text, struct mk_note *note)
{
    const char *equals = text.bytes ? memchr(text.at, '=', text.bytes) : NULL;
    struct span name = span_bytes(text.at, equals ? (size_t)(equals - text.at) : 0);
    memset(out, 0, sizeof *out);
    out->builtin = BUILTIN_COUNT;
    if (!is_name(name) || !id_set(&out->name, name))
        return err_set(
            note, MK_ERR_INVALID_FIELD,
            "wanted NAME=SPEC, NAME of 1 to 64 characters of A-Z a-z 0-9 . _ : -, SPEC like builtin:counter");
    struct span spec = span_bytes(equals + 1, text.bytes - name.bytes - 1);
    struct span builtin = after(spec, BUILTIN_PREFIX), command = after(spec, COMMAND_PREFIX);
    if (span_given(command))
        return read_command(out, command, note);
    if (span_given(builtin))
        out->builtin = builtin_parse(builtin);
    if (out->builtin == BUILTIN_COUNT)
        return err_set(note, MK_ERR_INVALID_FIELD,
                       "wanted builtin:echo, builtin:counter, builtin:sleep, builtin:fail or exec:N:COMMAND");
    return MK_ERR_OK;
}
