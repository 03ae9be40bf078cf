-- Keep a record in place of the revision before it and say ok, or tell the one that is there.
-- ARGV: prefix, epoch, name, revision, content, most records
local audits, order = prefix .. 'audits', prefix .. 'audits:order'
local found = redis.call('HGET', audits, ARGV[3])
local there, content = 0, ''
if found then
  there, content = string.match(found, '^(%d+) (.*)$')
  there = tonumber(there)
end
if there ~= tonumber(ARGV[4]) - 1 then
  return cjson.encode({there, content})
end
redis.call('HSET', audits, ARGV[3], ARGV[4] .. ' ' .. ARGV[5])
redis.call('ZADD', order, redis.call('INCR', prefix .. 'audits:change'), ARGV[3])
for _ = 1, redis.call('ZCARD', order) - tonumber(ARGV[6]) do
  redis.call('HDEL', audits, redis.call('ZPOPMIN', order)[1])
end
return 'ok'
