-- Reference tables that clients upload. One writer: preprocessor/src/tables/table-store.ts.
--
-- A version is filled row by row and becomes visible when reference_table.live_version is set to it, in one statement.

CREATE TABLE reference_table (
  name text PRIMARY KEY,
  -- Columns with type, range and allowed values; see preprocessor/src/tables/table-schema.ts.
  schema jsonb NOT NULL,
  live_version integer,
  next_version integer NOT NULL DEFAULT 1,
  updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE reference_version (
  table_name text NOT NULL REFERENCES reference_table (name) ON DELETE CASCADE,
  version integer NOT NULL,
  -- Rows of a finished upload; NULL while it runs.
  rows bigint,
  refused bigint NOT NULL DEFAULT 0,
  uploaded_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (table_name, version)
);

CREATE TABLE reference_row (
  table_name text NOT NULL,
  version integer NOT NULL,
  key text NOT NULL,
  fields jsonb NOT NULL,
  PRIMARY KEY (table_name, version, key),
  FOREIGN KEY (table_name, version) REFERENCES reference_version ON DELETE CASCADE
);
