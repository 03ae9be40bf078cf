-- End or lower a lease, once however often it is asked for.
-- ARGV: prefix, epoch, lease id, tenant, the epoch that confirmed the lease, 'lower' or 'settle',
--       what was used of each limit, the lease's limits
if epoch ~= known_epoch then return 'epoch' end
local id, tenant, confirmed, lower = ARGV[3], ARGV[4], ARGV[5], ARGV[6] == 'lower'
local used = cjson.decode(ARGV[7])
local stored = redis.call('HMGET', lease(id), 'tenant', 'limits', 'amounts', 'state')
if stored[1] and stored[1] ~= tenant then
  return 'foreign ' .. id
end
-- A reservation that was cut off on its way must not take anything when it comes after this.
local function bury()
  redis.call('HSET', lease(id), 'tenant', tenant, 'state', 'gone')
  redis.call('EXPIRE', lease(id), DAY)
end
if stored[4] == 'gone' then return 'ok ' .. id end

if not stored[1] then
  -- What this life of the store confirmed, and does not know, was settled before.
  if lower or confirmed == epoch then return 'ok ' .. id end
  for i, limit in ipairs(cjson.decode(ARGV[8])) do
    if limit[1] == 'budget' then change(limit, 0, used[i]) end
  end
  bury()
  return 'ok ' .. id
end

local limits, amounts, late = cjson.decode(stored[2]), {}, stored[4] == 'unsettled'
if lower and late then return 'ok ' .. id end
for amount in string.gmatch(stored[3], '%S+') do amounts[#amounts + 1] = tonumber(amount) end
for i, limit in ipairs(limits) do
  local reserved = amounts[i]
  local amount = used[i]
  if reserved == UNCOUNTED or (lower and amount >= reserved) then
    amount = reserved
  elseif limit[1] == 'rate' then
    if amount ~= reserved then set_level(limit, level_of(limit) + amount - reserved) end
  elseif lower then
    change(limit, amount - reserved, 0)
  elseif not late then
    change(limit, -reserved, amount)
  elseif limit[1] == 'budget' then
    change(limit, 0, amount - reserved)
  end
  amounts[i] = whole(amount)
end
if lower then
  redis.call('HSET', lease(id), 'amounts', table.concat(amounts, ' '))
else
  redis.call('DEL', lease(id))
  redis.call('ZREM', leases, id)
  if confirmed ~= epoch then bury() end
end
return 'ok ' .. id
