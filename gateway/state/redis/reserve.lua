-- Take every amount or none. A lease that is known already, or was ended before it came, stays.
-- ARGV: prefix, epoch, lease id, tenant, seconds until it expires, 1 to take without asking, limits,
--       how much of each
-- Returns 'ok' or 'no', the time, of each limit exceeded, used and held, and the id.
if epoch ~= known_epoch then return 'epoch' end
local id, tenant, seconds, force = ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6] == '1'
if redis.call('EXISTS', lease(id)) == 1 then return 'known ' .. id end
local limits, amounts = cjson.decode(ARGV[7]), cjson.decode(ARGV[8])
local used, held, over, refused = {}, {}, {}, false
for i, limit in ipairs(limits) do
  if limit[1] == 'rate' then
    used[i], held[i] = level_of(limit), 0
    over[i] = used[i] + amounts[i] - limit[3] > EDGE
  else
    local found = redis.call('HMGET', counter(limit), 'spent', 'held')
    held[i] = tonumber(found[2] or 0)
    used[i] = tonumber(found[1] or 0) + held[i]
    over[i] = used[i] + amounts[i] > limit[3]
  end
  refused = refused or (over[i] and limit[#limit])
end
refused = refused and not force
local kept = {}
local told = {refused and 'no' or 'ok', exact(now)}
for i, limit in ipairs(limits) do
  kept[i] = whole(amounts[i])
  if limit[1] == 'rate' and (force or over[i]) then
    kept[i] = UNCOUNTED
  elseif not refused then
    used[i] = used[i] + amounts[i]
    if limit[1] == 'rate' then set_level(limit, used[i]) else change(limit, amounts[i], 0) end
  end
  told[#told + 1] = over[i] and 1 or 0
  told[#told + 1] = exact(used[i])
  told[#told + 1] = whole(held[i])
end
if not refused then
  redis.call('HSET', lease(id), 'tenant', tenant, 'limits', ARGV[7], 'amounts', table.concat(kept, ' '))
  redis.call('ZADD', leases, exact(now + seconds), id)
end
told[#told + 1] = id
return table.concat(told, ' ')
