-- Gives leases up, naming who shall have each. Form: codec/script.h, `release`.
--
-- Promises: only the owner, by node, incarnation and fence, gives a lease up. Fence and sequence stay, so that the next fence
-- is higher and the next commit follows. A repeat answers `free` and changes nothing. One HSET writes a lease.

if #KEYS == 0 or #ARGV ~= 2 + 2 * #KEYS then
    return {err = 'BADCALL release: 2 arguments and 2 for each key wanted'}
end
local node, incarnation = ARGV[1], ARGV[2]
if node == '' or incarnation == '' then
    return {err = 'BADCALL release: node or incarnation is empty'}
end

local time = redis.call('TIME')
local now = string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))

local leases = {}
for p = 1, #KEYS do
    leases[p] = redis.call('HMGET', KEYS[p], 'node', 'inc', 'fence')
end

local reply = {now}
for p = 1, #KEYS do
    local l = leases[p]
    local status = 'other'
    if not l[1] or l[1] == '' then
        status = 'free'
    elseif l[1] == node and l[2] == incarnation and l[3] == ARGV[1 + 2 * p] then
        status = 'held'
        redis.call('HSET', KEYS[p], 'node', '', 'inc', '', 'exp', '0', 'succ', ARGV[2 + 2 * p])
    end
    reply[#reply + 1] = status
    reply[#reply + 1] = l[1] or ''
    reply[#reply + 1] = l[3] or '0'
end
return reply
