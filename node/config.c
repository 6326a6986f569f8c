#include "node/config.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "redis/url.h"

struct flag {
    const char *name;     /* without the dashes */
    const char *metavar;  /* NULL: a switch, which has no twin */
    const char *fallback; /* as it would be written; NULL: none */
    const char *help;
    enum mk_err (*read)(const struct flag *flag, struct config *config, const char *value, struct mk_note *note);
    size_t at;           /* of the field that `read` writes */
    uint64_t min, max;   /* of a number */
    const char *words;   /* one of these, by a space */
    const char *implied; /* the value of a flag that stands alone; another follows `=` */
    bool often;          /* may be given several times; by lines in the environment */
};

/* --- readers: each says what it wanted, the caller adds who said it --- */

static enum mk_err wanted(struct mk_note *note, const char *what)
{
    return err_set(note, MK_ERR_INVALID_FIELD, "wanted %s", what);
}

static void *field(const struct flag *flag, struct config *config)
{
    return (char *)config + flag->at;
}

static bool parse_number(const char *text, uint64_t *out)
{
    size_t digits = strspn(text, "0123456789");
    *out = strtoull(text, NULL, 10);
    return digits > 0 && digits < 20 && !text[digits];
}

static enum mk_err read_number(const struct flag *flag, struct config *config, const char *value, struct mk_note *note)
{
    uint64_t number;
    if (!parse_number(value, &number) || number < flag->min || number > flag->max)
        return err_set(note, MK_ERR_INVALID_FIELD, "wanted a whole number from %llu to %llu",
                       (unsigned long long)flag->min, (unsigned long long)flag->max);
    memcpy(field(flag, config), &number, sizeof number);
    return MK_ERR_OK;
}

/* The place of the value among the flag's words. */
static enum mk_err read_word(const struct flag *flag, const char *value, unsigned *place, struct mk_note *note)
{
    size_t bytes = strlen(value);
    *place = 0;
    for (const char *word = flag->words; *word; (*place)++) {
        size_t length = strcspn(word, " ");
        if (length == bytes && memcmp(word, value, bytes) == 0)
            return MK_ERR_OK;
        word += length + (word[length] == ' ');
    }
    return err_set(note, MK_ERR_INVALID_FIELD, "wanted one of: %s", flag->words);
}

static enum mk_err read_level(const struct flag *flag, struct config *config, const char *value, struct mk_note *note)
{
    unsigned place;
    enum mk_err err = read_word(flag, value, &place, note);
    if (!err)
        config->log_level = (enum trace_level)place;
    return err;
}

static enum mk_err read_format(const struct flag *flag, struct config *config, const char *value, struct mk_note *note)
{
    unsigned place;
    enum mk_err err = read_word(flag, value, &place, note);
    if (!err)
        config->log_format = (enum log_format)place;
    return err;
}

static enum mk_err read_yes_no(const struct flag *flag, struct config *config, const char *value, struct mk_note *note)
{
    unsigned place;
    enum mk_err err = read_word(flag, value, &place, note);
    if (!err)
        *(bool *)field(flag, config) = place == 0;
    return err;
}

static enum mk_err read_id(const struct flag *flag, struct config *config, const char *value, struct mk_note *note)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:-";
    size_t bytes = strlen(value);
    if (bytes == 0 || strspn(value, allowed) != bytes || !id_set(field(flag, config), span_of(value)))
        return wanted(note, "1 to 64 characters of A-Z a-z 0-9 . _ : -");
    return MK_ERR_OK;
}

static enum mk_err read_text(const struct flag *flag, struct config *config, const char *value, struct mk_note *note)
{
    size_t bytes = strlen(value);
    if (bytes == 0 || bytes >= CONFIG_TEXT_BYTES)
        return err_set(note, MK_ERR_INVALID_FIELD, "wanted 1 to %d bytes", CONFIG_TEXT_BYTES - 1);
    memcpy(field(flag, config), value, bytes + 1);
    return MK_ERR_OK;
}

static enum mk_err read_store(const struct flag *flag, struct config *config, const char *value, struct mk_note *note)
{
    struct redis_url url;
    config->store_memory = strcmp(value, "memory:") == 0;
    config->store[0] = '\0';
    if (config->store_memory)
        return MK_ERR_OK;
    if (strncmp(value, "redis://", 8) != 0 && strncmp(value, "unix:", 5) != 0)
        return wanted(note, "memory:, redis://[USER@]HOST:PORT/DB or unix:PATH");
    enum mk_err err = redis_url_parse(value, &url, note);
    return err ? err : read_text(flag, config, value, note);
}

