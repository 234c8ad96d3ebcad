-- Written by the retrainer's rollouts/. One row for each promotion and each rollback, whatever its mode; its state is a row of the
-- transition table in rollout-state.ts. Only the driver that holds the newest token writes `state`.
CREATE TABLE rollout (
  rollout_id       uuid PRIMARY KEY,
  model            text NOT NULL REFERENCES model (name) ON DELETE CASCADE,
  version          integer NOT NULL,
  -- What was live when it began; null when nothing was.
  from_version     integer,
  action           text NOT NULL CHECK (action IN ('promote', 'rollback')),
  mode             text NOT NULL,
  -- The settings it runs by: the manifest's section and what the request changed. See rollout.ts.
  plan             jsonb NOT NULL,
  state            text NOT NULL,
  step             integer NOT NULL DEFAULT 0,
  -- What the services do for it; the registry's snapshot carries it. Null when there is nothing to do.
  traffic          jsonb,
  salt             text NOT NULL,
  -- The model's generation when it began: the compare-and-swap's expectation.
  generation       bigint NOT NULL,
  message          text NOT NULL DEFAULT '',
  reason           text NOT NULL DEFAULT '',
  actor            text NOT NULL,
  evidence         jsonb NOT NULL DEFAULT '{}',
  failure          jsonb,
  approvals        jsonb NOT NULL DEFAULT '[]',
  -- The fencing token: grows at every claim; a write that carries an older one changes nothing.
  token            bigint NOT NULL DEFAULT 0,
  lease_until      timestamptz,
  due_at           timestamptz NOT NULL DEFAULT now(),
  created_at       timestamptz NOT NULL DEFAULT now(),
  state_at         timestamptz NOT NULL DEFAULT now(),
  step_at          timestamptz NOT NULL DEFAULT now(),
  flipped_at       timestamptz,
  ended_at         timestamptz
);

CREATE INDEX rollout_model ON rollout (model, created_at DESC);
CREATE INDEX rollout_active ON rollout (due_at) WHERE ended_at IS NULL;

-- Progress and evidence change often and concern nobody who serves; the registry changes only with the traffic.
CREATE TRIGGER rollout_changed AFTER UPDATE ON rollout FOR EACH ROW
  WHEN (OLD.traffic IS DISTINCT FROM NEW.traffic) EXECUTE FUNCTION registry_changed();
CREATE TRIGGER rollout_deleted AFTER DELETE ON rollout FOR EACH ROW
  WHEN (OLD.traffic IS NOT NULL) EXECUTE FUNCTION registry_changed();
CREATE TRIGGER rollout_inserted AFTER INSERT ON rollout FOR EACH ROW
  WHEN (NEW.traffic IS NOT NULL) EXECUTE FUNCTION registry_changed();

-- Written by the retrainer's rollouts/. What happened to a rollout, in order. `traffic` holds the shares in force from `at` on: the
-- propensity of every answer until the next row.
CREATE TABLE rollout_event (
  rollout_id  uuid NOT NULL REFERENCES rollout (rollout_id) ON DELETE CASCADE,
  sequence    integer NOT NULL,
  at          timestamptz NOT NULL DEFAULT now(),
  event       text NOT NULL,
  state       text NOT NULL,
  step        integer NOT NULL,
  traffic     jsonb,
  message     text NOT NULL,
  actor       text NOT NULL,
  reason      text NOT NULL DEFAULT '',
  evidence    jsonb NOT NULL DEFAULT '{}',
  PRIMARY KEY (rollout_id, sequence)
);

-- Written by the retrainer's registry/.
ALTER TABLE model_version ADD COLUMN labels jsonb NOT NULL DEFAULT '{}';
ALTER TABLE model_version ADD COLUMN archived_at timestamptz;
ALTER TABLE model ADD COLUMN labels jsonb NOT NULL DEFAULT '{}';
ALTER TABLE model ADD COLUMN note text NOT NULL DEFAULT '';
