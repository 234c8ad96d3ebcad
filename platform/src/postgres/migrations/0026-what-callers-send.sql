-- The size of numbers (`1e3`) beside their type, and how many messages came before a shape's first: so a unit that changed is
-- told, and a change of a producer whose past is minutes long.
ALTER TABLE event_shape DROP CONSTRAINT event_shape_kind_check;
ALTER TABLE event_shape ADD CONSTRAINT event_shape_kind_check
  CHECK (kind IN ('number', 'text', 'flag', 'list', 'absent', 'message', 'late') OR kind ~ '^1e-?[0-9]{1,2}$');
ALTER TABLE event_shape ADD COLUMN earlier bigint NOT NULL DEFAULT 0;

-- Calls that were refused at the front door and so are in no log, by minute, caller and code.
-- One writer: the preprocessor, through platform/src/postgres/refused-call-store.ts, which reads and drops them as well.
CREATE TABLE refused_call (
  model   text NOT NULL,
  minute  timestamptz NOT NULL,
  caller  text NOT NULL,
  code    text NOT NULL,
  calls   bigint NOT NULL,
  PRIMARY KEY (model, minute, caller, code)
);
