-- Appends events to the queue, and drops the oldest beyond its size.
-- KEYS  queue, dropped
-- ARGV  size, ttl in ms, events...
-- Returns how many were dropped
for i = 3, #ARGV do redis.call('XADD', KEYS[1], '*', 'e', ARGV[i]) end
local dropped = redis.call('XTRIM', KEYS[1], 'MAXLEN', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
if dropped > 0 then
  redis.call('INCRBY', KEYS[2], dropped)
  redis.call('PEXPIRE', KEYS[2], ARGV[2])
end
return dropped
