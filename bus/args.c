#include "bus/args.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ENV_BYTES  64
#define LIST_BYTES 180 /* of all flags, in one line with what is wrong */
#define HOUR_MS    (3600ull * 1000)

static void env_name(char out[ENV_BYTES], const char *flag)
{
    snprintf(out, ENV_BYTES, "MEERKAT_%s", flag);
    for (char *c = out; *c; c++)
        *c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
}

static bool truth_parse(const char *text, bool *out)
{
    *out = strcmp(text, "1") == 0 || strcmp(text, "true") == 0;
    return *out || strcmp(text, "0") == 0 || strcmp(text, "false") == 0;
}

static enum mk_err from_environment(const struct args *args, struct mk_note *note)
{
    char name[ENV_BYTES];
    bool yes;
    for (size_t i = 0; i < args->flag_count; i++) {
        const struct flag *flag = &args->flags[i];
        env_name(name, flag->name);
        const char *value = getenv(name);
        if (flag->no_twin || !value || !*value)
            continue;
        if (flag->metavar)
            *flag->value = value;
        else if (!truth_parse(value, &yes))
            return err_set(note, MK_ERR_INVALID_FIELD, "%s=%.80s: wanted true or false", name, value);
        else
            *flag->value = yes ? "true" : NULL;
    }
    return MK_ERR_OK;
}

static const struct flag *find(const struct args *args, const char *name, size_t bytes)
{
    for (size_t i = 0; i < args->flag_count; i++)
        if (strlen(args->flags[i].name) == bytes && strncmp(args->flags[i].name, name, bytes) == 0)
            return &args->flags[i];
    return NULL;
}

static enum mk_err unknown(const struct args *args, const char *text, struct mk_note *note)
{
    char all[LIST_BYTES] = "";
    size_t used = 0;
    for (size_t i = 0; i < args->flag_count && used < sizeof all; i++)
        used += (size_t)snprintf(all + used, sizeof all - used, " --%s", args->flags[i].name);
    if (used >= sizeof all)
        return err_set(note, MK_ERR_INVALID_FIELD, "unknown flag `%.40s`; --help lists what is allowed", text);
    return err_set(note, MK_ERR_INVALID_FIELD, "unknown flag `%.40s`; allowed:%s", text, all);
}

/* One flag at argv[*i], which is moved on past its value. */
static enum mk_err take_flag(const struct args *args, int argc, char **argv, int *i, struct mk_note *note)
{
    const char *text = argv[*i];
    const char *name = text + 2;
    const char *equals = strchr(name, '=');
    const struct flag *flag = find(args, name, equals ? (size_t)(equals - name) : strlen(name));
    if (strcmp(text, "-h") == 0)
        flag = find(args, "help", 4);
    if (!flag || (text[1] != '-' && strcmp(text, "-h") != 0))
        return unknown(args, text, note);
    if (!flag->metavar) {
        *flag->value = "true";
        return equals ? err_set(note, MK_ERR_INVALID_FIELD, "--%s takes no value", flag->name) : MK_ERR_OK;
    }
    if (!equals && *i + 1 >= argc)
        return err_set(note, MK_ERR_INVALID_FIELD, "--%s wants a value: --%s %s", flag->name, flag->name,
                       flag->metavar);
    *flag->value = equals ? equals + 1 : argv[++*i];
    return MK_ERR_OK;
}

enum mk_err args_parse(struct args *args, int argc, char **argv, struct mk_note *note)
{
    bool flags = true;
    enum mk_err err = from_environment(args, note);
    args->rest = argc > 0 ? argv + 1 : argv;
    args->rest_count = 0;
    for (int i = 1; !err && i < argc; i++) {
        if (flags && strcmp(argv[i], "--") == 0)
            flags = false;
        else if (flags && argv[i][0] == '-' && argv[i][1] != '\0' && !isdigit((unsigned char)argv[i][1]))
            err = take_flag(args, argc, argv, &i, note);
        else
            args->rest[args->rest_count++] = argv[i];
    }
    return err;
}

void args_help(FILE *to, const struct args *args)
{
    char left[64], name[ENV_BYTES];
    for (size_t i = 0; i < args->flag_count; i++) {
        const struct flag *flag = &args->flags[i];
        bool twin = !flag->no_twin;
        env_name(name, flag->name);
        snprintf(left, sizeof left, "--%s%s%s", flag->name, flag->metavar ? " " : "",
                 flag->metavar ? flag->metavar : "");
        fprintf(to, "  %-24s %s%s%s%s\n", left, flag->help, twin ? " [" : "", twin ? name : "", twin ? "]" : "");
    }
}

static bool number_parse(const char *text, uint64_t *out, const char **rest)
{
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    *out = value;
    *rest = end;
    return isdigit((unsigned char)*text) && errno == 0;
}

enum mk_err args_number(const char *what, const char *text, uint64_t min, uint64_t max, uint64_t *out,
                        struct mk_note *note)
{
    const char *rest = NULL;
    if (!number_parse(text, out, &rest) || *rest || *out < min || *out > max)
        return err_set(note, MK_ERR_INVALID_FIELD, "%s `%.40s`: wanted a whole number from %llu to %llu", what, text,
                       (unsigned long long)min, (unsigned long long)max);
    return MK_ERR_OK;
}

enum mk_err args_duration(const char *what, const char *text, uint64_t *out_ms, struct mk_note *note)
{
    static const struct {
        const char *suffix;
        uint64_t ms;
    } units[] = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}};
    uint64_t number = 0;
    const char *rest = NULL;
    if (number_parse(text, &number, &rest)) {
        for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
            bool fits = number >= 1 && number <= HOUR_MS / units[i].ms;
            *out_ms = number * units[i].ms;
            if (strcmp(rest, units[i].suffix) == 0 && fits)
                return MK_ERR_OK;
        }
    }
    return err_set(note, MK_ERR_INVALID_FIELD, "%s `%.40s`: wanted a time from 1ms to 60m, like 250ms, 10s, 2m", what,
                   text);
}
