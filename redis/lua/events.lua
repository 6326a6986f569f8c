-- A stretch of a partition's outbox, for one session or all. Form: codec/script.h, `events`.
--
-- Promises: reads only. Nothing is told to one who does not hold the partition by node, incarnation and fence. Entries above
-- the stored sequence belong to a commit that died half-way: they are not told. Entries come in order, and every entry up to the
-- id told as the last has been looked at, so that the next call goes on behind it.

if #KEYS ~= 2 or #ARGV ~= 6 then
    return {err = 'BADCALL events: 2 keys and 6 arguments wanted'}
end
local from, limit, session = ARGV[4], tonumber(ARGV[5]), ARGV[6]
if not limit or limit < 1 or not (from == '' or string.find(from, '^%d+$') or string.find(from, '^%d+-%d+$')) then
    return {err = 'BADCALL events: from or count is not as it must be'}
end
local time = redis.call('TIME')
local now = string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))

local l = redis.call('HMGET', KEYS[1], 'node', 'inc', 'fence', 'seq')
if not l[1] or l[1] == '' then
    return {now, 'free', ''}
end
if l[1] ~= ARGV[1] or l[2] ~= ARGV[2] or l[3] ~= ARGV[3] then
    return {now, 'other', ''}
end

local first = from == '' and '-' or '(' .. from
local entries = redis.call('XRANGE', KEYS[2], first, l[4] or '0', 'COUNT', string.format('%.0f', limit))
local reply = {now, 'held', #entries == limit and entries[#entries][1] or ''}
local n = 3
for e = 1, #entries do
    local id, fields = entries[e][1], entries[e][2]
    for f = 1, #fields, 2 do
        if session == '' or session == fields[f] then
            reply[n + 1], reply[n + 2], reply[n + 3] = id, fields[f], fields[f + 1]
            n = n + 3
        end
    end
end
return reply
