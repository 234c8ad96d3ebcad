/** A slice of time that one summary stands for, in ms. */
export const SLICE_MS = 6 * 3_600_000;

/**
 * What both scripts know of a list. KEYS: the list, a sorted set (score = time in ms, member = arrival (11 characters that sort like the
 * number), id, line break, fields as JSON); the set of its ids; its summaries, a hash: slice -> "count newest" and, for each field of
 * numbers, " name count sum min max"; `n` -> how many events all of them together stand for.
 */
const SHARED = `
local SLICE = ${SLICE_MS}
local function id_of(member) return string.match(member, '^[^\\n]*', 12) end
local function slice_of(at) return math.floor(at / SLICE) end
local function read_summary(text)
  local sum = {count = 0, newest = 0, fields = {}}
  if not text then return sum end
  local words = {}
  for word in string.gmatch(text, '%S+') do words[#words + 1] = word end
  sum.count, sum.newest = tonumber(words[1]), tonumber(words[2])
  for i = 3, #words, 5 do
    sum.fields[words[i]] = {tonumber(words[i + 1]), tonumber(words[i + 2]), tonumber(words[i + 3]), tonumber(words[i + 4])}
  end
  return sum
end
local function write_summary(sum)
  local words = {string.format('%d %d', sum.count, sum.newest)}
  for name, f in pairs(sum.fields) do
    words[#words + 1] = string.format('%s %d %.17g %.17g %.17g', name, f[1], f[2], f[3], f[4])
  end
  return table.concat(words, ' ')
end
local function count_event(sum, at, json)
  sum.count = sum.count + 1
  if at > sum.newest then sum.newest = at end
  for name, value in pairs(cjson.decode(json)) do
    if value == true then value = 1 elseif value == false then value = 0 end
    if type(value) == 'number' and string.match(name, '^[%a_][%w_]*$') then
      local f = sum.fields[name]
      if f then
        f[1], f[2] = f[1] + 1, f[2] + value
        if value < f[3] then f[3] = value end
        if value > f[4] then f[4] = value end
      else sum.fields[name] = {1, value, value, value} end
    end
  end
end
`;

/**
 * Adds events to one list, atomically.
 *
 * Input:  KEYS[1..3] as above
 *         ARGV[1] events to keep; ARGV[2] oldest time to keep; ARGV[3] lifetime of the keys in ms
 *         ARGV[4...] for each event: id, time, arrival, fields
 * Output: how many events were new.
 * Effect: an id that is in the list already changes nothing, and so does an event older than those that had to make room. Events leave by
 *         whole slices of age, and a sixteenth at a time when there are too many. A cache may evict one of the keys by itself; then the
 *         others are made again from the list.
 */
export const APPEND_SCRIPT = `${SHARED}
local most, oldest = tonumber(ARGV[1]), tonumber(ARGV[2])
oldest = slice_of(oldest) * SLICE
local events, ids, sums = KEYS[1], KEYS[2], KEYS[3]
local changed, dirty = {}, {}
local total = redis.call('ZCARD', events)
if redis.call('SCARD', ids) ~= total then
  redis.call('DEL', ids)
  for _, member in ipairs(redis.call('ZRANGE', events, 0, -1)) do redis.call('SADD', ids, id_of(member)) end
end
local floor = tonumber(redis.call('HGET', sums, 'floor') or '0')
if tonumber(redis.call('HGET', sums, 'n') or '0') ~= total then
  redis.call('DEL', sums)
  if floor > 0 then redis.call('HSET', sums, 'floor', floor) end
  local found = redis.call('ZRANGE', events, 0, -1, 'WITHSCORES')
  for i = 2, #found, 2 do dirty[slice_of(tonumber(found[i]))] = true end
end
local added = 0
for i = 4, #ARGV, 4 do
  local at = tonumber(ARGV[i + 1])
  if at >= oldest and at > floor and redis.call('SADD', ids, ARGV[i]) == 1 then
    redis.call('ZADD', events, ARGV[i + 1], ARGV[i + 2] .. ARGV[i] .. '\\n' .. ARGV[i + 3])
    local slice = slice_of(at)
    if not dirty[slice] then
      changed[slice] = changed[slice] or read_summary(redis.call('HGET', sums, slice))
      count_event(changed[slice], at, ARGV[i + 3])
    end
    added = added + 1
  end
end
local function drop(found)
  for i = 1, #found, 2 do
    redis.call('ZREM', events, found[i])
    redis.call('SREM', ids, id_of(found[i]))
    local slice = slice_of(tonumber(found[i + 1]))
    dirty[slice], changed[slice] = true, nil
  end
end
drop(redis.call('ZRANGEBYSCORE', events, '-inf', '(' .. oldest, 'WITHSCORES'))
total = redis.call('ZCARD', events)
local slack = math.floor(most / 16)
if total > most + slack then
  local found = redis.call('ZRANGE', events, 0, total - most - 1, 'WITHSCORES')
  drop(found)
  floor = math.max(floor, tonumber(found[#found]))
  redis.call('HSET', sums, 'floor', floor)
  total = most
end
for slice, sum in pairs(changed) do redis.call('HSET', sums, slice, write_summary(sum)) end
for slice in pairs(dirty) do
  local from = slice * SLICE
  local found = redis.call('ZRANGEBYSCORE', events, from, '(' .. from + SLICE, 'WITHSCORES')
  local sum = read_summary(nil)
  for i = 1, #found, 2 do
    count_event(sum, tonumber(found[i + 1]), string.sub(found[i], (string.find(found[i], '\\n', 12, true)) + 1))
  end
  if sum.count > 0 then redis.call('HSET', sums, slice, write_summary(sum)) else redis.call('HDEL', sums, slice) end
end
redis.call('HSET', sums, 'n', total)
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[3]) end
return added
`;