/* The secret itself is never an argument: everybody on the machine can read those. */
static enum mk_err read_secret(const struct flag *flag, struct config *config, const char *value, struct mk_note *note)
{
    char *secret = field(flag, config);
    FILE *file = fopen(value, "re");
    if (!file)
        return wanted(note, "a file that can be read");
    char *got = fgets(secret, CONFIG_TEXT_BYTES, file);
    fclose(file);
    if (!got)
        return wanted(note, "a file whose first line is the secret");
    secret[strcspn(secret, "\r\n")] = '\0';
    return MK_ERR_OK;
}

static enum mk_err read_bus(const struct flag *flag, struct config *config, const char *value, struct mk_note *note)
{
    (void)flag;
    config->bus_given = true;
    return bus_urls_parse(span_of(value), &config->bus, note);
}

static enum mk_err read_executor(const struct flag *flag, struct config *config, const char *value,
                                 struct mk_note *note)
{
    (void)flag;
    if (config->executor_count == EXECUTOR_NAMES_MAX)
        return err_set(note, MK_ERR_INVALID_FIELD, "wanted at most %d of them", EXECUTOR_NAMES_MAX);
    return executor_name_parse(&config->executors[config->executor_count++], span_of(value), note);
}

static bool is_numeric_host(const char *host)
{
    struct in6_addr address;
    return inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
}

/* HOST:PORT, [V6]:PORT, `localhost` or `off`. */
static enum mk_err read_http(const struct flag *flag, struct config *config, const char *value, struct mk_note *note)
{
    static const char form[] =
        "HOST:PORT, HOST an address of this machine like 127.0.0.1 or [::], PORT 0 to 65535; or off";
    const char *colon = strrchr(value, ':');
    uint64_t port;
    (void)flag;
    config->http_given = strcmp(value, "off") != 0;
    if (!config->http_given)
        return MK_ERR_OK;
    if (!colon || !parse_number(colon + 1, &port) || port > 65535 || (size_t)(colon - value) >= CONFIG_TEXT_BYTES)
        return wanted(note, form);
    bool bracketed = value[0] == '[' && colon[-1] == ']';
    int bytes = (int)(colon - value) - (bracketed ? 2 : 0);
    snprintf(config->http_host, CONFIG_TEXT_BYTES, "%.*s", bytes, value + bracketed);
    if (strcmp(config->http_host, "localhost") == 0)
        snprintf(config->http_host, CONFIG_TEXT_BYTES, "127.0.0.1");
    config->http_port = (uint16_t)port;
    return is_numeric_host(config->http_host) ? MK_ERR_OK : wanted(note, form);
}

static enum mk_err read_switch(const struct flag *flag, struct config *config, const char *value, struct mk_note *note)
{
    (void)value, (void)note;
    *(bool *)field(flag, config) = true;
    return MK_ERR_OK;
}

/* --- the flags --- */

#define AT(name)          .at = offsetof(struct config, name)
#define NUMBER(low, high) .read = read_number, .min = (low), .max = (high)
#define TEXT(number)      TEXT_OF(number)
#define TEXT_OF(number)   #number

