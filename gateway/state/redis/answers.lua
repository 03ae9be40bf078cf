-- What the scripts on answers share. Stored and removed share one sequence of numbers, so that
-- whoever follows needs to remember one number only.
local base = prefix .. 'answers:'
local numbers, lines, order = base .. 'numbers', base .. 'lines', base .. 'order'
local removed, gone, dead = base .. 'removed', base .. 'gone', base .. 'dead'
local tenants, purges = base .. 'tenants', base .. 'purges'

local function row(id) return base .. 'row:' .. id end
local function next_number() return redis.call('HINCRBY', numbers, 'last', 1) end
local function size_of_all() return tonumber(redis.call('HGET', numbers, 'size') or 0) end

-- Have nobody find an answer any more; what else is known of it is dropped later.
local function kill(id)
  if redis.call('UNLINK', row(id)) == 1 or redis.call('HEXISTS', lines, id) == 1 then
    redis.call('ZADD', removed, next_number(), id)
    redis.call('SADD', dead, id)
  end
end

-- Forget all that is known of an answer.
local function drop(id)
  redis.call('SREM', dead, id)
  local line = redis.call('HGET', lines, id)
  if not line then return end
  local about = cjson.decode(line)
  local key = base .. 'key:' .. about.key
  redis.call('HDEL', lines, id)
  if redis.call('GET', key) == id then redis.call('UNLINK', key) end
  redis.call('ZREM', order, id)
  redis.call('ZREM', gone, id)
  for _, name in ipairs(about.names) do redis.call('ZREM', base .. name, id) end
  redis.call('HINCRBY', numbers, 'size', -about.size)
  redis.call('ZINCRBY', tenants, -about.size, about.tenant)
  if redis.call('EXISTS', base .. 'tenant:' .. about.tenant) == 0 then
    redis.call('ZREM', tenants, about.tenant)
  end
end

-- Remove the oldest of the largest tenants until all fit, `most` at once; return how many.
local function evict(limit, most)
  local evicted = 0
  while evicted < most and size_of_all() > limit do
    local tenant = redis.call('ZREVRANGE', tenants, 0, 0)[1]
    local id = tenant and redis.call('ZRANGE', base .. 'tenant:' .. tenant, 0, 0)[1]
    if not id then break end
    kill(id)
    drop(id)
    evicted = evicted + 1
  end
  return evicted
end

-- Whether an answer is one of a selection {id, names}; an id of '' means any.
local function fits(which, id, about)
  if which.id ~= '' and which.id ~= id then return false end
  for _, wanted in ipairs(which.names) do
    local has = false
    for _, name in ipairs(about.names) do has = has or name == wanted end
    if not has then return false end
  end
  return true
end
