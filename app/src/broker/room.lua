-- Shared by publish.lua and resume.lua, put before each.
--
-- A room's meta hash: epoch, offset (of the last message), start (offset before the epoch's first message),
-- generation, and past: a JSON list of {epoch, last offset} of earlier epochs, oldest first.
--
-- The epoch is a fencing term, as the leader epoch of Kafka's KIP-101: a new one is opened whenever the server's
-- master_replid has changed, because only then (a restart, a failover) can acknowledged messages be gone. What the old
-- epoch still has at that moment is where the histories fork.
local META, STREAM = KEYS[1], KEYS[2]
local PAST_EPOCHS = 32
-- Longer than any history is kept; a room that somebody listens to keeps it for good.
local META_TTL = 60 * 24 * 3600

local function open_room(fresh_epoch)
  local generation = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
  local meta = redis.call('HMGET', META, 'epoch', 'offset', 'start', 'generation', 'past')
  local room = { epoch = meta[1], offset = tonumber(meta[2]), start = tonumber(meta[3]), past = meta[5] or '[]' }
  if room.epoch and meta[4] == generation then
    if redis.call('TTL', META) < META_TTL / 2 then redis.call('EXPIRE', META, META_TTL) end
    return room
  end
  if room.epoch then
    local past = cjson.decode(room.past)
    past[#past + 1] = { room.epoch, room.offset }
    if #past > PAST_EPOCHS then table.remove(past, 1) end
    room.past = cjson.encode(past)
  else
    room.offset = 0
  end
  room.epoch, room.start = fresh_epoch, room.offset
  redis.call('HSET', META, 'epoch', room.epoch, 'offset', room.offset, 'start', room.start, 'generation', generation, 'past', room.past)
  redis.call('EXPIRE', META, META_TTL)
  return room
end
