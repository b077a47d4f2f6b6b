-- Shared by publish.lua and resume.lua, and put before each.
--
-- A room's meta hash: epoch, offset (of the last message), start (offset before the epoch's first message),
-- generation, and past: a JSON list of {epoch, last offset} of earlier epochs, oldest first. The first publish creates it.
-- It expires with the history, but not while an instance follows the room, so that a silent room keeps its offsets.
--
-- The epoch is a fencing term, like the leader epoch of Kafka's KIP-101: a new one starts whenever the server's
-- master_replid has changed, because only then (a restart, a failover) can acknowledged messages be gone. What the old
-- epoch still has at that moment is where the histories fork.
local META, STREAM = KEYS[1], KEYS[2]
local PAST_EPOCHS = 32

local function save_room(room, generation)
  redis.call('HSET', META, 'epoch', room.epoch, 'offset', room.offset, 'start', room.start, 'generation', generation, 'past', room.past)
  return room
end

local function read_generation()
  return string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
end

-- The room as it is stored, or nil. After a change of generation it gets the fresh epoch.
local function load_room(fresh_epoch)
  local meta = redis.call('HMGET', META, 'epoch', 'offset', 'start', 'generation', 'past')
  if not meta[1] then return nil end
  local room = { epoch = meta[1], offset = tonumber(meta[2]), start = tonumber(meta[3]), past = meta[5] }
  local generation = read_generation()
  if meta[4] == generation then return room end
  local past = cjson.decode(room.past)
  past[#past + 1] = { room.epoch, room.offset }
  if #past > PAST_EPOCHS then table.remove(past, 1) end
  room.past = cjson.encode(past)
  room.epoch, room.start = fresh_epoch, room.offset
  return save_room(room, generation)
end

local function create_room(fresh_epoch)
  -- Only if it is there: after its first write, Redis does not refuse a script for lack of memory.
  if redis.call('EXISTS', STREAM) == 1 then redis.call('DEL', STREAM) end
  return save_room({ epoch = fresh_epoch, offset = 0, start = 0, past = '[]' }, read_generation())
end
