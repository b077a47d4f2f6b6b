-- The oldest events, for the instance that sends them. Takes or renews its lease.
-- KEYS  sender, queue, dropped
-- ARGV  instance, lease in ms, most events
-- Returns {how many wait, how many were dropped, ids, events}, or nothing while another instance sends
local sender = redis.call('GET', KEYS[1])
if sender and sender ~= ARGV[1] then return nil end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
local ids, events = {}, {}
for _, entry in ipairs(redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', ARGV[3])) do
  ids[#ids + 1] = entry[1]
  events[#events + 1] = entry[2][2]
end
return { redis.call('XLEN', KEYS[2]), tonumber(redis.call('GET', KEYS[3]) or '0'), ids, events }
