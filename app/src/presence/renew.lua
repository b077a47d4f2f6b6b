-- Renews a lease by Redis' own clock, and says which leases have ended and where somebody's grace is over.
-- KEYS  leases: lease by its end in ms    rooms: room by the end of its next grace in ms
-- ARGV  lease, duration in ms, 'new' or 'held'
-- Returns {1 if the lease holds, else 0; ended leases; rooms}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ends = redis.call('ZSCORE', KEYS[1], ARGV[1])
local holds = ARGV[3] == 'new' or (ends and tonumber(ends) > now)
if holds then redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1]) end
local function due(key) return redis.call('ZRANGEBYSCORE', key, '-inf', now, 'LIMIT', 0, 64) end
return { holds and 1 or 0, due(KEYS[1]), due(KEYS[2]) }
