-- Datasets lie in the model store as datasets/SHA256.parquet; their rows say where they come from. Written by the
-- retrainer's datasets/.
ALTER TABLE dataset
  -- collected: from the log and its outcomes; imported: from a file with labels; built: from archived events.
  ADD COLUMN kind text NOT NULL DEFAULT 'collected' CHECK (kind IN ('collected', 'imported', 'built')),
  ADD COLUMN bytes bigint NOT NULL DEFAULT 0,
  -- Rows for each purpose: training, holdout, frozen, left_out.
  ADD COLUMN parts jsonb NOT NULL DEFAULT '{}',
  -- The dataset that the parent version was trained on.
  ADD COLUMN parent_sha256 text,
  -- Times of its oldest and newest prediction.
  ADD COLUMN from_at timestamptz,
  ADD COLUMN to_at timestamptz,
  -- What could not be used and why, what waits, and what it was made with.
  ADD COLUMN detail jsonb NOT NULL DEFAULT '{}',
  ADD COLUMN withdrawn_at timestamptz;
CREATE INDEX dataset_model ON dataset (model, created_at);
