-- Tell the life of this store, its last number, up to which removals are forgotten, and changes.
-- ARGV: prefix, epoch, a life's name in case that one must begin, the number after which, how many
-- Returns them as [life, last, forgotten, [[number, id, 1 when it was removed], ...]].
redis.call('HSETNX', numbers, 'life', ARGV[3])
local known = redis.call('HMGET', numbers, 'life', 'last', 'forgotten')
local after, most = '(' .. ARGV[4], tonumber(ARGV[5])
local changes = {}
for kind, source in ipairs({order, removed}) do
  local found = redis.call('ZRANGEBYSCORE', source, after, '+inf', 'WITHSCORES', 'LIMIT', 0, most)
  for i = 1, #found, 2 do
    changes[#changes + 1] = {tonumber(found[i + 1]), found[i], kind - 1}
  end
end
table.sort(changes, function(a, b) return a[1] < b[1] end)
local parts = {}
for i = 1, math.min(most, #changes) do parts[i] = cjson.encode(changes[i]) end
return '[' .. cjson.encode(known[1]) .. ',' .. (known[2] or '0') .. ',' .. (known[3] or '0')
  .. ',[' .. table.concat(parts, ',') .. ']]'
