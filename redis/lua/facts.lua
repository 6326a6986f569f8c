-- Reads what is remembered of names: fields of hash t. Form: codec/script.h, `facts`.
--
-- Promises: reads only. Nothing is told to one who does not hold the partition by node, incarnation and fence.

local count = #KEYS / 2
if count < 1 or count ~= math.floor(count) or #ARGV ~= 2 + 2 * count then
    return {err = 'BADCALL facts: 2 keys and 2 arguments for each name wanted'}
end
local time = redis.call('TIME')
local reply = {string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))}

local leases = {} -- by key: many names lie in one partition
for n = 1, count do
    local lease, fence, field = KEYS[2 * n - 1], ARGV[1 + 2 * n], ARGV[2 + 2 * n]
    local l = leases[lease] or redis.call('HMGET', lease, 'node', 'inc', 'fence')
    leases[lease] = l
    local status, value = 'other', false
    if not l[1] or l[1] == '' then
        status = 'free'
    elseif l[1] == ARGV[1] and l[2] == ARGV[2] and l[3] == fence then
        status = 'held'
        value = redis.call('HGET', KEYS[2 * n], field)
    end
    reply[2 * n] = status
    reply[2 * n + 1] = value
end
return reply
