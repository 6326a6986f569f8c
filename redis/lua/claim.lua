-- Takes the leases of partitions that are free. Form: codec/script.h, `claim`.
--
-- Promises:
--   A lease is taken only when nobody holds it: no record, no owner, expired by the store's clock, or its renewal counter is
--   still the one that the caller saw standing for two leases.
--   The fence of a new owner is higher than every fence stored or heard: max(stored + 1, now in us, heard + 1), below 2^53.
--   Sequence, published mark, horizon and bytes stay; the digests of the former owner's commits are emptied, so that a digest
--   that is found was made under the fence that is stored. The sequence at which the new fence began is kept in `beg`; the
--   successor that was named is forgotten.
--   The renewal counter goes on counting, so that one who watched the former owner's does not take the new owner for dead.
--   A lease that is the caller's already is answered unchanged, so a repeat changes nothing; unless the caller has heard its
--   fence, as one has that gave it up: it gets a new one, so that what it sent under the old one is dead. One HSET writes a lease.
--   A record of another version is left alone, and told as `other` without a history; its neighbours are served.
--   Numbers that a record does not have are told as 0. For `beg`, which records made before there was one do not have, that is
--   the safe side: a beginning is compared from below (did it begin at or after what we know?), and 0 never says so wrongly.

local MAX = 9007199254740992 -- 2^53: above it numbers are not exact

local function number(text)
    if text and #text <= 16 and string.find(text, '^%d+$') then
        local n = tonumber(text)
        return n < MAX and n
    end
end

local function digits(n)
    return string.format('%.0f', n)
end

if #KEYS == 0 or #ARGV ~= 3 + 3 * #KEYS then
    return {err = 'BADCALL claim: 3 arguments and 3 for each key wanted'}
end
local node, incarnation, lease_ms = ARGV[1], ARGV[2], number(ARGV[3])
if node == '' or incarnation == '' or not lease_ms then
    return {err = 'BADCALL claim: node, incarnation or lease_ms is not as it must be'}
end

local time = redis.call('TIME')
local now_us = tonumber(time[1]) * 1000000 + tonumber(time[2])
local now = math.floor(now_us / 1000)

local leases, fences = {}, {}
for p = 1, #KEYS do
    local at = 3 * p
    local heard, history, stood = number(ARGV[at + 1]), ARGV[at + 2], ARGV[at + 3]
    if not heard or history == '' then
        return {err = 'BADCALL claim: fence or history of key ' .. p .. ' is not as it must be'}
    end
    local l = redis.call('HMGET', KEYS[p], 'v', 'history', 'node', 'inc', 'fence', 'seq', 'pub', 'hor', 'bytes', 'ren', 'exp',
        'beg', 'succ')
    local known = not l[1] or l[1] == '1'
    if not known then
        l = {}
    end
    local mine = l[3] == node and l[4] == incarnation
    local free = not l[3] or l[3] == '' or (tonumber(l[11]) or 0) <= now or (stood ~= '' and stood == l[10])
    local given_up = mine and (tonumber(l[5]) or 0) <= heard
    if known and ((free and not mine) or given_up) then
        local fence = (tonumber(l[5]) or 0) + 1
        if fence < now_us then
            fence = now_us
        end
        if fence <= heard then
            fence = heard + 1
        end
        if fence >= MAX then
            return {err = 'BADCALL claim: the fence of ' .. KEYS[p] .. ' would reach 2^53'}
        end
        fences[p] = digits(fence)
    end
    leases[p] = l
end

local reply = {digits(now)}
for p = 1, #KEYS do
    local l = leases[p]
    if fences[p] then
        l[2] = l[2] or ARGV[3 * p + 2]
        l[3], l[4], l[5] = node, incarnation, fences[p]
        l[6], l[7], l[8], l[9] = l[6] or '0', l[7] or '0', l[8] or '0', l[9] or '0'
        l[10] = digits((tonumber(l[10]) or 0) + 1)
        l[11] = digits(now + lease_ms)
        l[12], l[13] = l[6], ''
        redis.call('HSET', KEYS[p], 'v', '1', 'history', l[2], 'node', node, 'inc', incarnation, 'fence', l[5], 'seq', l[6],
            'pub', l[7], 'hor', l[8], 'bytes', l[9], 'ren', l[10], 'exp', l[11], 'beg', l[12], 'succ', '', 'd0', '',
            'd1', '', 'd2', '', 'd3', '', 'd4', '', 'd5', '', 'd6', '', 'd7', '')
    end
    reply[#reply + 1] = (l[3] == node and l[4] == incarnation) and 'held' or 'other'
    for i = 2, 13 do
        reply[#reply + 1] = l[i] or (i >= 5 and i <= 12 and '0') or ''
    end
end
return reply