/* clang-format off */
static const struct flag flags[] = {
    {"node-id", "ID", NULL, "its name on the bus; made at random when not given", .read = read_id, AT(node)},
    {"store", "URL", "memory:", "memory:, redis://[USER@]HOST:PORT/DB or unix:PATH", .read = read_store, AT(store)},
    {"store-password-file", "PATH", NULL, "holds the password of the store, on its first line", .read = read_secret, AT(store_password)},
    {"allow-volatile", "yes|no", "no", "take a Redis that forgets all when it restarts", .read = read_yes_no, .words = "yes no", .implied = "yes", AT(allow_volatile)},
    {"bus", "URL[,URL]", NULL, "hubs to join, IN|OUT or IN alone; else a hub inside, on " BUS_URL_DEFAULT, .read = read_bus},
    {"executor", "NAME=SPEC", NULL, "another executor: builtin:KIND, or exec:N:COMMAND (repeatable)", .read = read_executor, .often = true},
    {"default-executor", "NAME", "echo", "of sessions whose first input names none", .read = read_id, AT(default_executor)},
    {"lease-ms", "MS", TEXT(LEASE_MS_DEFAULT), "how soon a dead node's sessions are free", NUMBER(LEASE_MS_MIN, LEASE_MS_MAX), AT(lease_ms)},
    {"partitions", "N", TEXT(PARTITIONS_DEFAULT), "of the cluster; fixed when it is created", NUMBER(1, PARTITIONS_MAX), AT(partitions)},
    {"groups", "N", "1", "of partitions in the store; fixed when the cluster is created", NUMBER(1, GROUPS_MAX), AT(groups)},
    {"auto-register", "yes|no", "yes", "whether a valid input creates its session", .read = read_yes_no, .words = "yes no", AT(auto_register)},
    {"idle-evict-ms", "MS", "60000", "an idle session leaves memory after this", NUMBER(100, 86400000), AT(idle_evict_ms)},
    {"retain-ms", "MS", "86400000", "how long what was done is remembered", NUMBER(RETAIN_MS_MIN, 31ull * 86400000), AT(retain_ms)},
    {"retain-bytes", "BYTES", "67108864", "the same, of one partition", NUMBER(1u << 20, 1ull << 40), AT(retain_bytes)},
    {"frame-bytes", "BYTES", "1048576", "longest frame", NUMBER(1024, FRAME_BYTES_MAX), AT(frame_bytes)},
    {"run-ms", "MS", "3600000", "how long a run of a command may take; 0: any time", NUMBER(0, 31ull * 86400000), AT(run_ms)},
    {"finish-ms", "MS", "5000", "how long a run may go on when its partition is given away", NUMBER(0, 3600000), AT(finish_ms)},
    {"stop-ms", "MS", "30000", "how long a stop may take", NUMBER(0, 3600000), AT(stop_ms)},
    {"http", "HOST:PORT", "off", "serves /healthz, /readyz and /metrics", .read = read_http},
    {"ready-file", "PATH", NULL, "gets the ready line, as stdout does", .read = read_text, AT(ready_file)},
    {"log-level", "LEVEL", "info", "error, warn, info or debug", .read = read_level, .words = "error warn info debug"},
    {"log-format", "FORMAT", "logfmt", "logfmt or json", .read = read_format, .words = "logfmt json"},
    {"help", NULL, NULL, "this text", .read = read_switch, .implied = "", AT(help)},
    {"version", NULL, NULL, "the version", .read = read_switch, .implied = "", AT(version)},
    {"print-machine", NULL, NULL, "the session machine's transitions, by tabs", .read = read_switch, .implied = "", AT(print_machine)},
};
/* clang-format on */

#undef AT
#undef NUMBER
#undef TEXT
#undef TEXT_OF

#define FLAG_COUNT        (sizeof flags / sizeof *flags)

#define TWIN_BYTES        64
#define CONFIG_LINE_BYTES 2048 /* of a flag that may be given often: a name and a command */

static void twin_of(const struct flag *flag, char twin[TWIN_BYTES])
{
    int bytes = snprintf(twin, TWIN_BYTES, "MEERKAT_%s", flag->name);
    for (int i = 0; i < bytes; i++)
        twin[i] = twin[i] == '-' ? '_' : twin[i] >= 'a' && twin[i] <= 'z' ? (char)(twin[i] - 'a' + 'A') : twin[i];
}

/* --- where values come from: defaults, then the environment, then the command line --- */

/* "MEERKAT_LEASE_MS `10`: wanted ..." */
static enum mk_err apply(const struct flag *flag, struct config *config, const char *who, const char *value,
                         struct mk_note *note)
{
    char prefix[128];
    enum mk_err err = flag->read(flag, config, value, note);
    snprintf(prefix, sizeof prefix, "%s `%.60s`", who, value);
    return err_wrap(note, err, prefix);
}

static enum mk_err apply_lines(const struct flag *flag, struct config *config, const char *who, const char *lines,
                               struct mk_note *note)
{
    enum mk_err err = MK_ERR_OK;
    while (*lines && !err) {
        char line[CONFIG_LINE_BYTES];
        size_t bytes = strcspn(lines, "\n");
        snprintf(line, sizeof line, "%.*s", bytes < sizeof line ? (int)bytes : 0, lines);
        if (bytes >= sizeof line)
            err = err_set(note, MK_ERR_INVALID_FIELD, "%s `%.60s`: wanted lines of at most %zu bytes", who, lines,
                          sizeof line - 1);
        else if (bytes)
            err = apply(flag, config, who, line, note);
        lines += bytes + (lines[bytes] == '\n');
    }
    return err;
}

