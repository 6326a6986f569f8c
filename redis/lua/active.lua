-- The active inputs of a partition, by field: what a new owner takes up again. Form: codec/script.h, `active`.
--
-- Promises: reads only. Nothing is told to one who does not hold the partition by node, incarnation and fence.

if #KEYS ~= 2 or #ARGV ~= 3 then
    return {err = 'BADCALL active: 2 keys and 3 arguments wanted'}
end
local time = redis.call('TIME')
local now = string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))

local l = redis.call('HMGET', KEYS[1], 'node', 'inc', 'fence')
if not l[1] or l[1] == '' then
    return {now, 'free'}
end
if l[1] ~= ARGV[1] or l[2] ~= ARGV[2] or l[3] ~= ARGV[3] then
    return {now, 'other'}
end
local reply = {now, 'held'}
local fields = redis.call('HKEYS', KEYS[2])
for i = 1, #fields do
    reply[2 + i] = fields[i]
end
return reply
