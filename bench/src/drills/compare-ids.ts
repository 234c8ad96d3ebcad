export interface LogComparison {
  /** Answered, and not in the log. */
  readonly lost: number;
  /** More than once in the log. */
  readonly doubled: number;
  readonly logged: number;
}

/** Compares the ids for which a client got answers with the ids of the log's rows, in any order. */
export async function compareIds(
  answered: Iterable<string>,
  rows: AsyncIterable<string>,
): Promise<LogComparison> {
  const missing = new Set(answered);
  const seen = new Set<string>();
  let logged = 0;
  let doubled = 0;
  for await (const id of rows) {
    logged++;
    if (seen.has(id)) doubled++;
    seen.add(id);
    missing.delete(id);
  }
  return { lost: missing.size, doubled, logged };
}
