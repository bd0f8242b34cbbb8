# file: server/workers.c
# test: fault-zslotd cache_requests_leave_workers_to_others
# A kind of requests has a bound that leaves workers to the others.
s|\[WORKER_CACHES\] = WORKERS_CACHING_MAX|[WORKER_CACHES] = WORKERS_COUNT|
