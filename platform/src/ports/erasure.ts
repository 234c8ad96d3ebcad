/** Whose traces are erased, such as user 42. */
export interface Entity {
  /** As models name it: user, item … */
  readonly kind: string;
  readonly id: string;
}

/** Where an entity occurs, found before anything is erased. */
export interface Traces {
  readonly entity: Entity;
  /** Predictions for it, and those in which it was a candidate. */
  readonly predictions: readonly string[];
  /** Other entities whose events name it, such as the item that a user bought. */
  readonly others: readonly Entity[];
}

/**
 * Erases the data of an entity in one module: every module that stores data exports one. It may be repeated. Throws UNAVAILABLE while its
 * store is away; data that was erased by then stays erased.
 */
export interface Eraser {
  /** The name of the counted items in the report, such as `predictions`. */
  readonly what: string;
  /** Answers how many rows, keys or files went. */
  erase(traces: Traces): Promise<number>;
}

/** JSON text holds the id as a whole value. */
export function jsonValue(id: string): string {
  return JSON.stringify(id);
}
