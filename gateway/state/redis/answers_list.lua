-- Tell what is known of answers of a selection, the newest first, as [[number, id, it], ...].
-- ARGV: prefix, epoch, the selection {id, names}, the number below which to look, how many to look at
-- Returns the number below which to go on (0 at the end), a space, and the list.
local which, most = cjson.decode(ARGV[3]), tonumber(ARGV[5])
local source = order
if which.names[1] then source = base .. which.names[1] end
local found = redis.call('ZREVRANGEBYSCORE', source, '(' .. ARGV[4], '-inf',
  'WITHSCORES', 'LIMIT', 0, most)
if which.id ~= '' then
  local n = redis.call('ZSCORE', source, which.id)
  found = n and {which.id, n} or {}
end
local parts, before = {}, '0'
for i = 1, #found, 2 do
  local id, n = found[i], found[i + 1]
  local line = redis.call('HGET', lines, id)
  if line and redis.call('SISMEMBER', dead, id) == 0 and fits(which, id, cjson.decode(line)) then
    parts[#parts + 1] = '[' .. n .. ',' .. cjson.encode(id) .. ',' .. line .. ']'
  end
  before = n
end
if #found < 2 * most then before = '0' end
return before .. ' [' .. table.concat(parts, ',') .. ']'
