-- Puts one connection into a room's presence, or renews its entry under a new lease.
-- KEYS  connections: clientId -> {lease, userId, username}    users: userId -> number of connections
-- ARGV  clientId, userId, username, lease
-- Returns {1 if the user is new to the room, users in the room}
local earlier = redis.call('HGET', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[1], ARGV[1], cjson.encode({ ARGV[4], ARGV[2], ARGV[3] }))
if earlier then return { 0, redis.call('HLEN', KEYS[2]) } end
local connections = redis.call('HINCRBY', KEYS[2], ARGV[2], 1)
return { connections == 1 and 1 or 0, redis.call('HLEN', KEYS[2]) }
