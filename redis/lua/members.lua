-- A node's heartbeat in the store, and everybody's. Form: codec/script.h, `members`.
--
-- Promises:
--   Everything is read and judged before anything is written. A caller whose node id is held by another living incarnation
--   writes nothing, also when it only wants to leave.
--   A repeat writes the caller's record again, with a later expiry, and changes nothing else; one that leaves twice is gone.
--   Told are the caller, unless it leaves, and whoever is alive by the store's clock, sorted by node id. A record that expired
--   ten minutes ago is deleted by whoever writes next; until then it is there to be looked at. A value of another form is
--   neither told nor touched, but for the caller's own, which counts as dead.

local KEPT_MS = 600000
local PHASES = {working = true, deaf = true, draining = true, [''] = true}

local function number(text)
    if text and #text <= 16 and string.find(text, '^%d+$') then
        local n = tonumber(text)
        return n < 9007199254740992 and n
    end
end

if #KEYS ~= 1 or #ARGV ~= 4 then
    return {err = 'BADCALL members: 1 key and 4 arguments wanted'}
end
local node, incarnation, lease_ms, phase = ARGV[1], ARGV[2], number(ARGV[3]), ARGV[4]
if node == '' or not string.find(incarnation, '^%S+$') or not lease_ms or not PHASES[phase] then
    return {err = 'BADCALL members: node, incarnation, lease_ms or phase is not as it must be'}
end

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local alive, names, old = {}, {}, {}
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
    local inc, exp, said = string.match(fields[i + 1], '^(%S+) (%d+) (%S+)$')
    exp = number(exp)
    if exp and exp > now then
        alive[fields[i]] = {inc, said, string.format('%.0f', exp)}
        names[#names + 1] = fields[i]
    elseif exp and exp + KEPT_MS <= now then
        old[#old + 1] = fields[i]
    end
end

local status = 'held'
if alive[node] and alive[node][1] ~= incarnation then
    status = 'other'
else
    for i = 1, #old do
        redis.call('HDEL', KEYS[1], old[i])
    end
    if phase == '' then
        redis.call('HDEL', KEYS[1], node)
        alive[node] = nil
    else
        local expires = string.format('%.0f', now + lease_ms)
        redis.call('HSET', KEYS[1], node, incarnation .. ' ' .. expires .. ' ' .. phase)
        if not alive[node] then
            names[#names + 1] = node
        end
        alive[node] = {incarnation, phase, expires}
    end
end

table.sort(names)
local reply = {string.format('%.0f', now), status}
local n = 2
for i = 1, #names do
    local it = alive[names[i]]
    if it then
        reply[n + 1], reply[n + 2], reply[n + 3], reply[n + 4] = names[i], it[1], it[2], it[3]
        n = n + 4
    end
end
return reply
