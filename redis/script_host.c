#include "redis/script_host.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdarg.h>
#include <stdio.h>

#include "redis/lua_text.h"

#define INSTRUCTIONS_MAX 100000000

struct script_host {
    const struct mk_mem *mem;
    struct keyspace *keyspace;
    lua_State *lua;
    int limit;
    /* of redis.call */
    struct span *words;
    size_t word_room;
    size_t writes, die_after;
    /* of the reply */
    struct span *items;
    size_t item_room;
    char error[512];
};

/* What lies in Lua's registry. */
static const char slot_host[] = "host", slot_env[] = "env", slot_scripts[] = "scripts", slot_reply[] = "reply";

static void *take(void *self, void *old, size_t old_bytes, size_t bytes)
{
    const struct mk_mem *mem = self;
    if (bytes == 0) {
        mem_free(mem, old);
        return NULL;
    }
    void *memory = mem_alloc(mem, bytes);
    if (!memory)
        return bytes <= old_bytes ? old : NULL; /* Lua asks that shrinking never fails */
    if (old)
        memcpy(memory, old, old_bytes < bytes ? old_bytes : bytes);
    mem_free(mem, old);
    return memory;
}

static struct script_host *host_of(lua_State *lua)
{
    lua_getfield(lua, LUA_REGISTRYINDEX, slot_host);
    struct script_host *host = lua_touserdata(lua, -1);
    lua_pop(lua, 1);
    return host;
}

/* An array for `count` spans, the old content dropped. */
static bool reserve(const struct mk_mem *mem, struct span **spans, size_t *room, size_t count)
{
    if (count <= *room)
        return true;
    struct span *more = mem_alloc(mem, count * 2 * sizeof *more);
    if (!more)
        return false;
    mem_free(mem, *spans);
    *spans = more;
    *room = count * 2;
    return true;
}

/* Like luaL_error, without the place: what Redis raises begins with its code. */
static int raise(lua_State *lua, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    lua_pushvfstring(lua, format, args);
    va_end(args);
    return lua_error(lua);
}

/* --- redis.call --- */

/* Turns an argument into text, in place on the stack, as Redis does. */
static struct span argument(lua_State *lua, int at)
{
    if (lua_type(lua, at) == LUA_TNUMBER) {
        char text[40];
        snprintf(text, sizeof text, "%.17g", lua_tonumber(lua, at));
        lua_pushstring(lua, text);
        lua_replace(lua, at);
    }
    if (lua_type(lua, at) != LUA_TSTRING)
        raise(lua, "ERR Lua redis lib command arguments must be strings or integers");
    struct span word;
    word.at = lua_tolstring(lua, at, &word.bytes);
    return word;
}

/* Pushes the item at *at and moves *at behind all that belongs to it. Depth is that of the keyspace's replies: 4. */
static void push_item(lua_State *lua, const struct keyspace_reply *reply, size_t *at)
{
    const struct keyspace_item *item = &reply->items[(*at)++];
    switch (item->kind) {
    case KEYSPACE_NIL:
        lua_pushboolean(lua, 0);
        return;
    case KEYSPACE_NUMBER:
        lua_pushnumber(lua, (lua_Number)item->number);
        return;
    case KEYSPACE_TEXT:
        lua_pushlstring(lua, item->text.at, item->text.bytes);
        return;
    case KEYSPACE_STATUS:
        lua_createtable(lua, 0, 1);
        lua_pushlstring(lua, item->text.at, item->text.bytes);
        lua_setfield(lua, -2, "ok");
        return;
    case KEYSPACE_ARRAY:
        luaL_checkstack(lua, 4, "nested reply");
        lua_createtable(lua, (int)item->number, 0);
        for (int i = 1; i <= item->number; i++) {
            push_item(lua, reply, at);
            lua_rawseti(lua, -2, i);
        }
        return;
    case KEYSPACE_ERROR:
        lua_pushlstring(lua, item->text.at, item->text.bytes);
        lua_error(lua);
        return;
    }
}

static int redis_call(lua_State *lua)
{
    struct script_host *host = host_of(lua);
    int count = lua_gettop(lua);
    if (count == 0)
        return raise(lua, "ERR Please specify at least one argument for this redis.call() call");
    if (!reserve(host->mem, &host->words, &host->word_room, (size_t)count))
        return raise(lua, "OOM no memory for a call");
    for (int i = 0; i < count; i++)
        host->words[i] = argument(lua, i + 1);
    struct keyspace_reply reply;
    keyspace_command(host->keyspace, host->words, (size_t)count, &reply);
    if (reply.wrote && ++host->writes == host->die_after)
        return raise(lua, "ERR fault: the script died after write %d", (int)host->writes);
    size_t at = 0;
    push_item(lua, &reply, &at);
    return 1;
}

