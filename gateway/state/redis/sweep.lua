-- Charge leases that are over in full; they are remembered for a day, to be settled late.
-- ARGV: prefix, epoch, how many at most
if epoch ~= known_epoch then return 'epoch' end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', exact(now), 'LIMIT', 0, ARGV[3])) do
  redis.call('ZREM', leases, id)
  local stored = redis.call('HMGET', lease(id), 'limits', 'amounts')
  if stored[1] then
    local amounts = {}
    for amount in string.gmatch(stored[2], '%S+') do amounts[#amounts + 1] = tonumber(amount) end
    for i, limit in ipairs(cjson.decode(stored[1])) do
      if limit[1] ~= 'rate' then change(limit, -amounts[i], amounts[i]) end
    end
    redis.call('HSET', lease(id), 'state', 'unsettled')
    redis.call('EXPIRE', lease(id), DAY)
  end
end
return 'ok'
