import { parseSourcePath, plainName } from './source-path.ts';

const FORM = 'history.ENTITY.EVENT.FIELD';

/** The history whose values decision.rank.exclude names: history.ENTITY.EVENT.FIELD. */
export interface ExcludeSource {
  readonly entity: string;
  readonly event: string;
  readonly field: string;
}

/** Undefined when the text is not history.ENTITY.EVENT.FIELD. */
export function parseExcludeSource(text: string): ExcludeSource | undefined {
  const path = parseSourcePath(text);
  if (path?.length !== 4 || path[0]?.name !== 'history') return undefined;
  try {
    const [entity, event, field] = path.slice(1).map((part) => plainName(part, FORM));
    return { entity: entity as string, event: event as string, field: field as string };
  } catch {
    return undefined;
  }
}
