-- The whole loop's truth. One writer for each table, named above it.

-- Written by the retrainer.
CREATE TABLE model (
  name              text PRIMARY KEY CHECK (name ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
  live_version      integer,
  previous_version  integer,
  target_version    integer,
  generation        bigint NOT NULL DEFAULT 0,
  created_at        timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE model_version (
  model           text NOT NULL REFERENCES model (name),
  version         integer NOT NULL CHECK (version > 0),
  bundle_sha256   text NOT NULL,
  onnx_sha256     text NOT NULL,
  manifest        jsonb NOT NULL,
  parent_version  integer,
  dataset_sha256  text,
  run_id          uuid,
  metrics         jsonb NOT NULL DEFAULT '{}',
  note            text NOT NULL DEFAULT '',
  created_at      timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (model, version),
  UNIQUE (model, bundle_sha256)
);

-- Written by the triggers below. One row; `revision` grows with every change of the registry, in the order of commits,
-- so that a reader knows by one number whether its snapshot is current.
CREATE TABLE registry_change (
  only_row  boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  revision  bigint NOT NULL DEFAULT 0
);
INSERT INTO registry_change DEFAULT VALUES;

CREATE FUNCTION registry_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE registry_change SET revision = revision + 1;
  PERFORM pg_notify('hotloop_registry', '');
  RETURN NULL;
END
$$;
CREATE TRIGGER model_changed AFTER INSERT OR UPDATE OR DELETE ON model
  FOR EACH STATEMENT EXECUTE FUNCTION registry_changed();
CREATE TRIGGER model_version_changed AFTER INSERT OR UPDATE OR DELETE ON model_version
  FOR EACH STATEMENT EXECUTE FUNCTION registry_changed();

-- Written by compute: what runs on a node. A row whose seen_at is old belongs to a node that is gone.
CREATE TABLE node_version (
  node          text NOT NULL,
  model         text NOT NULL,
  version       integer NOT NULL,
  state         text NOT NULL,
  memory_bytes  bigint NOT NULL DEFAULT 0,
  detail        text NOT NULL DEFAULT '',
  seen_at       timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (node, model, version)
);

CREATE TABLE node (
  node     text PRIMARY KEY,
  seen_at  timestamptz NOT NULL DEFAULT now()
);

-- Written by compute. Partitioned by day on the id itself: a UUIDv7 begins with its time, so the primary key stays
-- the id alone and "exactly once" is a unique key. Partitions are made by the shipper.
CREATE TABLE prediction (
  prediction_id  uuid NOT NULL,
  at             timestamptz NOT NULL,
  model          text NOT NULL,
  version        integer NOT NULL,
  variant        text NOT NULL,
  caller         text NOT NULL DEFAULT '',
  entities       jsonb NOT NULL DEFAULT '{}',
  candidates     text[] NOT NULL DEFAULT '{}',
  "rows"         integer NOT NULL,
  "columns"      integer NOT NULL,
  features       bytea,
  statuses       bytea,
  outputs        bytea,
  output_spec    jsonb NOT NULL DEFAULT '[]',
  degraded       text[] NOT NULL DEFAULT '{}',
  queue_us       integer NOT NULL DEFAULT 0,
  run_us         integer NOT NULL DEFAULT 0,
  error_code     text,
  error_message  text,
  node           text NOT NULL,
  PRIMARY KEY (prediction_id)
) PARTITION BY RANGE (prediction_id);

CREATE INDEX prediction_at ON prediction USING brin (at);
CREATE INDEX prediction_entities ON prediction USING gin (entities jsonb_path_ops);

-- Written by the postprocessor, partitioned the same way.
CREATE TABLE decision (
  prediction_id  uuid NOT NULL,
  at             timestamptz NOT NULL,
  model          text NOT NULL,
  version        integer NOT NULL,
  variant        text NOT NULL,
  label          text NOT NULL DEFAULT '',
  score          double precision,
  shown          jsonb NOT NULL DEFAULT '[]',
  node           text NOT NULL,
  PRIMARY KEY (prediction_id)
) PARTITION BY RANGE (prediction_id);

CREATE INDEX decision_at ON decision USING brin (at);

-- Written by whoever ships a journal, in the transaction that stores its rows: how far the journal has been shipped.
CREATE TABLE journal_position (
  journal  text PRIMARY KEY,
  segment  bigint NOT NULL,
  "offset" bigint NOT NULL,
  at       timestamptz NOT NULL DEFAULT now()
);

-- Written by the retrainer. Every report is kept as it came; labels are derived, never stored in place.
CREATE TABLE outcome (
  sequence       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id             text NOT NULL,
  model          text NOT NULL,
  source         text NOT NULL,
  kind           text NOT NULL CHECK (kind IN ('label', 'retract')),
  prediction_id  uuid,
  keys           jsonb NOT NULL DEFAULT '{}',
  value          jsonb,
  attributes     jsonb NOT NULL DEFAULT '{}',
  occurred_at    timestamptz NOT NULL,
  received_at    timestamptz NOT NULL DEFAULT now(),
  UNIQUE (model, source, id)
);

CREATE INDEX outcome_prediction ON outcome (prediction_id) WHERE prediction_id IS NOT NULL;
CREATE INDEX outcome_keys ON outcome USING gin (keys jsonb_path_ops);

-- Written by whoever consumes a topic. Messages that could not be read, byte for byte, with the reason.
CREATE TABLE set_aside (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  consumer   text NOT NULL,
  topic      text NOT NULL,
  "partition" integer NOT NULL,
  "offset"   bigint NOT NULL,
  key        bytea,
  value      bytea,
  headers    jsonb NOT NULL DEFAULT '{}',
  error      text NOT NULL,
  at         timestamptz NOT NULL DEFAULT now(),
  UNIQUE (consumer, topic, "partition", "offset")
);

-- Written by the retrainer.
CREATE TABLE dataset (
  sha256      text PRIMARY KEY,
  model       text NOT NULL,
  examples    bigint NOT NULL,
  "columns"   integer NOT NULL,
  positives   bigint,
  cut         bigint NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE training_run (
  run_id          uuid PRIMARY KEY,
  model           text NOT NULL REFERENCES model (name),
  key             text NOT NULL,
  reason          text NOT NULL DEFAULT '',
  hold            boolean NOT NULL DEFAULT false,
  state           text NOT NULL,
  message         text NOT NULL DEFAULT '',
  -- The fencing token: grows at every claim; a write that carries an older one changes nothing.
  token           bigint NOT NULL DEFAULT 0,
  lease_until     timestamptz,
  parent_version  integer,
  version         integer,
  dataset_sha256  text,
  examples        bigint NOT NULL DEFAULT 0,
  progress        double precision NOT NULL DEFAULT 0,
  metrics         jsonb NOT NULL DEFAULT '{}',
  gate            jsonb,
  enqueued        boolean NOT NULL DEFAULT false,
  created_at      timestamptz NOT NULL DEFAULT now(),
  ended_at        timestamptz,
  UNIQUE (model, key)
);

-- Hash-chained: hash = SHA-256 of (previous_hash, sequence, at, actor, action, model, version, detail).
CREATE TABLE ledger (
  sequence       bigint PRIMARY KEY,
  at             timestamptz NOT NULL,
  actor          text NOT NULL,
  action         text NOT NULL,
  model          text NOT NULL,
  version        integer,
  detail         jsonb NOT NULL DEFAULT '{}',
  previous_hash  text NOT NULL,
  hash           text NOT NULL UNIQUE
);
