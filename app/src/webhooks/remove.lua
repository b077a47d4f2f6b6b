-- Takes events that the receiver has out of the queue, and what it was told out of the count.
-- KEYS  queue, dropped
-- ARGV  dropped, ids...
if #ARGV > 1 then redis.call('XDEL', KEYS[1], unpack(ARGV, 2)) end
if tonumber(ARGV[1]) > 0 and redis.call('DECRBY', KEYS[2], ARGV[1]) <= 0 then redis.call('DEL', KEYS[2]) end
