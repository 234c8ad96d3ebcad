-- API keys that are made while services run. One writer: platform/src/auth/api-key-store.ts. Keys are kept as digests alone.

CREATE TABLE api_key (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  -- Written into the prediction log and the ledger.
  subject text NOT NULL,
  key_sha256 bytea NOT NULL UNIQUE,
  roles text[] NOT NULL,
  -- Models that the key may name; NULL: all.
  models text[],
  -- Predictions a second and node; NULL: no quota.
  per_second real CHECK (per_second > 0),
  expires_at timestamptz,
  revoked_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now()
);