/* --- the sandbox --- */

static int no_global(lua_State *lua)
{
    return raise(lua, "ERR Script attempted to access nonexistent global variable '%s'", lua_tostring(lua, 2));
}

static int no_new_global(lua_State *lua)
{
    return raise(lua, "ERR Script attempted to set global variable '%s'", lua_tostring(lua, 2));
}

static void stop_endless(lua_State *lua, lua_Debug *where)
{
    (void)where;
    raise(lua, "ERR the script ran too long");
}

static void keep_global(lua_State *lua, int env, const char *name)
{
    lua_getglobal(lua, name);
    lua_setfield(lua, env, name);
}

static void open_library(lua_State *lua, lua_CFunction open, const char *name)
{
    lua_pushcfunction(lua, open);
    lua_pushstring(lua, name);
    lua_call(lua, 1, 0);
}

static void build_env(lua_State *lua)
{
    static const char *const names[] = {"tonumber", "tostring", "type", "ipairs", "unpack", "string", "table"};
    open_library(lua, luaopen_base, "");
    open_library(lua, luaopen_string, LUA_STRLIBNAME);
    open_library(lua, luaopen_table, LUA_TABLIBNAME);
    open_library(lua, luaopen_math, LUA_MATHLIBNAME);
    lua_newtable(lua);
    int env = lua_gettop(lua);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        keep_global(lua, env, names[i]);
    lua_newtable(lua);
    lua_getglobal(lua, LUA_MATHLIBNAME);
    lua_getfield(lua, -1, "floor");
    lua_setfield(lua, -3, "floor");
    lua_pop(lua, 1);
    lua_setfield(lua, env, "math");
    lua_newtable(lua);
    lua_pushcfunction(lua, redis_call);
    lua_setfield(lua, -2, "call");
    lua_setfield(lua, env, "redis");
    lua_newtable(lua);
    lua_pushcfunction(lua, no_global);
    lua_setfield(lua, -2, "__index");
    lua_pushcfunction(lua, no_new_global);
    lua_setfield(lua, -2, "__newindex");
    lua_setmetatable(lua, env);
    lua_setfield(lua, LUA_REGISTRYINDEX, slot_env);
}

static int build(lua_State *lua)
{
    lua_pushlightuserdata(lua, lua_touserdata(lua, 1));
    lua_setfield(lua, LUA_REGISTRYINDEX, slot_host);
    build_env(lua);
    lua_newtable(lua);
    for (const struct lua_text *script = lua_texts; script->name; script++) {
        const char *name = lua_pushfstring(lua, "=%s", script->name);
        if (luaL_loadbuffer(lua, script->text, strlen(script->text), name) != 0)
            return lua_error(lua);
        lua_getfield(lua, LUA_REGISTRYINDEX, slot_env);
        lua_setfenv(lua, -2);
        lua_setfield(lua, -3, script->name);
        lua_pop(lua, 1);
    }
    lua_setfield(lua, LUA_REGISTRYINDEX, slot_scripts);
    return 0;
}

struct script_host *script_host_new(const struct mk_mem *mem, struct keyspace *keyspace, struct mk_note *note)
{
    struct script_host *host = mem_alloc(mem, sizeof *host);
    /* The allocator's own pointer: Lua gives it back unchanged. */
    union {
        const struct mk_mem *given;
        void *plain;
    } self = {.given = mem};
    if (host)
        *host = (struct script_host){.mem = mem, .keyspace = keyspace, .limit = INSTRUCTIONS_MAX};
    if (host)
        host->lua = lua_newstate(take, self.plain);
    if (!host || !host->lua) {
        script_host_free(host);
        err_set(note, MK_ERR_OVERLOADED, "no memory for the script host");
        return NULL;
    }
    if (lua_cpcall(host->lua, build, host) == 0)
        return host;
    const char *why = lua_tostring(host->lua, -1);
    err_set(note, MK_ERR_INTERNAL, "scripts: %s", why ? why : "not loaded");
    script_host_free(host);
    return NULL;
}

