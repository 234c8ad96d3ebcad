import type { Decision } from '@hotloop/model/decision/decision.ts';
import type { JournalTable } from '@hotloop/platform/journal/journal.ts';
import type { DecideItem } from '@hotloop/platform/ports/decision.ts';

/** One row of the `decision` table: the decision, and what was shown at which rank with which propensity. */
export interface DecisionRow {
  readonly item: Pick<DecideItem, 'predictionId' | 'model' | 'version' | 'variant'>;
  readonly decision: Decision;
  readonly atMs: number;
  readonly node: string;
}

/** The first row of a prediction is kept: a repeated prediction is decided again, but shown only once. */
export const DECISION_TABLE: JournalTable<DecisionRow> = {
  table: 'decision',
  columns: ['prediction_id', 'at', 'model', 'version', 'variant', 'label', 'score', 'shown', 'node'],
  encode({ item, decision, atMs, node }, into) {
    into.uuid(item.predictionId);
    into.timestamp(atMs);
    into.text(item.model);
    into.int4(item.version);
    into.text(item.variant);
    into.text(decision.label);
    into.float8(decision.score);
    into.json(JSON.stringify(decision.ranked));
    into.text(node);
  },
};
