// Original file: hotloop/v1/intake.proto

import type { Value as _hotloop_v1_Value, Value__Output as _hotloop_v1_Value__Output } from '../../hotloop/v1/Value.ts';

/**
 * A CloudEvent, identified by id and source together.
 */
export interface Event {
  'id'?: (string);
  'source'?: (string);
  'type'?: (string);
  /**
   * RFC 3339 with offset.
   */
  'time'?: (string);
  /**
   * Kind of entity to its id, such as {user: u1}.
   */
  'entities'?: ({[key: string]: string});
  'fields'?: ({[key: string]: _hotloop_v1_Value});
}

/**
 * A CloudEvent, identified by id and source together.
 */
export interface Event__Output {
  'id': (string);
  'source': (string);
  'type': (string);
  /**
   * RFC 3339 with offset.
   */
  'time': (string);
  /**
   * Kind of entity to its id, such as {user: u1}.
   */
  'entities': ({[key: string]: string});
  'fields': ({[key: string]: _hotloop_v1_Value__Output});
}
