-- Puts one connection into a room's presence, or renews its entry under a new lease.
-- KEYS  connections: clientId -> {lease, userId}    users: userId -> {connections, username}    away: userId by end of grace
-- ARGV  clientId, userId, username, lease, most users (0: no limit)
-- Returns {1 if the user is new to the room, users in the room}, or nothing when the room is full
local known = redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1
local user = redis.call('HGET', KEYS[2], ARGV[2])
if not user and ARGV[5] ~= '0' and redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[5]) then return nil end
redis.call('HSET', KEYS[1], ARGV[1], cjson.encode({ ARGV[4], ARGV[2] }))
local connections = user and cjson.decode(user)[1] or 0
if not known then connections = connections + 1 end
redis.call('HSET', KEYS[2], ARGV[2], cjson.encode({ connections, ARGV[3] }))
redis.call('ZREM', KEYS[3], ARGV[2])
return { user and 0 or 1, redis.call('HLEN', KEYS[2]) }
