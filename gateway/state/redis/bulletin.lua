-- Hang up notices until their time is over, and tell all that hang there, as a JSON list.
-- ARGV: prefix, epoch, then of each notice: its name, its seconds, its id
local notices = prefix .. 'notices'
for i = 3, #ARGV, 3 do
  redis.call('HSET', notices, ARGV[i], exact(now + tonumber(ARGV[i + 1])) .. ' ' .. ARGV[i + 2])
end
local all, hanging = redis.call('HGETALL', notices), {}
for i = 1, #all, 2 do
  local till, id = string.match(all[i + 1], '^(%S+) (.+)$')
  local left = tonumber(till) - now
  if left > 0 then
    hanging[#hanging + 1] = {all[i], left, id}
  else
    redis.call('HDEL', notices, all[i])
  end
end
return #hanging > 0 and cjson.encode(hanging) or '[]'
