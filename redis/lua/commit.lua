-- Writes what one turn of a node staged, for many partitions. Form: codec/script.h, `commit`.
--
-- Promises:
--   Nothing is written before everything of every partition was read and judged. A call that is not well formed writes nothing.
--   A partition is written only for its owner, by node, incarnation and fence, and only as the commit after the stored one.
--   A section (one session; one section a session) is written whole or, when one of its conditions fails, not at all. A
--   condition holds when its field of hash t is absent or has exactly the value given: what a half-done run of this very
--   commit wrote does not fail it.
--   Only absolute values are written, and sequence and digest last. A script that died half-way can therefore be repeated
--   byte-identically: the same sections are skipped, the rest is written again, with the same verdict.
--   Every verdict tells fence and sequence as stored, and the sequence at which that fence began (0: not known).
--   A commit that was applied, among the last 8, answers `again` with the sections that were skipped then; of their
--   conditions, those that fail now.
--   An outbox entry has the id <seq>-1 and is not added twice. Should a half-done commit of a former owner have left an entry
--   of this number, it is deleted and ours gets the next id, <seq>-2. Nobody published it: `events` tells entries up to the
--   stored sequence only.
--   Dead letters are entries of their own, <seq>-1, <seq>-2...: of those that a half-done run of this very commit wrote, the rest
--   is added; others of this number are leftovers too. Then the oldest letters go that are more than the bound given.

local MAX = 9007199254740992 -- 2^53: above it numbers are not exact
local CHUNK = 3000           -- values in one redis.call: Lua's stack holds 8,000

local node, incarnation = ARGV[1], ARGV[2]
local at = 3 -- the next argument
local bad    -- why the call is not well formed

local function number(what)
    local text = ARGV[at]
    at = at + 1
    if text and #text <= 16 and string.find(text, '^%d+$') then
        local n = tonumber(text)
        if n < MAX then
            return n
        end
    end
    bad = bad or (what .. ' (argument ' .. (at - 1) .. ') is not a number below 2^53')
    return 0
end

-- HMGET of any number of fields: an array of values, false where there is none.
local function get_all(key, fields, count)
    local values = {}
    for first = 1, count, CHUNK do
        local last = first + CHUNK - 1
        if last > count then
            last = count
        end
        local some = redis.call('HMGET', key, unpack(fields, first, last))
        for i = first, last do
            values[i] = some[i - first + 1]
        end
    end
    return values
end

local function call_all(command, key, list, count)
    for first = 1, count, CHUNK do
        local last = first + CHUNK - 1
        if last > count then
            last = count
        end
        redis.call(command, key, unpack(list, first, last))
    end
end

-- Where each code goes: the key's place after the lease, and whether it sets or deletes.
local HASH = {s = 2, S = 2, i = 3, I = 3, x = 4, X = 4, t = 5, T = 5}
local SETS = {s = true, i = true, x = true, t = true}
local OTHER = {['?'] = true, o = true, d = true, D = true, ['-'] = true}