/**
 * Reads several lists. One text for a list instead of an array of its members, because a client spends more on each
 * element of a reply than Redis does on joining them.
 *
 * Input:  KEYS for each list the list and its summaries
 *         ARGV for each list: oldest time, most events, 1 when fields are wanted and 0 when not, newest events that must be events or -1 when all
 *         must, how many edges follow, the edges in ms
 * Output: for each list, newest first, lines of an event: time, id, and the fields as JSON when wanted. Neither ids nor
 *         JSON hold line breaks. A summary of a slice: S and the time of its newest event, its text, and an empty line when fields are wanted.
 *         A slice that an edge or the last of the events divides comes as events.
 * Effect: none.
 */
export const READ_SCRIPT = `
local SLICE = ${SLICE_MS}
local texts = {}
local at = 1
for i = 1, #KEYS, 2 do
  local since, most, fields, newest, edges = ARGV[at], ARGV[at + 1], ARGV[at + 2] == '1', tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
  at = at + 5
  local lines, n = {}, 0
  local function events(found)
    for j = 1, #found, 2 do
      lines[n + 1] = found[j + 1]
      lines[n + 2] = fields and string.sub(found[j], 12) or string.match(found[j], '^[^\\n]*', 12)
      n = n + 2
    end
  end
  local total = newest >= 0 and redis.call('ZCARD', KEYS[i]) or 0
  if total <= newest + 32 or redis.call('HGET', KEYS[i + 1], 'n') ~= tostring(total) then
    events(redis.call('ZREVRANGEBYSCORE', KEYS[i], '+inf', since, 'WITHSCORES', 'LIMIT', 0, most))
  else
    local divided = {[math.floor(since / SLICE)] = true}
    for j = 0, edges - 1 do divided[math.floor(ARGV[at + j] / SLICE)] = true end
    local from = math.huge
    if newest > 0 then
      local last = redis.call('ZREVRANGE', KEYS[i], newest - 1, newest - 1, 'WITHSCORES')
      from = math.floor(last[2] / SLICE) * SLICE
      events(redis.call('ZREVRANGEBYSCORE', KEYS[i], '+inf', math.max(from, tonumber(since)), 'WITHSCORES'))
    end
    local sums, slices = {}, {}
    local all = redis.call('HGETALL', KEYS[i + 1])
    for j = 1, #all, 2 do
      local slice = tonumber(all[j])
      if slice and slice * SLICE < from and (slice + 1) * SLICE > tonumber(since) then
        slices[#slices + 1], sums[slice] = slice, all[j + 1]
      end
    end
    table.sort(slices, function(a, b) return a > b end)
    for _, slice in ipairs(slices) do
      local first = slice * SLICE
      if divided[slice] then
        events(redis.call('ZREVRANGEBYSCORE', KEYS[i], '(' .. first + SLICE, math.max(first, tonumber(since)), 'WITHSCORES'))
      else
        lines[n + 1], lines[n + 2] = 'S' .. string.match(sums[slice], '^%d+ (%d+)'), sums[slice]
        n = n + 2
        if fields then lines[n + 1] = ''; n = n + 1 end
      end
    end
  end
  at = at + edges
  texts[#texts + 1] = table.concat(lines, '\\n')
end
return texts
`;
