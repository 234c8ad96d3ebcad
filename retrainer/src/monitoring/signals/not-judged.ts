import type { NotJudged } from './signal.ts';

const MOST_NAMES = 3;

/** One line for each reason, with the features that it holds for: `price, plan and 4 more: 20 rows in the window …`. */
export function notJudgedLines(notJudged: readonly NotJudged[]): string[] {
  return [...Map.groupBy(notJudged, ({ reason }) => reason)].map(([reason, own]) => {
    const names = own.flatMap(({ feature }) => feature ?? []);
    if (names.length === 0) return reason;
    const more = names.length > MOST_NAMES ? ` and ${names.length - MOST_NAMES} more` : '';
    return `${names.slice(0, MOST_NAMES).join(', ')}${more}: ${reason}`;
  });
}
