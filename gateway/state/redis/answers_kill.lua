-- Have nobody find these answers any more.
-- ARGV: prefix, epoch, ids
for i = 3, #ARGV do kill(ARGV[i]) end
return 'ok'
