-- Two runs of one schedule never overlap, also when two requests come at the same moment. Should there be such runs, the oldest stays.
UPDATE batch_run run SET state = 'cancelled', ended_at = now(), message = 'another run of its schedule was at work'
WHERE run.ended_at IS NULL AND EXISTS (
  SELECT 1 FROM batch_run older WHERE older.schedule = run.schedule AND older.ended_at IS NULL
    AND (older.created_at, older.run_id) < (run.created_at, run.run_id));
CREATE UNIQUE INDEX batch_run_schedule_open ON batch_run (schedule) WHERE ended_at IS NULL;
