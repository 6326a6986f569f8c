-- Reads sessions: head, state and the rows of the active inputs. Form: codec/script.h, `load`.
--
-- Promises: reads only. Nothing is told to one who does not hold the partition by node, incarnation and fence. The rows are
-- those that the head lists before its '|'; a row that is listed and absent is told as nil, for the caller to report. A list
-- that cannot be read is told as no rows: the caller finds the head broken by itself.

local ROWS_MAX = 4096 -- active inputs of one session
local CHUNK = 3000    -- values in one redis.call

-- "3,5-9" -> {'3', '5', ...}; broken: {}.
local function sequences(text)
    local list = {}
    for item in string.gmatch(text, '[^,]+') do
        local first, last = string.match(item, '^(%d+)-(%d+)$')
        first = tonumber(first or string.match(item, '^%d+$'))
        last = tonumber(last) or first
        if not first or last < first or #list + last - first >= ROWS_MAX then
            return {}
        end
        for seq = first, last do
            list[#list + 1] = string.format('%.0f', seq)
        end
    end
    return list
end

local function rows(key, session, list, reply)
    for first = 1, #list, CHUNK do
        local fields = {}
        for i = first, #list do
            if i == first + CHUNK then
                break
            end
            fields[#fields + 1] = session .. '/' .. list[i]
        end
        local values = redis.call('HMGET', key, unpack(fields))
        for i = 1, #fields do
            reply[#reply + 1] = list[first + i - 1]
            reply[#reply + 1] = values[i]
        end
    end
end

local count = #KEYS / 4
if count < 1 or count ~= math.floor(count) or #ARGV ~= 2 + 2 * count then
    return {err = 'BADCALL load: 4 keys and 2 arguments for each session wanted'}
end
local time = redis.call('TIME')
local reply = {string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))}

for s = 1, count do
    local key, fence, session = 4 * (s - 1), ARGV[1 + 2 * s], ARGV[2 + 2 * s]
    local l = redis.call('HMGET', KEYS[key + 1], 'node', 'inc', 'fence')
    local status = 'other'
    if not l[1] or l[1] == '' then
        status = 'free'
    elseif l[1] == ARGV[1] and l[2] == ARGV[2] and l[3] == fence then
        status = 'held'
    end
    local head, state, list = false, false, {}
    if status == 'held' then
        head = redis.call('HGET', KEYS[key + 2], session)
        state = redis.call('HGET', KEYS[key + 4], session)
        list = sequences(string.match(head or '', '^([^|]*)|') or '')
    end
    reply[#reply + 1] = status
    reply[#reply + 1] = head
    reply[#reply + 1] = state
    reply[#reply + 1] = tostring(#list)
    rows(KEYS[key + 3], session, list, reply)
end
return reply
