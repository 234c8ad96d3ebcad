-- Written by retrainer/src/batch/batch-store.ts. Source and sink hold no credentials: they name environment variables.
CREATE TABLE batch_run (
  run_id          uuid PRIMARY KEY,
  model           text NOT NULL REFERENCES model (name),
  version         integer NOT NULL,
  key             text NOT NULL,
  source          text NOT NULL,
  sink            text NOT NULL,
  options         jsonb NOT NULL DEFAULT '{}',
  schedule        text,
  state           text NOT NULL,
  message         text NOT NULL DEFAULT '',
  -- SHA-256 over the source as it was read.
  dataset_sha256  text,
  -- Where the rows lie: files, their fingerprints and numbers of rows.
  plan            jsonb,
  rows            bigint,
  caller          text NOT NULL DEFAULT '',
  created_at      timestamptz NOT NULL DEFAULT now(),
  started_at      timestamptz,
  ended_at        timestamptz,
  UNIQUE (model, key)
);
CREATE INDEX batch_run_open ON batch_run (created_at) WHERE ended_at IS NULL;

-- Written by retrainer/src/batch/batch-store.ts. Part -1 is the planning, part -2 the finish.
CREATE TABLE batch_part (
  run_id       uuid NOT NULL REFERENCES batch_run (run_id) ON DELETE CASCADE,
  part         integer NOT NULL,
  first_row    bigint NOT NULL DEFAULT 0,
  end_row      bigint NOT NULL DEFAULT 0,
  -- The fencing token: grows at every claim; an end that carries an older one changes nothing.
  token        bigint NOT NULL DEFAULT 0,
  lease_until  timestamptz,
  done         boolean NOT NULL DEFAULT false,
  accepted     bigint NOT NULL DEFAULT 0,
  refused      bigint NOT NULL DEFAULT 0,
  sha256       text,
  PRIMARY KEY (run_id, part)
);

-- Written by retrainer/src/batch/schedule-store.ts.
CREATE TABLE batch_schedule (
  name        text PRIMARY KEY,
  spec        jsonb NOT NULL,
  enabled     boolean NOT NULL DEFAULT true,
  next_at     timestamptz,
  last_at     timestamptz,
  created_at  timestamptz NOT NULL DEFAULT now()
);
