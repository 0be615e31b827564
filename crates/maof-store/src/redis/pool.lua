-- What of a generation's holds nobody has taken, by window. KEYS: the current generation's id; its pool, a hash of
-- f<window> free, u<window> nodes that use it, l<window> the limit under which it was asked for (19 digits, so that text
-- compares as numbers do), b<window> what the account had. ARGV: the generation, seconds to live, then six for each
-- operation. Gives `gone` if it is not the current generation; otherwise `ok`, then three for each operation.
-- Amounts go through HINCRBY, which is exact; a Lua number is used for its sign, and for a part that need not be exact.
local generation, life = ARGV[1], ARGV[2]
local pool = KEYS[2]
local current = redis.call('GET', KEYS[1])
if ARGV[3] == 'begin' then
  -- Whoever is late never brings an older one back.
  if current and tonumber(current) > tonumber(generation) then return {'gone'} end
  redis.call('DEL', pool)
  redis.call('SET', KEYS[1], generation, 'EX', life)
  return {'ok'}
end
if current ~= generation then return {'gone'} end

local function add(field, amount)
  return redis.call('HINCRBY', pool, field, amount)
end
local function free_of(window)
  return redis.call('HGET', pool, 'f' .. window) or '0'
end

local operations = {}
-- Takes an amount, or as much of it as there is, and an eighth of what is left then. Nothing that was asked for under
-- a higher limit.
function operations.take(window, amount, limit, first)
  local under = redis.call('HGET', pool, 'l' .. window)
  if not under or under > limit then return '', '', '' end
  local taken, spare = amount, '0'
  local left = add('f' .. window, '-' .. amount)
  if left < 0 then
    add('f' .. window, amount)
    taken = free_of(window)
    if taken == '0' then return '', '', '' end
    redis.call('HSET', pool, 'f' .. window, '0')
  elseif left >= 8 then
    spare = string.format('%.0f', math.floor(left / 8))
    add('f' .. window, '-' .. spare)
  end
  add('u' .. window, first)
  return taken .. '|' .. spare, under, redis.call('HGET', pool, 'b' .. window) or ''
end
-- Puts in what the database has just held, and what it said.
function operations.put(window, amount, limit, first, balance)
  local under = redis.call('HGET', pool, 'l' .. window)
  if not under or free_of(window) == '0' or under < limit then redis.call('HSET', pool, 'l' .. window, limit) end
  add('f' .. window, amount)
  add('u' .. window, first)
  redis.call('HSET', pool, 'b' .. window, balance)
  return '', '', ''
end
-- A node uses it no more, and gives back its part (nothing is said). The last one gets the rest, to give all of it back to
-- the database.
function operations.leave(window, amount)
  if add('u' .. window, -1) > 0 then
    add('f' .. window, amount)
    return '', '', ''
  end
  local free = free_of(window)
  redis.call('HDEL', pool, 'f' .. window, 'u' .. window, 'l' .. window, 'b' .. window)
  return free, '', ''
end
function operations.read(window)
  return free_of(window), '', ''
end

local said = {'ok'}
for i = 3, #ARGV, 6 do
  local one, two, three = operations[ARGV[i]](unpack(ARGV, i + 1, i + 5))
  said[#said + 1], said[#said + 2], said[#said + 3] = one, two, three
end
redis.call('EXPIRE', KEYS[1], life)
redis.call('EXPIRE', pool, life)
return said