void script_host_free(struct script_host *host)
{
    if (!host)
        return;
    if (host->lua)
        lua_close(host->lua);
    mem_free(host->mem, host->words);
    mem_free(host->mem, host->items);
    mem_free(host->mem, host);
}

/* --- one run --- */

static void set_array(lua_State *lua, int env, const char *name, const struct span *spans, size_t count)
{
    lua_pushstring(lua, name);
    lua_createtable(lua, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        lua_pushlstring(lua, spans[i].at ? spans[i].at : "", spans[i].bytes);
        lua_rawseti(lua, -2, (int)i + 1);
    }
    lua_rawset(lua, env);
}

static int run_protected(lua_State *lua)
{
    const struct script_call *call = lua_touserdata(lua, 1);
    lua_getfield(lua, LUA_REGISTRYINDEX, slot_env);
    int env = lua_gettop(lua);
    set_array(lua, env, "KEYS", call->keys, call->key_count);
    set_array(lua, env, "ARGV", call->args, call->arg_count);
    lua_getfield(lua, LUA_REGISTRYINDEX, slot_scripts);
    lua_getfield(lua, -1, call->name);
    if (!lua_isfunction(lua, -1))
        return raise(lua, "NOSCRIPT No matching script: %s", call->name);
    lua_call(lua, 0, 1);
    lua_setfield(lua, LUA_REGISTRYINDEX, slot_reply);
    return 0;
}

/* The item on the top of the stack as a span that lives as long as the reply, which lies below it. */
static struct span reply_item(lua_State *lua, int index)
{
    struct span item = {NULL, 0};
    int type = lua_type(lua, -1);
    if (type == LUA_TNUMBER) { /* Redis cuts it to an integer */
        char text[32];
        snprintf(text, sizeof text, "%lld", (long long)lua_tonumber(lua, -1));
        lua_pop(lua, 1);
        lua_pushstring(lua, text);
        lua_pushvalue(lua, -1);
        lua_rawseti(lua, -3, index);
    }
    if (type == LUA_TNUMBER || type == LUA_TSTRING)
        item.at = lua_tolstring(lua, -1, &item.bytes);
    else if (!(type == LUA_TBOOLEAN && !lua_toboolean(lua, -1)))
        raise(lua, "ERR the reply holds a %s", lua_typename(lua, type));
    return item;
}

/* Flattens the reply table; its strings stay alive in the registry. An error table becomes an error. */
static int read_reply(lua_State *lua)
{
    struct script_result *result = lua_touserdata(lua, 1);
    struct script_host *host = host_of(lua);
    lua_getfield(lua, LUA_REGISTRYINDEX, slot_reply);
    if (!lua_istable(lua, -1))
        return raise(lua, "ERR the reply is no table");
    lua_getfield(lua, -1, "err");
    if (lua_isstring(lua, -1))
        return lua_error(lua);
    lua_pop(lua, 1);
    size_t room = lua_objlen(lua, -1);
    if (!reserve(host->mem, &host->items, &host->item_room, room))
        return raise(lua, "OOM no memory for a reply");
    for (result->count = 0; result->count < room; result->count++) {
        int index = (int)result->count + 1;
        lua_rawgeti(lua, -1, index);
        if (lua_isnil(lua, -1))
            break;
        host->items[result->count] = reply_item(lua, index);
        lua_pop(lua, 1);
    }
    result->items = host->items;
    return 0;
}

void script_host_run(struct script_host *host, const struct script_call *call, struct script_result *result)
{
    struct script_call given = *call;
    lua_State *lua = host->lua;
    *result = (struct script_result){0};
    host->writes = 0;
    lua_settop(lua, 0);
    lua_sethook(lua, stop_endless, LUA_MASKCOUNT, host->limit);
    int failed = lua_cpcall(lua, run_protected, &given);
    lua_sethook(lua, NULL, 0, 0);
    if (!failed)
        failed = lua_cpcall(lua, read_reply, result);
    host->die_after = 0;
    result->wrote = host->writes > 0;
    result->ok = !failed;
    if (!failed)
        return;
    const char *why = lua_tostring(lua, -1);
    snprintf(host->error, sizeof host->error, "%s", why ? why : "ERR the script failed");
    result->error = span_of(host->error);
    result->count = 0;
}

void script_host_die_after(struct script_host *host, size_t writes)
{
    host->die_after = writes;
}

void script_host_limit(struct script_host *host, int instructions)
{
    host->limit = instructions;
}
