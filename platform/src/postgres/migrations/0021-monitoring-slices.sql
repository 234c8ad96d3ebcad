-- What is watched by slice, and rows of the training of a version. All of it is written by the retrainer's monitoring module.

ALTER TABLE monitor_sketch ADD COLUMN slice text NOT NULL DEFAULT '';
ALTER TABLE monitor_sketch DROP CONSTRAINT monitor_sketch_pkey;
ALTER TABLE monitor_sketch ADD PRIMARY KEY (model, span, at, version, slice, feature);

ALTER TABLE monitor_baseline ADD COLUMN slice text NOT NULL DEFAULT '';
ALTER TABLE monitor_baseline DROP CONSTRAINT monitor_baseline_pkey;
ALTER TABLE monitor_baseline ADD PRIMARY KEY (model, version, slice, feature);

ALTER TABLE monitor_quality ADD COLUMN slice text NOT NULL DEFAULT '';
ALTER TABLE monitor_quality DROP CONSTRAINT monitor_quality_pkey;
ALTER TABLE monitor_quality ADD PRIMARY KEY (model, version, day, metric, slice);

-- A sample of the rows that a version was trained on, float32, row by row: rows of today are told apart from them.
CREATE TABLE monitor_sample (
  model     text NOT NULL,
  version   integer NOT NULL,
  "rows"    integer NOT NULL,
  "columns" integer NOT NULL,
  features  bytea NOT NULL,
  PRIMARY KEY (model, version)
);

-- Outcomes of a time that belong to no prediction are counted every few minutes.
CREATE INDEX outcome_received ON outcome USING brin (received_at);
