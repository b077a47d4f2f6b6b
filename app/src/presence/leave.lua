-- Takes connections out of a room's presence: one by its id, or all of an ended lease.
-- KEYS  connections: clientId -> {lease, userId, username}    users: userId -> number of connections
-- ARGV  'client', clientId   or   'lease', lease
-- Returns {users in the room, userId, username, userId, username, ...} of the users that are gone with it
local gone = {}
local function remove(clientId, entry)
  redis.call('HDEL', KEYS[1], clientId)
  if redis.call('HINCRBY', KEYS[2], entry[2], -1) <= 0 then
    redis.call('HDEL', KEYS[2], entry[2])
    gone[#gone + 1] = entry[2]
    gone[#gone + 1] = entry[3]
  end
end
if ARGV[1] == 'client' then
  local entry = redis.call('HGET', KEYS[1], ARGV[2])
  if entry then remove(ARGV[2], cjson.decode(entry)) end
else
  local all = redis.call('HGETALL', KEYS[1])
  for i = 1, #all, 2 do
    local entry = cjson.decode(all[i + 1])
    if entry[1] == ARGV[2] then remove(all[i], entry) end
  end
end
local answer = { redis.call('HLEN', KEYS[2]) }
for _, value in ipairs(gone) do answer[#answer + 1] = value end
return answer
