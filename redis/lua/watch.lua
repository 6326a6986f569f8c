-- Tells the leases of partitions, whoever holds them. Form: codec/script.h, `watch`.
--
-- Promises: reads only; anybody may ask. What is told of a lease is the same <record> that `claim` tells. A lease is `free`
-- exactly when `claim` would take it without being told of a counter that stood still: no record, no owner, or expired by the
-- store's clock. Numbers that a record does not have are told as 0. A record of another version is told as `other` without a
-- history; its neighbours are served.

if #KEYS == 0 or #ARGV ~= 0 then
    return {err = 'BADCALL watch: keys and no arguments wanted'}
end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local reply = {string.format('%.0f', now)}
local n = 1
for p = 1, #KEYS do
    local l = redis.call('HMGET', KEYS[p], 'v', 'history', 'node', 'inc', 'fence', 'seq', 'pub', 'hor', 'bytes', 'ren', 'exp',
        'beg', 'succ')
    local known = not l[1] or l[1] == '1'
    if not known then
        l = {}
    end
    local free = known and (not l[3] or l[3] == '' or (tonumber(l[11]) or 0) <= now)
    reply[n + 1] = free and 'free' or 'other'
    for i = 2, 13 do
        reply[n + i] = l[i] or (i >= 5 and i <= 12 and '0') or ''
    end
    n = n + 13
end
return reply
