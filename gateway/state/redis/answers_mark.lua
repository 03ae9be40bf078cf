-- Refuse answers of a selection that were stored before now but come later.
-- ARGV: prefix, epoch, the selection {id, names, at}
redis.call('ZADD', purges, exact(cjson.decode(ARGV[3]).at), ARGV[3])
return 'ok'
