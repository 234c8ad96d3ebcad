-- A correction may tell the features of an example instead of naming a prediction, and may stop being a regression case while its
-- label stays. Written by the retrainer's outcomes/corrections/.
ALTER TABLE correction
  ALTER COLUMN prediction_id DROP NOT NULL,
  -- Cells of the uploaded row, where it names no prediction: every version computes its own columns of them.
  ADD COLUMN features jsonb,
  ADD CONSTRAINT correction_of CHECK ((prediction_id IS NULL) <> (features IS NULL)),
  DROP CONSTRAINT correction_state_check,
  -- waived: an operator has said why later versions need not answer it rightly; its label still counts.
  ADD CONSTRAINT correction_state_check CHECK (state IN ('staged', 'counts', 'contradicted', 'waived', 'withdrawn')),
  ADD COLUMN waived_by text,
  ADD COLUMN waived_because text;
CREATE INDEX correction_features ON correction (md5(features::text)) WHERE features IS NOT NULL;
