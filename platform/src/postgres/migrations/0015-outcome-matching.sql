-- Keyed outcomes are matched once, behind the readers, and counted: reading the state of a loop joins nothing.
--
-- The join has two halves, by id and by keys; outcome_match is both. `at` is the prediction's time. Of the two conditions on
-- keys the first is for hash joins over many predictions, the second finds the outcomes of one prediction through the index.
-- retrainer/src/datasets/join.ts defines the join; a property test compares.
DROP VIEW outcome_match;

CREATE VIEW outcome_match_by_id AS
SELECT outcome.model, outcome.sequence, asked.prediction_id, asked."row", asked.at
FROM outcome
JOIN outcome_rule rule ON rule.model = outcome.model
JOIN prediction_row asked ON asked.prediction_id = outcome.prediction_id AND asked.model = outcome.model
WHERE outcome.prediction_id IS NOT NULL
  AND CASE WHEN outcome.keys ? 'item' AND asked.candidate_count > 0 THEN asked.candidate = outcome.keys ->> 'item'
           ELSE asked."rows" = 1 END
  AND asked.at <= outcome.occurred_at + interval '5 s'
  AND (outcome.kind = 'retract' OR outcome.source = 'analyst' OR outcome.source LIKE 'analyst:%'
       OR asked.at >= outcome.occurred_at - rule.time_window);

CREATE VIEW outcome_match_by_keys AS
SELECT outcome.model, outcome.sequence, asked.prediction_id, asked."row", asked.at
FROM outcome
JOIN outcome_rule rule ON rule.model = outcome.model AND cardinality(rule.keys) > 0
JOIN (
  SELECT prediction_row.*,
         ARRAY(SELECT CASE WHEN key = 'item' AND candidate IS NOT NULL THEN candidate ELSE entities ->> key END
               FROM unnest(own_rule.keys) WITH ORDINALITY AS named (key, place) ORDER BY place) AS join_values,
         (SELECT jsonb_object_agg(key, CASE WHEN key = 'item' AND candidate IS NOT NULL THEN candidate ELSE entities ->> key END)
          FROM unnest(own_rule.keys) AS key) AS join_keys
  FROM prediction_row JOIN outcome_rule own_rule ON own_rule.model = prediction_row.model
  WHERE candidate IS NULL OR "rows" = 1 OR 'item' = ANY (own_rule.keys)
) AS asked ON asked.model = outcome.model
  AND asked.join_values = ARRAY(SELECT outcome.keys ->> key FROM unnest(rule.keys) WITH ORDINALITY AS named (key, place) ORDER BY place)
  AND outcome.keys @> asked.join_keys
WHERE outcome.prediction_id IS NULL
  AND asked.at BETWEEN outcome.occurred_at - rule.time_window AND outcome.occurred_at + interval '5 s';

CREATE VIEW outcome_match AS SELECT * FROM outcome_match_by_id UNION ALL SELECT * FROM outcome_match_by_keys;

DROP FUNCTION hotloop_join_values(text[], jsonb, text);

-- Outcomes that match no prediction so far: those that name one which is not in Postgres, and those with keys until they have
-- been looked up. A keyed one is looked up again, less and less often: predictions arrive a moment after they are answered.
ALTER TABLE outcome_waiting
  ALTER COLUMN prediction_id DROP NOT NULL,
  ADD COLUMN looks integer NOT NULL DEFAULT 0,
  ADD COLUMN look_at timestamptz NOT NULL DEFAULT now();
CREATE INDEX outcome_waiting_look ON outcome_waiting (look_at) WHERE prediction_id IS NULL;
CREATE INDEX outcome_waiting_named ON outcome_waiting (model, sequence) WHERE prediction_id IS NOT NULL;
DROP INDEX outcome_waiting_model;

-- Written by the triggers of `outcome_waiting`, in shards as outcome_count is.
CREATE TABLE outcome_waiting_count (
  model    text NOT NULL,
  shard    integer NOT NULL,
  waiting  bigint NOT NULL,
  PRIMARY KEY (model, shard)
);
CREATE FUNCTION hotloop_waiting_came() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO outcome_waiting_count AS known (model, shard, waiting)
    SELECT model, pg_backend_pid() % 64, count(*) FROM came GROUP BY model ORDER BY model
    ON CONFLICT (model, shard) DO UPDATE SET waiting = known.waiting + EXCLUDED.waiting;
  RETURN NULL;
END
$$;
CREATE FUNCTION hotloop_waiting_left() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO outcome_waiting_count AS known (model, shard, waiting)
    SELECT model, pg_backend_pid() % 64, -count(*) FROM gone GROUP BY model ORDER BY model
    ON CONFLICT (model, shard) DO UPDATE SET waiting = known.waiting + EXCLUDED.waiting;
  RETURN NULL;
END
$$;
INSERT INTO outcome_waiting_count SELECT model, 0, count(*) FROM outcome_waiting GROUP BY model;
CREATE TRIGGER waiting_came AFTER INSERT ON outcome_waiting REFERENCING NEW TABLE AS came
  FOR EACH STATEMENT EXECUTE FUNCTION hotloop_waiting_came();
CREATE TRIGGER waiting_left AFTER DELETE ON outcome_waiting REFERENCING OLD TABLE AS gone
  FOR EACH STATEMENT EXECUTE FUNCTION hotloop_waiting_left();

CREATE OR REPLACE FUNCTION hotloop_outcomes_came() RETURNS trigger LANGUAGE plpgsql
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
  INSERT INTO outcome_count AS known (model, shard, outcomes)
    SELECT model, pg_backend_pid() % 64, count(*) FROM came GROUP BY model ORDER BY model
    ON CONFLICT (model, shard) DO UPDATE SET outcomes = known.outcomes + EXCLUDED.outcomes;
  INSERT INTO outcome_waiting (sequence, model, prediction_id)
    SELECT sequence, model, prediction_id FROM came WHERE prediction_id IS NULL
      OR NOT EXISTS (SELECT 1 FROM prediction WHERE prediction.prediction_id = came.prediction_id);
  RETURN NULL;
END
$$;

INSERT INTO outcome_waiting (sequence, model) SELECT sequence, model FROM outcome WHERE prediction_id IS NULL;
