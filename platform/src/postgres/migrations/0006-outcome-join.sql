-- The join of outcomes and predictions in SQL, and counters of the loop.
--
-- retrainer/src/datasets/join.ts defines the join. What SQL needs of it are the views below, which a property test
-- compares with join.ts on random data. They know nothing of labels: an event that the manifest's expression ignores
-- matches here and gives no label there.

CREATE FUNCTION hotloop_duration(text) RETURNS interval LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN make_interval(secs => substring($1 FROM '^\d+')::double precision *
  CASE substring($1 FROM '[a-z]+$') WHEN 'ms' THEN 0.001 WHEN 's' THEN 1 WHEN 'm' THEN 60 WHEN 'h' THEN 3600 WHEN 'd' THEN 86400 END);

-- The values of the join keys, in their order; NULL where one is absent or none is declared. `item` names the candidate
-- of the row where there is one.
CREATE FUNCTION hotloop_join_values(keys text[], given jsonb, candidate text) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN cardinality(keys) > 0 AND array_position(found, NULL) IS NULL THEN found END
  FROM (SELECT ARRAY(
    SELECT CASE WHEN key = 'item' AND candidate IS NOT NULL THEN candidate ELSE given ->> key END
    FROM unnest(keys) WITH ORDINALITY AS named (key, place) ORDER BY place) AS found) AS values_found
$$;

-- How a model's outcomes are joined: as its live version declares, else its newest.
CREATE VIEW outcome_rule AS
SELECT model.name AS model,
       ARRAY(SELECT jsonb_array_elements_text(current.manifest -> 'outcome' -> 'join')) AS keys,
       hotloop_duration(coalesce(current.manifest -> 'outcome' ->> 'window', '7d')) AS time_window
FROM model JOIN LATERAL (
  SELECT manifest FROM model_version WHERE model_version.model = model.name
  ORDER BY model_version.version = model.live_version DESC NULLS LAST, model_version.version DESC LIMIT 1
) AS current ON true;

CREATE VIEW prediction_row AS
SELECT prediction_id, model, at, entities, number - 1 AS "row", "rows", candidates[number] AS candidate,
       cardinality(candidates) AS candidate_count
FROM prediction CROSS JOIN LATERAL generate_series(1, "rows") AS number;

-- Which rows of which predictions an outcome is about, within its window. 5 s: how far two clocks may differ.
CREATE VIEW outcome_match AS
SELECT outcome.model, outcome.sequence, asked.prediction_id, asked."row"
FROM outcome
JOIN outcome_rule rule ON rule.model = outcome.model
JOIN prediction_row asked ON asked.prediction_id = outcome.prediction_id AND asked.model = outcome.model
WHERE outcome.prediction_id IS NOT NULL
  AND CASE WHEN outcome.keys ? 'item' AND asked.candidate_count > 0 THEN asked.candidate = outcome.keys ->> 'item'
           ELSE asked."rows" = 1 END
  AND asked.at <= outcome.occurred_at + interval '5 s'
  AND (outcome.kind = 'retract' OR outcome.source = 'analyst' OR outcome.source LIKE 'analyst:%'
       OR asked.at >= outcome.occurred_at - rule.time_window)
UNION ALL
SELECT outcome.model, outcome.sequence, asked.prediction_id, asked."row"
FROM outcome
JOIN outcome_rule rule ON rule.model = outcome.model
JOIN (
  SELECT prediction_row.*, hotloop_join_values(own_rule.keys, entities, candidate) AS join_values
  FROM prediction_row JOIN outcome_rule own_rule ON own_rule.model = prediction_row.model
  WHERE candidate IS NULL OR "rows" = 1 OR 'item' = ANY (own_rule.keys)
) AS asked ON asked.model = outcome.model
  AND asked.join_values = hotloop_join_values(rule.keys, outcome.keys, NULL)
WHERE outcome.prediction_id IS NULL
  AND asked.at BETWEEN outcome.occurred_at - rule.time_window AND outcome.occurred_at + interval '5 s';

