-- Add counts, agree on settings, and tell both, as JSON lists.
-- ARGV: prefix, epoch, who, number, newest part, oldest part, seconds that a part is kept, then the
-- counts of: added cells (name, part, cell, amount), proposed settings (name, version, body),
-- wanted sums (name, enough) and wanted settings (name), and then these.
local who, number = ARGV[3], tonumber(ARGV[4])
local newest, oldest, kept = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local next_word = 12
local function words(count)
  local taken = {}
  for i = 1, count do
    taken[i] = ARGV[next_word]
    next_word = next_word + 1
  end
  return unpack(taken)
end
local function cells_of(name, part) return prefix .. 'tally:' .. part .. ':' .. name end

-- A batch whose answer was lost comes again.
local heard = prefix .. 'tallied:' .. who
local fresh = number > tonumber(redis.call('GET', heard) or 0)
for _ = 1, tonumber(ARGV[8]) do
  local name, part, cell, amount = words(4)
  if fresh then
    redis.call('HINCRBY', cells_of(name, part), cell, amount)
    redis.call('EXPIRE', cells_of(name, part), kept)
  end
end
if fresh then redis.call('SET', heard, number, 'EX', kept) end

for _ = 1, tonumber(ARGV[9]) do
  local name, version, body = words(3)
  local setting = prefix .. 'agreed:' .. name
  if tonumber(version) > tonumber(redis.call('HGET', setting, 'version') or 0) then
    redis.call('HSET', setting, 'version', version, 'body', body)
    redis.call('EXPIRE', setting, kept)
  end
end

-- Every list begins with an entry that means nothing: an empty table would be told as an object.
local sums, agreed = {{{0, 0}}}, {{0, ''}}
for _ = 1, tonumber(ARGV[10]) do
  local name, enough = words(2)
  local cells, held, told = {}, 0, {{0, 0}}
  for part = newest, oldest, -1 do
    local found = redis.call('HGETALL', cells_of(name, whole(part)))
    for i = 1, #found, 2 do
      cells[found[i]] = (cells[found[i]] or 0) + tonumber(found[i + 1])
      held = held + tonumber(found[i + 1])
    end
    if held >= tonumber(enough) then break end
  end
  for cell, count in pairs(cells) do told[#told + 1] = {tonumber(cell), count} end
  sums[#sums + 1] = told
end
for _ = 1, tonumber(ARGV[11]) do
  local setting = prefix .. 'agreed:' .. words(1)
  local found = redis.call('HMGET', setting, 'version', 'body')
  agreed[#agreed + 1] = {tonumber(found[1] or 0), found[2] or ''}
  redis.call('EXPIRE', setting, kept)
end
return cjson.encode({sums, agreed})
