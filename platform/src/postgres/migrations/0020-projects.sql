-- Projects isolate teams: a project's models are named PROJECT-..., its topics PROJECT.... or PROJECT-..., and its keys reach nothing else.
-- One writer: platform/src/auth/project-store.ts.
CREATE TABLE project (
  name        text PRIMARY KEY CHECK (name ~ '^[a-z0-9][a-z0-9_]{0,30}$'),
  -- Predictions a second and node of all its keys together; NULL: no quota.
  per_second  real CHECK (per_second > 0),
  -- NULL: as many as it likes.
  max_models  integer CHECK (max_models > 0),
  created_at  timestamptz NOT NULL DEFAULT now()
);
-- Written by platform/src/auth/api-key-store.ts. NULL: a key of the whole installation.
ALTER TABLE api_key ADD COLUMN project text REFERENCES project (name) ON DELETE RESTRICT;
