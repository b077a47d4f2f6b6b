-- Ends the lease of the instance that sends, if it has it.
-- KEYS  sender
-- ARGV  instance
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
