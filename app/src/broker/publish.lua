-- Numbers a message, appends it to the room's stream and publishes it to the subscribers: one atomic step.
-- KEYS  meta, stream, id key (of the publisher's id for the message; may be unused)
-- ARGV  fresh epoch, body, channel, history size, history ttl in ms, '1' if the id key is used
-- Returns {epoch, offset, 1 if it is a duplicate}
if ARGV[6] == '1' then
  local earlier = redis.call('GET', KEYS[3])
  if earlier then
    local epoch, offset = string.match(earlier, '^(.*):(%d+)$')
    return { epoch, tonumber(offset), 1 }
  end
end
local room = load_room(ARGV[1]) or create_room(ARGV[1])
local offset = room.offset + 1
redis.call('XADD', STREAM, 'MAXLEN', ARGV[4], string.format('%d-0', offset), 'b', ARGV[2])
redis.call('HSET', META, 'offset', offset)
redis.call('PEXPIRE', META, ARGV[5])
redis.call('PEXPIRE', STREAM, ARGV[5])
if ARGV[6] == '1' then redis.call('SET', KEYS[3], room.epoch .. ':' .. offset, 'PX', ARGV[5]) end
redis.call('PUBLISH', ARGV[3], room.epoch .. ':' .. offset .. ':\n' .. ARGV[2])
return { room.epoch, offset, 0 }