static enum mk_err read_defaults(struct config *config, struct mk_note *note)
{
    enum mk_err err = MK_ERR_OK;
    for (size_t i = 0; i < FLAG_COUNT && !err; i++)
        if (flags[i].fallback)
            err = apply(&flags[i], config, flags[i].name, flags[i].fallback, note);
    return err;
}

static enum mk_err read_environment(struct config *config, char *(*environment)(const char *), struct mk_note *note)
{
    enum mk_err err = MK_ERR_OK;
    for (size_t i = 0; i < FLAG_COUNT && !err; i++) {
        char twin[TWIN_BYTES];
        twin_of(&flags[i], twin);
        const char *value = flags[i].metavar ? environment(twin) : NULL;
        if (value && flags[i].often)
            err = apply_lines(&flags[i], config, twin, value, note);
        else if (value)
            err = apply(&flags[i], config, twin, value, note);
    }
    return err;
}

static const struct flag *find_flag(const char *argument, size_t bytes)
{
    for (size_t i = 0; i < FLAG_COUNT; i++)
        if (bytes > 2 && memcmp(argument, "--", 2) == 0 && strlen(flags[i].name) == bytes - 2 &&
            memcmp(argument + 2, flags[i].name, bytes - 2) == 0)
            return &flags[i];
    return NULL;
}

/* One flag at argv[*i], with its value there or in the next one. */
static enum mk_err read_argument(struct config *config, int argc, char **argv, int *i, struct mk_note *note)
{
    const char *argument = argv[*i];
    size_t bytes = strcspn(argument, "=");
    const struct flag *flag = find_flag(argument, bytes);
    char who[TWIN_BYTES];
    if (!flag)
        return err_set(note, MK_ERR_INVALID_FIELD, "`%.80s` is no flag; --help lists them", argument);
    if (!flag->metavar && argument[bytes])
        return err_set(note, MK_ERR_INVALID_FIELD, "--%s takes no value", flag->name);
    if (!flag->implied && !argument[bytes] && *i + 1 == argc)
        return err_set(note, MK_ERR_INVALID_FIELD, "--%s needs a value: %s, %s", flag->name, flag->metavar, flag->help);
    const char *value = argument[bytes] ? argument + bytes + 1 : flag->implied ? flag->implied : argv[++*i];
    snprintf(who, sizeof who, "--%s", flag->name);
    return apply(flag, config, who, value, note);
}

/* What no flag can see by itself. */
static enum mk_err check_together(const struct config *config, struct mk_note *note)
{
    bool known = builtin_parse(id_span(&config->default_executor)) != BUILTIN_COUNT;
    for (size_t i = 0; i < config->executor_count; i++)
        known = known || span_equal(id_span(&config->executors[i].name), id_span(&config->default_executor));
    if (!known)
        return err_set(note, MK_ERR_INVALID_FIELD,
                       "--default-executor `%s`: wanted echo, counter, sleep, fail or the NAME of an --executor",
                       config->default_executor.text);
    if (config->groups > config->partitions)
        return err_set(note, MK_ERR_INVALID_FIELD, "--groups `%llu`: wanted at most as many as --partitions, %llu",
                       (unsigned long long)config->groups, (unsigned long long)config->partitions);
    return MK_ERR_OK;
}

static bool only_asks(const struct config *config)
{
    return config->help || config->version || config->print_machine;
}

enum mk_err config_read(struct config *out, int argc, char **argv, char *(*environment)(const char *),
                        struct mk_note *note)
{
    memset(out, 0, sizeof *out);
    enum mk_err err = read_defaults(out, note);
    if (!err)
        err = read_environment(out, environment, note);
    for (int i = 1; i < argc && !err && !only_asks(out); i++)
        err = read_argument(out, argc, argv, &i, note);
    return err || only_asks(out) ? err : check_together(out, note);
}

void config_help(FILE *to)
{
    for (size_t i = 0; i < FLAG_COUNT; i++) {
        char usage[48];
        const struct flag *flag = &flags[i];
        snprintf(usage, sizeof usage, "--%s%s%s", flag->name,
                 !flag->metavar  ? ""
                 : flag->implied ? "="
                                 : " ",
                 flag->metavar ? flag->metavar : "");
        fprintf(to, "  %-28s %s%s%s%s\n", usage, flag->help, flag->fallback ? " (" : "",
                flag->fallback ? flag->fallback : "", flag->fallback ? ")" : "");
    }
}
