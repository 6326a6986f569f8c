-- The sessions of a partition, page by page. Form: codec/script.h, `list`.
--
-- Promises: reads only. Nothing is told to one who does not hold the partition by node, incarnation and fence. A session that
-- is there from the first page to the last is told at least once; it may come twice; a page may be empty or larger than asked for.

if #KEYS ~= 2 or #ARGV ~= 5 then
    return {err = 'BADCALL list: 2 keys and 5 arguments wanted'}
end
if not string.find(ARGV[4], '^%d+$') or not string.find(ARGV[5], '^%d+$') then
    return {err = 'BADCALL list: cursor or count is not a number'}
end
local time = redis.call('TIME')
local now = string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))

local l = redis.call('HMGET', KEYS[1], 'node', 'inc', 'fence')
if not l[1] or l[1] == '' then
    return {now, 'free', '0'}
end
if l[1] ~= ARGV[1] or l[2] ~= ARGV[2] or l[3] ~= ARGV[3] then
    return {now, 'other', '0'}
end
local page = redis.call('HSCAN', KEYS[2], ARGV[4], 'COUNT', ARGV[5])
local reply = {now, 'held', page[1]}
for i = 1, #page[2] do
    reply[3 + i] = page[2][i]
end
return reply
