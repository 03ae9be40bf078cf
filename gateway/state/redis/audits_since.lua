-- Tell the number of the last change, and the records that changed after another one, as JSON.
-- ARGV: prefix, epoch, the number of a change
local last = tonumber(redis.call('GET', prefix .. 'audits:change') or 0)
local since = tonumber(ARGV[3])
if since > last then since = 0 end
local parts = {}
for _, name in ipairs(redis.call('ZRANGEBYSCORE', prefix .. 'audits:order', '(' .. since, '+inf')) do
  local number, content = string.match(redis.call('HGET', prefix .. 'audits', name), '^(%d+) (.*)$')
  parts[#parts + 1] = cjson.encode({name, tonumber(number), content})
end
return '[' .. whole(last) .. ',[' .. table.concat(parts, ',') .. ']]'
