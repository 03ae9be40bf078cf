-- What every script begins with.
-- KEYS[1] names the epoch. ARGV[1] is the prefix of all keys, ARGV[2] the epoch that the caller knows.
local prefix, known_epoch = ARGV[1], ARGV[2]
local epoch = redis.call('GET', KEYS[1])
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local DAY = 86400
local EDGE = 0.001
local UNCOUNTED = -1
local leases = prefix .. 'leases'

local function counter(limit) return prefix .. 'limit:' .. limit[2] end
local function lease(id) return prefix .. 'lease:' .. id end
-- Plus zero, for HINCRBY takes no '-0'.
local function whole(number) return string.format('%.0f', number + 0) end
local function exact(number) return string.format('%.17g', number) end

-- The level of a rate {'rate', key, limit, pace, enforce} at this moment.
local function level_of(limit)
  local found = redis.call('HMGET', counter(limit), 'level', 'at')
  local level, at = tonumber(found[1] or 0), tonumber(found[2] or now)
  if now > at then
    level = math.max(0, level - (now - at) * limit[4])
  elseif at > now then
    -- The clock went back: from here on nobody waits for more than one window.
    redis.call('HSET', counter(limit), 'at', exact(now))
  end
  return level
end

local function set_level(limit, level)
  level = math.max(0, level)
  redis.call('HSET', counter(limit), 'level', exact(level), 'at', exact(now))
  redis.call('PEXPIRE', counter(limit), whole(level / limit[4] * 1000 + 1000))
  return level
end

-- Change what a budget {'budget', key, limit, ends, enforce} holds and has spent, or what slots
-- {'slots', key, limit, enforce} hold.
local function change(limit, held, spent)
  local name = counter(limit)
  if redis.call('HINCRBY', name, 'held', whole(held)) < 0 then
    redis.call('HSET', name, 'held', 0)
  end
  if limit[1] == 'budget' then
    if redis.call('HINCRBY', name, 'spent', whole(spent)) < 0 then
      redis.call('HSET', name, 'spent', 0)
    end
    redis.call('EXPIREAT', name, whole(math.ceil(limit[4]) + DAY))
  elseif redis.call('HGET', name, 'held') == '0' then
    redis.call('DEL', name)
  end
end
