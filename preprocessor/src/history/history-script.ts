/**
 * Writes entities that no other process has written since they were read.
 *
 * Input:  KEYS for each entity its own key and the key of its older events
 *         ARGV[1] lifetime of the keys in ms; then for each entity: the token that its key begins with, empty when there must be none; the
 *         new contents; how many slices follow; and for each of these its name and contents, empty to delete it
 * Output: for each entity 1 when it was written, 0 when another process has written it meanwhile.
 * Effect: an entity is written completely or not at all.
 */
export const WRITE_SCRIPT = `
local life, at, written = ARGV[1], 2, {}
for i = 1, #KEYS, 2 do
  local slices = tonumber(ARGV[at + 2])
  if redis.call('GETRANGE', KEYS[i], 0, 7) == ARGV[at] then
    redis.call('SET', KEYS[i], ARGV[at + 1], 'PX', life)
    for j = 1, slices do
      local name, rows = ARGV[at + 1 + 2 * j], ARGV[at + 2 + 2 * j]
      if rows == '' then redis.call('HDEL', KEYS[i + 1], name) else redis.call('HSET', KEYS[i + 1], name, rows) end
    end
    if slices > 0 then redis.call('PEXPIRE', KEYS[i + 1], life) end
    written[#written + 1] = 1
  else written[#written + 1] = 0 end
  at = at + 3 + 2 * slices
end
return written
`;
