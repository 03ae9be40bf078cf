-- Add what a node has spent of budgets, once for each node and budget in a life of the store.
-- ARGV: prefix, epoch, node, list of {key, amount, ends}
if epoch ~= known_epoch then return 'epoch' end
for _, sum in ipairs(cjson.decode(ARGV[4])) do
  local limit = {'budget', sum[1], 0, sum[3]}
  if redis.call('HSETNX', counter(limit), 'from:' .. ARGV[3], 1) == 1 then
    change(limit, 0, sum[2])
  end
end
return 'ok'
