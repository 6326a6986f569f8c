-- Extends leases. Form: codec/script.h, `renew`.
--
-- Promises: only the owner, by node, incarnation and fence, extends a lease; one that expired and was not taken is extended
-- too. A repeat extends it again and changes nothing else. One HSET writes a lease. Whoever holds it is told, with the sequence at
-- which its fence began (0: not known).

local function number(text)
    if text and #text <= 16 and string.find(text, '^%d+$') then
        local n = tonumber(text)
        return n < 9007199254740992 and n
    end
end

if #KEYS == 0 or #ARGV ~= 3 + 2 * #KEYS then
    return {err = 'BADCALL renew: 3 arguments and 2 for each key wanted'}
end
local node, incarnation, lease_ms = ARGV[1], ARGV[2], number(ARGV[3])
if node == '' or incarnation == '' or not lease_ms then
    return {err = 'BADCALL renew: node, incarnation or lease_ms is not as it must be'}
end

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local expires = string.format('%.0f', now + lease_ms)

local leases = {}
for p = 1, #KEYS do
    if not number(ARGV[2 + 2 * p]) or not number(ARGV[3 + 2 * p]) then
        return {err = 'BADCALL renew: fence or counter of key ' .. p .. ' is not as it must be'}
    end
    leases[p] = redis.call('HMGET', KEYS[p], 'node', 'inc', 'fence', 'beg')
end

local reply = {string.format('%.0f', now)}
for p = 1, #KEYS do
    local l = leases[p]
    local status = 'other'
    if not l[1] or l[1] == '' then
        status = 'free'
    elseif l[1] == node and l[2] == incarnation and l[3] == ARGV[2 + 2 * p] then
        status = 'held'
        redis.call('HSET', KEYS[p], 'ren', ARGV[3 + 2 * p], 'exp', expires)
    end
    reply[#reply + 1] = status
    reply[#reply + 1] = l[1] or ''
    reply[#reply + 1] = l[3] or '0'
    reply[#reply + 1] = l[4] or '0'
end
return reply
