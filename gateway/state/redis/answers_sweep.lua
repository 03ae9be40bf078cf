-- Drop some of what is dead, over or too much, and what is long past.
-- ARGV: prefix, epoch, the limit in bytes, how many of each, removals to remember, the age of a
-- purge that refuses no more
-- Returns how many ran out, how many had to go, and how many dead ones are left.
local limit, most, remembered = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
for _, id in ipairs(redis.call('SRANDMEMBER', dead, most)) do drop(id) end
local over = redis.call('ZRANGEBYSCORE', gone, '-inf', exact(now), 'LIMIT', 0, most)
for _, id in ipairs(over) do
  kill(id)
  drop(id)
end
local evicted = evict(limit, most)
redis.call('ZREMRANGEBYSCORE', purges, '-inf', exact(now - tonumber(ARGV[6])))
local past = redis.call('ZRANGE', removed, 0, -remembered - 1, 'WITHSCORES')
if #past > 0 then
  redis.call('ZREMRANGEBYRANK', removed, 0, -remembered - 1)
  redis.call('HSET', numbers, 'forgotten', past[#past])
end
return #over .. ' ' .. evicted .. ' ' .. redis.call('SCARD', dead)
