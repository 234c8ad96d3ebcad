-- Corrections: what analysts upload. Written by the retrainer's outcomes/corrections/. Nothing of an upload counts before it is
-- approved; then each accepted row is an outcome of the source analyst:SUBJECT.
CREATE TABLE correction_upload (
  upload_id    uuid PRIMARY KEY,
  model        text NOT NULL REFERENCES model (name),
  state        text NOT NULL CHECK (state IN ('staged', 'approved', 'withdrawn')),
  uploaded_by  text NOT NULL,
  approved_by  text,
  file_sha256  text NOT NULL,
  note         text NOT NULL DEFAULT '',
  rows         integer NOT NULL,
  accepted     integer NOT NULL,
  -- Refused rows: the first of them with line and reason.
  refused      integer NOT NULL,
  problems     jsonb NOT NULL DEFAULT '[]',
  created_at   timestamptz NOT NULL DEFAULT now(),
  ended_at     timestamptz
);
CREATE INDEX correction_upload_model ON correction_upload (model, created_at);

CREATE TABLE correction (
  upload_id      uuid NOT NULL REFERENCES correction_upload (upload_id),
  line           integer NOT NULL,
  prediction_id  uuid NOT NULL,
  item           text,
  value          jsonb NOT NULL,
  label          double precision NOT NULL,
  note           text NOT NULL DEFAULT '',
  -- counts: an outcome and a regression case; contradicted: another approved correction of the row says otherwise, so neither counts.
  state          text NOT NULL DEFAULT 'staged' CHECK (state IN ('staged', 'counts', 'contradicted', 'withdrawn')),
  PRIMARY KEY (upload_id, line)
);
CREATE INDEX correction_prediction ON correction (prediction_id);
