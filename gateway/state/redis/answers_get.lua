-- Tell the id and the row of the answer of a key, with a line break between, or nothing.
-- ARGV: prefix, epoch, key
local id = redis.call('GET', base .. 'key:' .. ARGV[3])
local found = id and redis.call('GET', row(id))
return found and id .. '\n' .. found or ''
