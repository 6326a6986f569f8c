-- The facts of a cluster: created by the first who asks, told to everybody after. Form: codec/script.h, `found`.
--
-- Promise: the facts never change once they are stored; a repeat answers what the first call stored. One HSET writes all.

local key = KEYS[1]
if #KEYS ~= 1 or #ARGV ~= 4 then
    return {err = 'BADCALL found: 1 key and 4 arguments wanted'}
end
for i = 1, 4 do
    if ARGV[i] == '' or (i < 4 and not string.find(ARGV[i], '^%d+$')) then
        return {err = 'BADCALL found: argument ' .. i .. ' is not as it must be'}
    end
end

local time = redis.call('TIME')
local now = string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))

local stored = redis.call('HMGET', key, 'v', 'partitions', 'groups', 'id')
if not stored[1] then
    redis.call('HSET', key, 'v', ARGV[1], 'partitions', ARGV[2], 'groups', ARGV[3], 'id', ARGV[4])
    stored = ARGV
end
return {now, stored[1], stored[2] or '', stored[3] or '', stored[4] or ''}