-- Reads the shape of one section: where its operations begin, and its conditions.
local function read_section(part)
    local count = number('number of operations')
    local section = {first = at, last = at + 3 * count - 3, asked = part.asked}
    if at + 3 * count - 1 > #ARGV then
        bad = bad or 'operations are missing'
        return
    end
    for a = at, section.last, 3 do
        local code = ARGV[a]
        if code == '?' then
            part.asked = part.asked + 1
            part.ask[part.asked] = ARGV[a + 1]
            part.want[part.asked] = ARGV[a + 2]
        elseif not HASH[code] and not OTHER[code] then
            bad = bad or ('operation ' .. code .. ' is unknown')
        elseif (code == '-' or code == 'D') and not string.find(ARGV[a + 2], '^%d+$') then
            bad = bad or 'a trim without a number'
        end
    end
    section.asked_last = part.asked
    at = at + 3 * count
    part.sections[#part.sections + 1] = section
end

local function read_partition(p)
    local part = {key = 7 * (p - 1), fence = ARGV[at], ask = {}, want = {}, asked = 0, sections = {}}
    number('fence')
    part.seq = number('sequence')
    part.digest = ARGV[at]
    at = at + 1
    part.pub = number('published mark')
    part.hor = number('horizon')
    part.bytes = number('bytes')
    if not part.digest or part.digest == '' then
        bad = bad or 'a digest is missing'
    end
    local count = number('number of sections')
    while count > 0 and not bad do
        read_section(part)
        count = count - 1
    end
    part.id = string.format('%.0f', part.seq)
    part.cell = 'd' .. (part.seq % 8)
    part.cell_before = 'd' .. ((part.seq + 7) % 8)
    return part
end

-- The sections whose conditions fail: an array of {index, failed fields and values...}.
local function judge(part, only)
    local have = get_all(KEYS[part.key + 5], part.ask, part.asked)
    local skipped = {}
    for index = 1, #part.sections do
        local section = part.sections[index]
        local failed = {}
        for c = section.asked + 1, section.asked_last do
            if have[c] and have[c] ~= part.want[c] then
                failed[#failed + 1] = part.ask[c]
                failed[#failed + 1] = have[c]
            end
        end
        local told = #failed > 0
        if only then
            told = only[index - 1]
        end
        if told then
            section.skipped = true
            skipped[#skipped + 1] = {index - 1, failed}
        end
    end
    return skipped
end

-- Compares the lease; for a commit that fits or was applied, judges its sections.
local function compare(part)
    local l = redis.call('HMGET', KEYS[part.key + 1], 'node', 'inc', 'fence', 'seq', part.cell, part.cell_before, 'beg')
    part.stored = tonumber(l[4]) or 0
    part.fence_stored, part.began = l[3] or '0', l[7] or '0'
    part.first = not l[6] or l[6] == '' -- the first commit under this fence: it may find leftovers
    part.skipped = {}
    if not l[1] or l[1] == '' then
        return 'free'
    end
    if l[1] ~= node or l[2] ~= incarnation or l[3] ~= part.fence then
        return 'other'
    end
    if part.stored == part.seq - 1 then
        part.skipped = judge(part)
        return 'held'
    end
    if part.stored < part.seq or part.stored >= part.seq + 8 then
        return 'sequence'
    end
    local digest, list = string.match(l[5] or '', '^(.*):([%d,]*)$')
    if digest ~= part.digest then
        return 'sequence'
    end
    local only = {}
    for index in string.gmatch(list, '%d+') do
        only[tonumber(index)] = true
    end
    part.skipped = judge(part, only)
    return 'again'
end

-- Gathers a partition's operations: per hash the last value of each field (false: delete), the events, the dead letters.
local function gather(part)
    local hashes = {}
    for k = 2, 5 do
        hashes[k] = {value = {}, order = {}, count = 0}
    end
    part.hashes, part.events, part.letters = hashes, {}, {}
    local events = 0
    for index = 1, #part.sections do
        local section = part.sections[index]
        for a = section.first, section.skipped and 0 or section.last, 3 do
            local code, field, value = ARGV[a], ARGV[a + 1], ARGV[a + 2]
            local h = hashes[HASH[code]]
            if h then
                if h.value[field] == nil then
                    h.count = h.count + 1
                    h.order[h.count] = field
                end
                h.value[field] = SETS[code] and value
            elseif code == 'o' then
                part.events[events + 1], part.events[events + 2] = field, value
                events = events + 2
            elseif code == 'd' then
                part.letters[#part.letters + 1] = {field, value}
            elseif code == 'D' then
                part.letters_most = value
            elseif code == '-' then
                local upto = tonumber(value)
                if not part.trim or upto > part.trim then
                    part.trim = upto
                end
            end
        end
    end
end

local function same(one, other)
    for i = 1, #one do
        if one[i] ~= other[i] then
            return false
        end
    end
    return #one == #other
end

-- The entries of a stream that have this commit's number, and the last of their second numbers.
local function entries_of(part, key)
    local there = redis.call('XRANGE', key, part.id .. '-0', '+')
    local minor = 0
    for e = 1, #there do
        local major, n = string.match(there[e][1], '^(%d+)-(%d+)$')
        if major ~= part.id then
            bad = bad or (key .. ' is ahead of its lease: it holds ' .. there[e][1])
            return {}, 0
        end
        minor = tonumber(n)
    end
    return there, minor
end

-- How many of the lists, from the first, are the last entries already: written by a half-done run of this very commit.
local function written(there, lists)
    local count = #lists < #there and #lists or #there
    while count > 0 do
        local e = 1
        while e <= count and same(there[#there - count + e][2], lists[e]) do
            e = e + 1
        end
        if e > count then
            return count
        end
        count = count - 1
    end
    return 0
end

-- What to do with a stream: which lists are still to be added as entries, behind which number, and the leftovers to delete.
local function place(part, key, lists)
    local where = {lists = lists, done = 0, minor = 0, leftovers = {}}
    if #lists == 0 and not part.first then
        return where
    end
    local there
    there, where.minor = entries_of(part, key)
    where.done = written(there, lists)
    for e = 1, #there - where.done do
        where.leftovers[e] = there[e][1]
    end
    return where
end

-- Adds before it deletes: an id that was given once cannot be given again.
local function add(part, key, where)
    for i = where.done + 1, #where.lists do
        local id = part.id .. '-' .. string.format('%.0f', where.minor + i - where.done)
        redis.call('XADD', key, id, unpack(where.lists[i]))
    end
    if #where.leftovers > 0 then
        redis.call('XDEL', key, unpack(where.leftovers))
    end
end

local function write_hash(key, h)
    local set, delete, sets, deletes = {}, {}, 0, 0
    for i = 1, h.count do
        local field = h.order[i]
        local value = h.value[field]
        if value then
            set[sets + 1], set[sets + 2] = field, value
            sets = sets + 2
        else
            deletes = deletes + 1
            delete[deletes] = field
        end
    end
    call_all('HSET', key, set, sets)
    call_all('HDEL', key, delete, deletes)
end

local function write(part)
    local key = part.key
    for k = 2, 5 do
        write_hash(KEYS[key + k], part.hashes[k])
    end
    add(part, KEYS[key + 6], part.event_place)
    add(part, KEYS[key + 7], part.letter_place)
    if part.letters_most then
        redis.call('XTRIM', KEYS[key + 7], 'MAXLEN', '=', part.letters_most)
    end
    if part.trim then
        -- What is not known to be published stays, whatever the caller says.
        local upto = part.trim < part.pub and part.trim or part.pub
        redis.call('XTRIM', KEYS[key + 6], 'MINID', '=', string.format('%.0f', upto + 1))
    end
    local skipped = {}
    for i = 1, #part.skipped do
        skipped[i] = string.format('%.0f', part.skipped[i][1])
    end
    redis.call('HSET', KEYS[key + 1], 'pub', string.format('%.0f', part.pub), 'hor', string.format('%.0f', part.hor),
        'bytes', string.format('%.0f', part.bytes), 'seq', part.id, part.cell, part.digest .. ':' .. table.concat(skipped, ','))
    part.stored = part.seq
end

local count = #KEYS / 7
if count < 1 or count ~= math.floor(count) or not incarnation or node == '' or incarnation == '' then
    return {err = 'BADCALL commit: 7 keys a partition, a node and an incarnation wanted'}
end
local parts = {}
for p = 1, count do
    parts[p] = read_partition(p)
    if bad then
        return {err = 'BADCALL commit: ' .. bad}
    end
end
if at ~= #ARGV + 1 then
    return {err = 'BADCALL commit: arguments are left over'}
end

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
for p = 1, count do
    local part = parts[p]
    part.status = compare(part)
    if part.status == 'held' then
        gather(part)
        if #part.events > CHUNK then
            bad = bad or 'more events in one partition than one entry holds'
        end
        part.event_place = place(part, KEYS[part.key + 6], #part.events > 0 and {part.events} or {})
        part.letter_place = place(part, KEYS[part.key + 7], part.letters)
    end
    if bad then
        return {err = 'BADCALL commit: ' .. bad}
    end
end

for p = 1, count do
    if parts[p].status == 'held' then
        write(parts[p])
    end
end

local reply = {string.format('%.0f', now)}
local n = 1
for p = 1, count do
    local part = parts[p]
    reply[n + 1] = part.status
    reply[n + 2] = string.format('%.0f', part.stored)
    reply[n + 3] = part.fence_stored
    reply[n + 4] = part.began
    reply[n + 5] = tostring(#part.skipped)
    n = n + 5
    for i = 1, #part.skipped do
        local index, failed = part.skipped[i][1], part.skipped[i][2]
        reply[n + 1] = string.format('%.0f', index)
        reply[n + 2] = string.format('%.0f', #failed / 2)
        n = n + 2
        for j = 1, #failed do
            n = n + 1
            reply[n] = failed[j]
        end
    end
end
return reply