-- Written by whoever ships a journal, in the transaction that stores its rows: predictions ever logged.
CREATE TABLE logged_count (
  journal      text NOT NULL,
  model        text NOT NULL,
  predictions  bigint NOT NULL,
  PRIMARY KEY (journal, model)
);
INSERT INTO logged_count SELECT 'before counting', model, count(*) FROM prediction GROUP BY model;

-- Written by the trigger of `outcome`. Several shards, so that writers at the same moment do not wait for each other.
CREATE TABLE outcome_count (
  model     text NOT NULL,
  shard     integer NOT NULL,
  outcomes  bigint NOT NULL,
  PRIMARY KEY (model, shard)
);

-- Written by the trigger of `outcome`, and emptied by the retrainer's outcomes/: outcomes that name a prediction which is
-- not in Postgres (yet).
CREATE TABLE outcome_waiting (
  sequence       bigint PRIMARY KEY,
  model          text NOT NULL,
  prediction_id  uuid NOT NULL,
  since          timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX outcome_waiting_model ON outcome_waiting (model, sequence);

-- Plans that read all predictions would be chosen for large batches: one look into the key for each row is enough.
CREATE FUNCTION hotloop_outcomes_came() RETURNS trigger LANGUAGE plpgsql
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
  INSERT INTO outcome_count AS known (model, shard, outcomes)
    SELECT model, pg_backend_pid() % 64, count(*) FROM came GROUP BY model ORDER BY model
    ON CONFLICT (model, shard) DO UPDATE SET outcomes = known.outcomes + EXCLUDED.outcomes;
  INSERT INTO outcome_waiting (sequence, model, prediction_id)
    SELECT sequence, model, prediction_id FROM came WHERE prediction_id IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM prediction WHERE prediction.prediction_id = came.prediction_id);
  RETURN NULL;
END
$$;
CREATE TRIGGER outcomes_came AFTER INSERT ON outcome REFERENCING NEW TABLE AS came
  FOR EACH STATEMENT EXECUTE FUNCTION hotloop_outcomes_came();

CREATE FUNCTION hotloop_outcomes_left() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO outcome_count AS known (model, shard, outcomes)
    SELECT model, pg_backend_pid() % 64, -count(*) FROM gone GROUP BY model ORDER BY model
    ON CONFLICT (model, shard) DO UPDATE SET outcomes = known.outcomes + EXCLUDED.outcomes;
  DELETE FROM outcome_waiting USING gone WHERE outcome_waiting.sequence = gone.sequence;
  RETURN NULL;
END
$$;
CREATE TRIGGER outcomes_left AFTER DELETE ON outcome REFERENCING OLD TABLE AS gone
  FOR EACH STATEMENT EXECUTE FUNCTION hotloop_outcomes_left();

INSERT INTO outcome_count SELECT model, 0, count(*) FROM outcome GROUP BY model;
INSERT INTO outcome_waiting (sequence, model, prediction_id)
  SELECT sequence, model, prediction_id FROM outcome WHERE prediction_id IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM prediction WHERE prediction.prediction_id = outcome.prediction_id);

-- Written by the trigger of `set_aside`: messages of a topic that could not be read.
CREATE TABLE dead_letter_count (
  topic     text PRIMARY KEY,
  messages  bigint NOT NULL
);
CREATE FUNCTION hotloop_dead_letters_came() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO dead_letter_count AS known (topic, messages) SELECT topic, count(*) FROM came GROUP BY topic
    ON CONFLICT (topic) DO UPDATE SET messages = known.messages + EXCLUDED.messages;
  RETURN NULL;
END
$$;
CREATE TRIGGER dead_letters_came AFTER INSERT ON set_aside REFERENCING NEW TABLE AS came
  FOR EACH STATEMENT EXECUTE FUNCTION hotloop_dead_letters_came();
INSERT INTO dead_letter_count SELECT topic, count(*) FROM set_aside GROUP BY topic;
