-- Versions of features.yaml, the features that models share by `use: NAME`. A bundle pins the version it took them from.
-- Writer: retrainer/src/registry/shared-features.ts.
CREATE TABLE shared_features (
  version integer PRIMARY KEY,
  yaml text NOT NULL,
  at timestamptz NOT NULL,
  actor text NOT NULL
);
