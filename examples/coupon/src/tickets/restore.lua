-- Brings Redis up to what PostgreSQL knows, and keeps the claims that are on their way there.
-- KEYS: claims, tickets, ready. ARGV: the number of coupons, then users and their tickets by turns.
local corrected = 0
for i = 2, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[i]) ~= ARGV[i + 1] then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
    corrected = corrected + 1
  end
end
local taken = {}
for _, ticket in ipairs(redis.call('HVALS', KEYS[1])) do
  taken[tonumber(ticket)] = true
end
redis.call('DEL', KEYS[2])
local free = 0
for ticket = 1, tonumber(ARGV[1]) do
  if not taken[ticket] then
    redis.call('RPUSH', KEYS[2], ticket)
    free = free + 1
  end
end
redis.call('SET', KEYS[3], '1')
return { corrected, free }
