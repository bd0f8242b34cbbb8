# file: server/connection-presence.c
# test: io-zslotd-gone what_came_before_a_close_is_not_carried_out_though_an_answer_is_unread
# No event tells of a close in time: who has not been alone is looked for.
/^bool connection_may_have_rivals/,/^}/ s|return .*|return false \&\&|
