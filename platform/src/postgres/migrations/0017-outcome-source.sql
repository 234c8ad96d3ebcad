-- Outcomes by scheduled SQL. Written by the retrainer's outcomes/sql/: how far each model's query has been read, moved in the
-- transaction that stores the outcomes. Holds no address.
CREATE TABLE outcome_source (
  model         text PRIMARY KEY REFERENCES model (name) ON DELETE CASCADE,
  query_sha256  text NOT NULL,
  -- Watermark and id of the last row taken, as the other server writes them.
  watermark     text,
  row_id        text,
  outcomes      bigint NOT NULL DEFAULT 0,
  refused       integer NOT NULL DEFAULT 0,
  problems      jsonb NOT NULL DEFAULT '[]',
  error         text NOT NULL DEFAULT '',
  read_at       timestamptz,
  due_at        timestamptz NOT NULL DEFAULT now()
);
