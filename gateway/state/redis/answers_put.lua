-- Store an answer in place of the one of the same key, unless a purge refuses it.
-- ARGV: prefix, epoch, id, what is known of it, its row, the limit in bytes
-- Returns 'refused', or how many others had to go.
local id, about, limit = ARGV[3], cjson.decode(ARGV[4]), tonumber(ARGV[6])
local left = math.floor((about.gone_at - now) * 1000)
local refused = left <= 0
for _, purge in ipairs(redis.call('ZRANGE', purges, 0, -1)) do
  local which = cjson.decode(purge)
  refused = refused or (about.stored <= which.at and fits(which, id, about))
end
if refused then return 'refused' end
local key = base .. 'key:' .. about.key
for _, old in ipairs({redis.call('GET', key) or '', id}) do
  kill(old)
  drop(old)
end
local n = next_number()
redis.call('SET', row(id), ARGV[5], 'PX', left)
redis.call('SET', key, id, 'PX', left)
redis.call('HSET', lines, id, ARGV[4])
redis.call('ZADD', order, n, id)
redis.call('ZADD', gone, about.gone_at, id)
for _, name in ipairs(about.names) do redis.call('ZADD', base .. name, n, id) end
redis.call('HINCRBY', numbers, 'size', about.size)
redis.call('ZINCRBY', tenants, about.size, about.tenant)
return tostring(evict(limit, 32))
