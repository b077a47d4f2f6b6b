-- How a room continues from a position: the entries after it, or why there are none. Writes nothing for a room without
-- history, whose position is epoch '0', offset 0: before the first message of whatever epoch comes next.
-- KEYS  meta, stream
-- ARGV  fresh epoch, epoch and offset of the position ('' for none: from the head), most entries, history ttl in ms
-- Returns {recovery, reason or '', offset it continues from, epoch, head offset, offset, body, offset, body, ...}
local BEGINNING = '0'
local epoch, offset = ARGV[2], tonumber(ARGV[3])
local room = load_room(ARGV[1])
if not room then
  if epoch == '' or (epoch == BEGINNING and offset == 0) then return { 'recovered', '', 0, BEGINNING, 0 } end
  return { 'gap', epoch == BEGINNING and 'invalid' or 'unknown_epoch', 0, BEGINNING, 0 }
end
if redis.call('PTTL', META) < ARGV[5] / 2 then redis.call('PEXPIRE', META, ARGV[5]) end
local recovery, reason, from = 'recovered', '', room.offset
if epoch == BEGINNING and offset == 0 then
  from = 0
elseif epoch == room.epoch or epoch == BEGINNING then
  from = offset
  if offset > room.offset or epoch == BEGINNING then recovery, reason, from = 'gap', 'invalid', room.offset end
elseif epoch ~= '' then
  local last
  for _, past in ipairs(cjson.decode(room.past)) do
    if past[1] == epoch then last = past[2] end
  end
  if not last then
    -- Whoever was in this epoch knows its name, so all of it is new to this reader.
    recovery, reason, from = 'gap', 'unknown_epoch', room.start
  elseif offset > last then
    recovery, from = 'rewound', last
  else
    from = offset
  end
end
local entries = {}
if from < room.offset then
  local first = redis.call('XRANGE', STREAM, '-', '+', 'COUNT', 1)[1]
  local oldest = first and tonumber(string.match(first[1], '^%d+')) or room.offset + 1
  if oldest > from + 1 then
    from = oldest - 1
    -- An unknown epoch is the worse news. A rewind whose messages after the fork are gone too is a gap.
    if reason == '' then recovery, reason = 'gap', 'trimmed' end
  end
  if from < room.offset then
    entries = redis.call('XRANGE', STREAM, string.format('%d-0', from + 1), '+', 'COUNT', ARGV[4])
  end
end
local answer = { recovery, reason, from, room.epoch, room.offset }
for _, entry in ipairs(entries) do
  answer[#answer + 1] = tonumber(string.match(entry[1], '^%d+'))
  answer[#answer + 1] = entry[2][2]
end
return answer
