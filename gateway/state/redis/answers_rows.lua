-- Tell the rows of ids, each after its length and a colon; -1 and nothing where there is none.
-- ARGV: prefix, epoch, bytes after which no more are told, ids
local size, parts = 0, {}
for i = 4, #ARGV do
  local found = redis.call('GET', row(ARGV[i]))
  parts[#parts + 1] = found and #found .. ':' .. found or '-1:'
  size = size + (found and #found or 0)
  if size > tonumber(ARGV[3]) then break end
end
return table.concat(parts)
