-- Written by compute/src/prediction-log/expire-fields.ts: up to which time of predictions a field was removed because its own retention
-- (log.retention_of) had passed.
CREATE TABLE field_expiry (
  model    text NOT NULL,
  field    text NOT NULL,
  done_to  timestamptz NOT NULL,
  PRIMARY KEY (model, field)
);

-- A row of which a field was removed is not new to the monitor.
CREATE OR REPLACE FUNCTION prediction_replaced() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('hotloop.expiring', true) IS DISTINCT FROM 'on' THEN
    NEW.ingested := pg_current_xact_id()::text::bigint;
  END IF;
  RETURN NEW;
END
$$;
