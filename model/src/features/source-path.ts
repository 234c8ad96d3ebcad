/** One part of a path: `count`, `sum(price)`, `last(3)`. */
export interface PathPart {
  readonly name: string;
  /** Undefined without parentheses. */
  readonly arguments: readonly string[] | undefined;
}

const PART = /^([A-Za-z_][A-Za-z0-9_]*)(?:\(([A-Za-z0-9_]+(?:, ?[A-Za-z0-9_]+)*)\))?$/;

/**
 * Parses the text of a `from`: names separated by dots, each with or without arguments in parentheses. This is the
 * whole grammar; each kind defines the meaning of its parts. Undefined when the text is not such a path.
 */
export function parseSourcePath(text: string): readonly PathPart[] | undefined {
  const parts: PathPart[] = [];
  for (const piece of splitAtDots(text)) {
    const match = PART.exec(piece);
    if (!match) return undefined;
    parts.push({ name: match[1] as string, arguments: match[2]?.split(/, ?/) });
  }
  return parts;
}

/** The name of a part that must have no arguments. Throws RangeError with `form` otherwise. */
export function plainName(part: PathPart | undefined, form: string): string {
  if (part === undefined || part.arguments !== undefined) throw new RangeError(`must be ${form}`);
  return part.name;
}

function splitAtDots(text: string): string[] {
  return text.split('.');
}
