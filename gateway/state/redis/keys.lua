-- Put issued keys where they are missing; a key that is there changes only by being revoked.
-- ARGV: prefix, epoch, then of each key: id, digest, 1 when it is revoked, its body
-- Returns how many were put or changed.
if epoch ~= known_epoch then return 'epoch' end
local bodies, digests, revoked = prefix .. 'keys', prefix .. 'keys:digests', prefix .. 'keys:revoked'
local changed = 0
for i = 3, #ARGV, 4 do
  local id, digest, dead, body = ARGV[i], ARGV[i + 1], ARGV[i + 2] == '1', ARGV[i + 3]
  local there = redis.call('HEXISTS', bodies, id) == 1
  if (not there and redis.call('HSETNX', digests, digest, id) == 1)
      or (there and dead and redis.call('SISMEMBER', revoked, id) == 0) then
    redis.call('HSET', bodies, id, body)
    if dead then redis.call('SADD', revoked, id) end
    changed = changed + 1
  end
end
if changed > 0 then redis.call('INCR', prefix .. 'keys:version') end
return tostring(changed)
