-- Takes out of a room's presence: one connection, all connections of an ended lease, or users whose grace is over.
-- KEYS  connections: clientId -> {lease, userId}    users: userId -> {connections, username}    away: userId by end of grace
-- ARGV  'client', clientId, grace in ms (0: the user is gone with their last connection)   or   'lease', lease   or   'away'
-- Returns {users in the room, end of the next grace in ms or 0, userId, username, ...} with the users that are gone
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local gone = {}

local function remove_user(user_id, user)
  redis.call('HDEL', KEYS[2], user_id)
  redis.call('ZREM', KEYS[3], user_id)
  gone[#gone + 1] = user_id
  gone[#gone + 1] = user[2]
end

local function remove_connection(client_id, entry, grace)
  redis.call('HDEL', KEYS[1], client_id)
  local found = redis.call('HGET', KEYS[2], entry[2])
  if not found then return end
  local user = cjson.decode(found)
  user[1] = user[1] - 1
  if user[1] <= 0 and grace == 0 then return remove_user(entry[2], user) end
  redis.call('HSET', KEYS[2], entry[2], cjson.encode(user))
  if user[1] <= 0 then redis.call('ZADD', KEYS[3], now + grace, entry[2]) end
end

if ARGV[1] == 'client' then
  local entry = redis.call('HGET', KEYS[1], ARGV[2])
  if entry then remove_connection(ARGV[2], cjson.decode(entry), tonumber(ARGV[3])) end
elseif ARGV[1] == 'lease' then
  local all = redis.call('HGETALL', KEYS[1])
  for i = 1, #all, 2 do
    local entry = cjson.decode(all[i + 1])
    if entry[1] == ARGV[2] then remove_connection(all[i], entry, 0) end
  end
else
  for _, user_id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now)) do
    local found = redis.call('HGET', KEYS[2], user_id)
    if found then remove_user(user_id, cjson.decode(found)) else redis.call('ZREM', KEYS[3], user_id) end
  end
end

local first = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')
local answer = { redis.call('HLEN', KEYS[2]), first[2] and tonumber(first[2]) or 0 }
for _, value in ipairs(gone) do answer[#answer + 1] = value end
return answer
