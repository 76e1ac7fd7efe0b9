-- Takes a user's ticket away, unless it has become another one. KEYS: claims, tickets.
-- ARGV: user, ticket, the one that is the user's instead or '', whether the ticket may be used by others ('1').
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then
  return 0
end
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
end
if ARGV[4] == '1' then
  redis.call('LPUSH', KEYS[2], ARGV[2])
end
return 1
