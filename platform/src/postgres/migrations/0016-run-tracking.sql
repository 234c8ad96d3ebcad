-- What a training run was made of. Written by retrainer/runs, as training_run is.
ALTER TABLE training_run
  -- retrain: may become a version. trial: one try of a search; never registered, and several of a model may work at once.
  ADD COLUMN kind       text NOT NULL DEFAULT 'retrain',
  -- Groups runs that belong together, such as the trials of a search.
  ADD COLUMN experiment text NOT NULL DEFAULT '',
  -- What was asked for instead of what model.yaml says: learning_rate, epochs, hidden ...
  ADD COLUMN overrides  jsonb NOT NULL DEFAULT '{}',
  -- What the run was trained with, complete.
  ADD COLUMN parameters jsonb NOT NULL DEFAULT '{}',
  ADD COLUMN hardware   jsonb NOT NULL DEFAULT '{}',
  ADD COLUMN started_at timestamptz;

-- Curves: one value of a metric at one step of a run. Written by retrainer/runs.
CREATE TABLE run_metric (
  run_id  uuid NOT NULL REFERENCES training_run (run_id) ON DELETE CASCADE,
  name    text NOT NULL,
  step    bigint NOT NULL,
  value   double precision NOT NULL,
  at      timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (run_id, name, step)
);

-- A declared search and its state. Written by retrainer/runs.
CREATE TABLE search (
  search_id  uuid PRIMARY KEY,
  model      text NOT NULL REFERENCES model (name),
  spec       jsonb NOT NULL,
  seed       bigint NOT NULL,
  state      text NOT NULL DEFAULT 'searching',
  message    text NOT NULL DEFAULT '',
  created_at timestamptz NOT NULL DEFAULT now(),
  ended_at   timestamptz
);
