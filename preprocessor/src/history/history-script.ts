/**
 * Appends events to the tails of entities. The layout of an entity's first bytes is described in `packed-entity.ts`.
 *
 * Input:  KEYS of the entities
 *         ARGV[1] lifetime of the keys in ms; [2] the packed part of an entity without events; [3] f64 the time up to
 *         which events are dropped; [4] the largest size of a tail in bytes; [5] for each entity f64 the time of its
 *         oldest new event, and u32 the bytes of its new events; [6] these bytes, one entity after the other
 * Output: a letter for each entity. a: appended. m: appended, and the tail is to be merged. w: nothing was done, and
 *         the entity must be written whole, because a new event is not newer than the older events, because it has
 *         events to drop, or because it is in another format.
 * Effect: all events of an entity are appended, or none. An event may be appended again; readers count it once.
 */
export const APPEND_SCRIPT = `
local life, empty, most = ARGV[1], ARGV[2], tonumber(ARGV[4])
local cut = struct.unpack('<d', ARGV[3])
local at, answers = 1, {}
for i = 1, #KEYS do
  local oldest, size = struct.unpack('<dI4', ARGV[5], i * 12 - 11)
  local rows = string.sub(ARGV[6], at, at + size - 1)
  at = at + size
  local head = redis.call('GETRANGE', KEYS[i], 0, 31)
  if head == '' then
    redis.call('SET', KEYS[i], string.sub(empty, 1, 24) .. struct.pack('<d', oldest) .. rows, 'PX', life)
    answers[i] = 'a'
  elseif #head < 32 or string.byte(head, 9) ~= string.byte(empty, 9) then answers[i] = 'w'
  else
    local packed, _, bound, before = struct.unpack('<I4I2dd', head, 11)
    if oldest <= bound or before < cut then answers[i] = 'w'
    else
      if oldest < before then redis.call('SETRANGE', KEYS[i], 24, struct.pack('<d', oldest)) end
      local length = redis.call('APPEND', KEYS[i], rows)
      redis.call('PEXPIRE', KEYS[i], life)
      answers[i] = length - packed > most and 'm' or 'a'
    end
  end
end
return table.concat(answers)
`;

/**
 * Writes entities whole that no other process has written since they were read.
 *
 * Input:  KEYS for each entity its own key and the key of its older events
 *         ARGV[1] lifetime of the keys in ms; then for each entity: the token that its key begins with and its length,
 *         empty and 0 when there must be none; the new contents; how many slices follow; and for each of these its name
 *         and contents, empty to delete it
 * Output: for each entity 1 when it was written, 0 when another process has written it meanwhile.
 * Effect: an entity is written completely or not at all.
 */
export const WRITE_SCRIPT = `
local life, at, written = ARGV[1], 2, {}
for i = 1, #KEYS, 2 do
  local slices = tonumber(ARGV[at + 3])
  if redis.call('GETRANGE', KEYS[i], 0, 7) == ARGV[at] and redis.call('STRLEN', KEYS[i]) == tonumber(ARGV[at + 1]) then
    redis.call('SET', KEYS[i], ARGV[at + 2], 'PX', life)
    for j = 1, slices do
      local name, rows = ARGV[at + 2 + 2 * j], ARGV[at + 3 + 2 * j]
      if rows == '' then redis.call('HDEL', KEYS[i + 1], name) else redis.call('HSET', KEYS[i + 1], name, rows) end
    end
    if slices > 0 then redis.call('PEXPIRE', KEYS[i + 1], life) end
    written[#written + 1] = 1
  else written[#written + 1] = 0 end
  at = at + 4 + 2 * slices
end
return written
`;
