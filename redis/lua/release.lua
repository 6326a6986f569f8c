-- Gives leases up, naming who shall have each. Form: codec/script.h, `release`.
--
-- Promises: only the owner, by node, incarnation and fence, gives a lease up. Fence and sequence stay, so that the next fence
-- is higher and the next commit follows. The published mark is moved to the one given, never back and never past the sequence. A
-- repeat answers `free` and changes nothing. The heads are counted whatever the answer. One HSET writes a lease.

local function number(text)
    if text and #text <= 16 and string.find(text, '^%d+$') then
        local n = tonumber(text)
        return n < 9007199254740992 and n
    end
end

local count = #KEYS / 2
if count < 1 or count ~= math.floor(count) or #ARGV ~= 2 + 3 * count then
    return {err = 'BADCALL release: 2 keys a partition, 2 arguments and 3 for each partition wanted'}
end
local node, incarnation = ARGV[1], ARGV[2]
if node == '' or incarnation == '' then
    return {err = 'BADCALL release: node or incarnation is empty'}
end

local time = redis.call('TIME')
local now = string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))

local leases, heads = {}, {}
for p = 1, count do
    if not number(ARGV[3 * p]) or not number(ARGV[2 + 3 * p]) then
        return {err = 'BADCALL release: fence or published mark of partition ' .. p .. ' is not as it must be'}
    end
    leases[p] = redis.call('HMGET', KEYS[2 * p - 1], 'node', 'inc', 'fence', 'seq', 'pub')
    heads[p] = redis.call('HLEN', KEYS[2 * p])
end

local reply = {now}
for p = 1, count do
    local l = leases[p]
    local status = 'other'
    if not l[1] or l[1] == '' then
        status = 'free'
    elseif l[1] == node and l[2] == incarnation and l[3] == ARGV[3 * p] then
        status = 'held'
        local stored, upto = tonumber(l[5]) or 0, number(ARGV[2 + 3 * p])
        if upto > (tonumber(l[4]) or 0) then
            upto = tonumber(l[4]) or 0
        end
        if upto < stored then
            upto = stored
        end
        redis.call('HSET', KEYS[2 * p - 1], 'node', '', 'inc', '', 'exp', '0', 'succ', ARGV[1 + 3 * p], 'pub',
            string.format('%.0f', upto))
    end
    reply[#reply + 1] = status
    reply[#reply + 1] = l[1] or ''
    reply[#reply + 1] = l[3] or '0'
    reply[#reply + 1] = string.format('%.0f', heads[p])
end
return reply
