-- name: end_standing_still
-- Ends this login's other sessions that hold locks and have waited for their client too long.   $1 longest wait
SELECT count(*) FILTER (WHERE pg_terminate_backend(pid))::int
  FROM pg_stat_activity
 WHERE usename = current_user
   AND datname = current_database()
   AND pid <> pg_backend_pid()
   AND state = 'active'
   AND wait_event_type = 'Client'
   AND (backend_xid IS NOT NULL
        OR EXISTS (SELECT FROM pg_locks AS held
                    WHERE held.pid = pg_stat_activity.pid AND held.locktype = 'advisory' AND held.granted))
   AND state_change < clock_timestamp() - $1::interval;
