/**
 * Adds events to one history list, atomically.
 *
 * Input:  KEYS[1] the list: a sorted set, score = time in ms, member = arrival (11 characters that sort like the number),
 *         id, line break, fields as JSON
 *         KEYS[2] the set of the ids in the list
 *         ARGV[1] most events to keep; ARGV[2] oldest time to keep; ARGV[3] lifetime of both keys in ms
 *         ARGV[4...] for each event: id, time, arrival, fields
 * Output: how many events were new.
 * Effect: an id that is in the list already changes nothing; the oldest events beyond the bounds leave, and their ids.
 *         A cache may evict one of the two keys by itself; then the ids are made anew from the list.
 */
export const APPEND_SCRIPT = `
local most, oldest = tonumber(ARGV[1]), tonumber(ARGV[2])
local function id_of(member) return string.match(member, '^[^\\n]*', 12) end
if redis.call('SCARD', KEYS[2]) ~= redis.call('ZCARD', KEYS[1]) then
  redis.call('DEL', KEYS[2])
  for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do redis.call('SADD', KEYS[2], id_of(member)) end
end
local added = 0
for i = 4, #ARGV, 4 do
  if tonumber(ARGV[i + 1]) >= oldest and redis.call('SADD', KEYS[2], ARGV[i]) == 1 then
    redis.call('ZADD', KEYS[1], ARGV[i + 1], ARGV[i + 2] .. ARGV[i] .. '\\n' .. ARGV[i + 3])
    added = added + 1
  end
end
local function drop(members)
  for _, member in ipairs(members) do
    redis.call('ZREM', KEYS[1], member)
    redis.call('SREM', KEYS[2], id_of(member))
  end
end
drop(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[2]))
local excess = redis.call('ZCARD', KEYS[1]) - most
if excess > 0 then drop(redis.call('ZRANGE', KEYS[1], 0, excess - 1)) end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return added
`;

/**
 * Reads several lists. One text for a list instead of an array of its members, because a client spends more on each
 * element of a reply than Redis does on joining them.
 *
 * Input:  KEYS the lists
 *         ARGV for each list: oldest time, most events, 1 when fields are wanted and 0 when not
 * Output: for each list its events, newest first, as lines: time, id, and the fields as JSON when wanted. Neither ids nor
 *         JSON hold line breaks.
 * Effect: none.
 */
export const READ_SCRIPT = `
local texts = {}
for i, key in ipairs(KEYS) do
  local at = (i - 1) * 3
  local found = redis.call('ZREVRANGEBYSCORE', key, '+inf', ARGV[at + 1], 'WITHSCORES', 'LIMIT', 0, ARGV[at + 2])
  local lines = {}
  for j = 1, #found, 2 do
    lines[j] = found[j + 1]
    lines[j + 1] = ARGV[at + 3] == '1' and string.sub(found[j], 12) or string.match(found[j], '^[^\\n]*', 12)
  end
  texts[i] = table.concat(lines, '\\n')
end
return texts
`;
