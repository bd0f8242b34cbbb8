# file: server/workers.c
# test: fault-zslotd fetches_of_one_export_leave_workers_to_another
# No export has more than twice as many workers as are free.
s|count == 1 ? running_max\[kind\]|count > 0 ? running_max[kind]|
