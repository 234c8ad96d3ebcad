-- The transaction that wrote a row, so that the monitor can read what is new since it last looked: rows become visible in
-- the order of commits, not of ids. Set by Postgres. Rows from before this column have none and count as read: in two statements the
-- column is there at once, in one all rows would be written again, with the table locked.
ALTER TABLE prediction ADD COLUMN ingested bigint;
ALTER TABLE prediction ALTER COLUMN ingested SET DEFAULT (pg_current_xact_id()::text::bigint);
CREATE INDEX prediction_ingested ON prediction USING brin (ingested);

-- An answer that replaces the row of a failed attempt is new.
CREATE FUNCTION prediction_replaced() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.ingested := pg_current_xact_id()::text::bigint;
  RETURN NEW;
END
$$;
CREATE TRIGGER prediction_replaced BEFORE UPDATE ON prediction FOR EACH ROW EXECUTE FUNCTION prediction_replaced();

-- All tables below are written by the retrainer's monitoring module.

-- How far the log has been read, and when the monitor last worked. Locked while rows are added, so that each counts once.
CREATE TABLE monitor_position (
  only_row      boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  ingested      bigint NOT NULL,
  read_to       timestamptz NOT NULL DEFAULT now(),
  heartbeat_at  timestamptz NOT NULL DEFAULT now(),
  evaluated_at  timestamptz NOT NULL DEFAULT now()
);
INSERT INTO monitor_position (ingested) VALUES (pg_current_xact_id()::text::bigint);

-- Summaries of logged rows. `span` is five minutes (kept for hours) or an hour (kept for weeks), in seconds.
CREATE TABLE monitor_sketch (
  model    text NOT NULL,
  version  integer NOT NULL,
  feature  text NOT NULL,
  span     integer NOT NULL,
  at       timestamptz NOT NULL,
  sketch   jsonb NOT NULL,
  PRIMARY KEY (model, span, at, version, feature)
);

CREATE TABLE monitor_calls (
  model     text NOT NULL,
  version   integer NOT NULL,
  variant   text NOT NULL,
  caller    text NOT NULL,
  minute    timestamptz NOT NULL,
  calls     bigint NOT NULL,
  errors    bigint NOT NULL,
  degraded  bigint NOT NULL,
  codes     jsonb NOT NULL DEFAULT '{}',
  PRIMARY KEY (model, minute, version, variant, caller)
);

CREATE TABLE monitor_baseline (
  model    text NOT NULL,
  version  integer NOT NULL,
  feature  text NOT NULL,
  source   text NOT NULL,
  sketch   jsonb NOT NULL,
  PRIMARY KEY (model, version, feature)
);

-- Quality by day: measured with labels, and estimated before they came.
CREATE TABLE monitor_quality (
  model      text NOT NULL,
  version    integer NOT NULL,
  day        date NOT NULL,
  metric     text NOT NULL,
  rows       bigint NOT NULL,
  labelled   bigint NOT NULL,
  measured   jsonb,
  estimated  jsonb,
  at         timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (model, version, day, metric)
);

CREATE TABLE incident (
  id               uuid PRIMARY KEY,
  model            text NOT NULL,
  cause            text NOT NULL,
  state            text NOT NULL,
  severity         text NOT NULL,
  title            text NOT NULL,
  cost             jsonb,
  signals          jsonb NOT NULL,
  evidence         jsonb NOT NULL DEFAULT '{}',
  transition       integer NOT NULL DEFAULT 1,
  quiet_since      timestamptz,
  opened_at        timestamptz NOT NULL,
  updated_at       timestamptz NOT NULL,
  closed_at        timestamptz,
  acknowledged_at  timestamptz,
  acknowledged_by  text,
  note             text NOT NULL DEFAULT '',
  escalated_at     timestamptz
);
CREATE UNIQUE INDEX incident_open ON incident (model, cause) WHERE closed_at IS NULL;
CREATE INDEX incident_opened ON incident (opened_at);

-- What is to be sent: one row for each transition and receiver, written with the transition itself.
CREATE TABLE incident_delivery (
  incident      uuid NOT NULL REFERENCES incident (id) ON DELETE CASCADE,
  transition    integer NOT NULL,
  receiver      text NOT NULL,
  body          jsonb NOT NULL,
  attempts      integer NOT NULL DEFAULT 0,
  next_at       timestamptz NOT NULL DEFAULT now(),
  delivered_at  timestamptz,
  last_error    text NOT NULL DEFAULT '',
  created_at    timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (incident, transition, receiver)
);
CREATE INDEX incident_undelivered ON incident_delivery (next_at) WHERE delivered_at IS NULL;

CREATE TABLE monitor_silence (
  id       uuid PRIMARY KEY,
  model    text NOT NULL,
  cause    text NOT NULL DEFAULT '',
  until    timestamptz NOT NULL,
  reason   text NOT NULL,
  actor    text NOT NULL,
  at       timestamptz NOT NULL DEFAULT now()
);

CREATE TRIGGER incident_notice AFTER INSERT OR UPDATE OR DELETE ON incident
  FOR EACH STATEMENT EXECUTE FUNCTION notify_change();
