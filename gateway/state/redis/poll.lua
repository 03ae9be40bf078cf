-- Tell the epoch, the time and the version of the keys. An empty store begins a new epoch.
-- ARGV: prefix, epoch, an epoch's name in case that one must begin
if not epoch then
  epoch = exact(now) .. '-' .. ARGV[3]
  redis.call('SET', KEYS[1], epoch)
end
return epoch .. ' ' .. exact(now) .. ' ' .. (redis.call('GET', prefix .. 'keys:version') or '0')
