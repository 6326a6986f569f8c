/* The scripts of redis/lua, embedded at build time. Ended by an entry with name NULL. */
#ifndef MEERKAT_REDIS_LUA_TEXT_H
#define MEERKAT_REDIS_LUA_TEXT_H

struct lua_text {
    const char *name; /* "commit" */
    const char *text;
};

extern const struct lua_text lua_texts[];

#endif
