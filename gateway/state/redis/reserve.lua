-- Take every amount or none. A lease that is known already, or was ended before it came, stays.
-- ARGV: prefix, epoch, lease id, tenant, seconds until it expires, 1 to take without asking, limits
-- Returns 'ok' or 'no', the time, of each limit exceeded, spent, held and level, and the id.
if epoch ~= known_epoch then return 'epoch' end
local id, tenant, seconds, force = ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6] == '1'
if redis.call('EXISTS', lease(id)) == 1 then return 'known ' .. id end
local limits = cjson.decode(ARGV[7])
local levels, over, refused = {}, {}, false
for i, limit in ipairs(limits) do
  local excess
  if limit[1] == 'rate' then
    levels[i] = level_of(limit)
    excess = levels[i] + limit[3] - limit[6] > EDGE
  else
    local found = redis.call('HMGET', counter(limit), 'spent', 'held')
    excess = tonumber(found[1] or 0) + tonumber(found[2] or 0) + limit[3] > limit[4]
  end
  over[i] = excess
  refused = refused or (excess and limit[#limit])
end
refused = refused and not force
local amounts = {}
local told = {refused and 'no' or 'ok', exact(now)}
for i, limit in ipairs(limits) do
  amounts[i] = whole(limit[3])
  if limit[1] == 'rate' then
    if force or over[i] then
      amounts[i] = UNCOUNTED
    elseif not refused then
      levels[i] = set_level(limit, levels[i] + limit[3])
    end
  elseif not refused then
    change(limit, limit[3], 0)
  end
  local found = redis.call('HMGET', counter(limit), 'spent', 'held')
  told[#told + 1] = over[i] and 1 or 0
  told[#told + 1] = found[1] or 0
  told[#told + 1] = found[2] or 0
  told[#told + 1] = exact(levels[i] or 0)
end
if not refused then
  redis.call('HSET', lease(id), 'tenant', tenant, 'limits', ARGV[7], 'amounts', table.concat(amounts, ' '))
  redis.call('ZADD', leases, exact(now + seconds), id)
end
told[#told + 1] = id
return table.concat(told, ' ')
