/** The entity whose data is erased, such as user 42. */
export interface Entity {
  /** As models name it: user, item ... */
  readonly kind: string;
  readonly id: string;
}

/** Where an entity occurs, determined before anything is erased. */
export interface Traces {
  readonly entity: Entity;
  /** Predictions for the entity, and those in which it was a candidate. */
  readonly predictions: readonly string[];
  /** Other entities whose events name it, such as the item that a user bought. */
  readonly others: readonly Entity[];
}

/**
 * Erases an entity's data in one module; every module that stores data exports one. Erasing is idempotent. Throws
 * UNAVAILABLE while its store cannot be reached; data that was already erased stays erased.
 */
export interface Eraser {
  /** The name of the counted items in the report, such as `predictions`. */
  readonly what: string;
  /** Returns how many rows, keys or files were erased. */
  erase(traces: Traces): Promise<number>;
}

/** A shorter id, such as 42, is often another value too: a size, a class or someone's rating. */
const DISTINCTIVE_LENGTH = 6;

/**
 * Whether an id is distinctive enough to identify its entity anywhere in a text. Shorter ids only count in a field
 * named after their kind.
 */
export const isDistinctive = (id: string): boolean => id.length >= DISTINCTIVE_LENGTH;

/** Names of fields that contain the id of an entity of this kind. */
export const fieldsOfKind = (kind: string): string[] => [kind, `${kind}_id`, `${kind}Id`, `${kind}ID`];

/**
 * JSON snippets, each of which shows that a JSON text contains the id as a whole value: as any value if the id is
 * distinctive, else as the value of a field of its kind.
 */
export function jsonTextsOf({ kind, id }: Entity): string[] {
  const value = JSON.stringify(id);
  if (isDistinctive(id)) return [value];
  // Written with a space after the colon, or without.
  const fields = fieldsOfKind(kind).flatMap((field) => [
    `${JSON.stringify(field)}:`,
    `${JSON.stringify(field)}: `,
  ]);
  const isNumber = /^\d+$/.test(id);
  return fields.flatMap((field) => [
    `${field}${value}`,
    ...(isNumber ? [`${field}${id},`, `${field}${id}}`] : []),
  ]);
}

/**
 * How a message text quotes the id: `"42"`; a distinctive id also without quotes. `inJson`: the message is itself a
 * value in JSON text.
 */
export function quotedIn({ id }: Entity, inJson: boolean): string {
  if (isDistinctive(id)) return id;
  return inJson ? JSON.stringify(JSON.stringify(id)).slice(1, -1) : JSON.stringify(id);
}
