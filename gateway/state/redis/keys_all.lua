-- Tell the version of the keys and all of them, as a JSON list.
-- ARGV: prefix, epoch
if epoch ~= known_epoch then return 'epoch' end
local version = redis.call('GET', prefix .. 'keys:version') or '0'
return version .. ' [' .. table.concat(redis.call('HVALS', prefix .. 'keys'), ',') .. ']'
