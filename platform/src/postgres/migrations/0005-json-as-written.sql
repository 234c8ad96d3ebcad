-- Read whole, never searched. Taking a row with jsonb here, which Postgres takes apart and builds anew, cost it a sixth more.
ALTER TABLE prediction
  ALTER COLUMN input_spec DROP DEFAULT, ALTER COLUMN output_spec DROP DEFAULT,
  ALTER COLUMN input_spec TYPE json, ALTER COLUMN output_spec TYPE json,
  ALTER COLUMN input_spec SET DEFAULT '[]', ALTER COLUMN output_spec SET DEFAULT '[]';
ALTER TABLE decision
  ALTER COLUMN shown DROP DEFAULT, ALTER COLUMN shown TYPE json, ALTER COLUMN shown SET DEFAULT '[]';
