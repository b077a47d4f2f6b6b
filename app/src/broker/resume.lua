-- How a room goes on from a position: the entries after it, or why there are none.
-- KEYS  meta, stream
-- ARGV  fresh epoch, epoch and offset of the position ('' for none: from the head), most entries
-- Returns {recovery, reason or '', offset it goes on from, epoch, head offset, offset, body, offset, body, ...}
local room = open_room(ARGV[1])
local recovery, reason, from = 'recovered', '', room.offset
if ARGV[2] ~= '' then
  local epoch, offset = ARGV[2], tonumber(ARGV[3])
  if epoch == room.epoch then
    from = offset
    if offset > room.offset then recovery, reason, from = 'gap', 'invalid', room.offset end
  else
    local last
    for _, past in ipairs(cjson.decode(room.past)) do
      if past[1] == epoch then last = past[2] end
    end
    if not last then
      -- Whoever has been in this epoch would know its name: all of it is new to them.
      recovery, reason, from = 'gap', 'unknown_epoch', room.start
    elseif offset > last then
      recovery, from = 'rewound', last
    else
      from = offset
    end
  end
end
local entries = {}
if from < room.offset then
  local first = redis.call('XRANGE', STREAM, '-', '+', 'COUNT', 1)[1]
  local oldest = first and tonumber(string.match(first[1], '^%d+')) or room.offset + 1
  if oldest > from + 1 then
    from = oldest - 1
    -- An unknown epoch is the worse news; a rewind that also lost the entries after the fork is a gap.
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
