-- What events and requests of topics look like: which fields their messages have, of which type, by ten minutes. From it the
-- monitor tells that a producer changed its messages, where that began, that events come late, and that they stopped.
-- One writer: the preprocessor, through platform/src/postgres/event-shape-store.ts, which reads it as well.
CREATE TABLE event_shape (
  topic            text NOT NULL,
  event            text NOT NULL,
  -- Empty for the kinds `message` (all) and `late`.
  field            text NOT NULL,
  kind             text NOT NULL CHECK (kind IN ('number', 'text', 'flag', 'list', 'absent', 'message', 'late')),
  at               timestamptz NOT NULL,
  messages         bigint NOT NULL,
  -- Where the first of them lies; NULL for what came over HTTP.
  first_partition  integer,
  first_offset     bigint,
  first_at         timestamptz NOT NULL,
  last_at          timestamptz NOT NULL,
  PRIMARY KEY (event, topic, field, kind, at)
);
