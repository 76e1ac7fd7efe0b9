-- Gives a user a ticket, once. KEYS: claims, tickets, ready. ARGV: user.
if redis.call('EXISTS', KEYS[3]) == 0 then
  return { 'forgotten', '' }
end
local held = redis.call('HGET', KEYS[1], ARGV[1])
if held then
  return { 'held', held }
end
local ticket = redis.call('LPOP', KEYS[2])
if not ticket then
  return { 'none', '' }
end
redis.call('HSET', KEYS[1], ARGV[1], ticket)
return { 'new', ticket }
