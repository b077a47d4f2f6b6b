-- Renews a lease by Redis' own clock and says which leases have ended.
-- KEYS  leases: lease -> end in ms
-- ARGV  lease, duration in ms, 'new' or 'held'
-- Returns {1 if the lease holds, 0 if it was lost, ended lease, ...}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ends = redis.call('ZSCORE', KEYS[1], ARGV[1])
local holds = ARGV[3] == 'new' or (ends and tonumber(ends) > now)
if holds then redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1]) end
local answer = { holds and 1 or 0 }
for _, lease in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 16)) do
  answer[#answer + 1] = lease
end
return answer
