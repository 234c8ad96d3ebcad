-- Written by preprocessor/src/tables/watch-tables.ts: files of a watched folder or bucket that became versions of reference tables.
CREATE TABLE reference_file (
  key text PRIMARY KEY,
  -- Of the object as it was taken; another size or time means that it has changed.
  bytes bigint NOT NULL,
  modified_ms bigint NOT NULL,
  state text NOT NULL DEFAULT 'working' CHECK (state IN ('working', 'taken', 'refused')),
  -- Why it was refused; empty otherwise.
  problem text NOT NULL DEFAULT '',
  since timestamptz NOT NULL DEFAULT now()
);
