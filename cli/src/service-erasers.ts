import { findPredictionsOf, predictionEraser } from '@hotloop/compute/prediction-log/erase-predictions.ts';
import { referenceUsage } from '@hotloop/platform/registry/reference-usage.ts';
import { decisionEraser } from '@hotloop/postprocessor/erase-decisions.ts';
import { historyEraser } from '@hotloop/preprocessor/history/erase-history.ts';
import { tableRowEraser } from '@hotloop/preprocessor/tables/erase-rows.ts';
import type { ForgetStores } from '@hotloop/retrainer/operations/forget.ts';
import type { Operations } from '@hotloop/retrainer/operations/open-operations.ts';

/** What each service erases of an entity; predictions last, because by them everything else is found again. */
export function serviceErasers({
  pool,
  store,
  withCache,
}: Pick<Operations, 'pool' | 'store' | 'withCache'>): ForgetStores {
  return {
    pool,
    store,
    findPredictions: (entity) => findPredictionsOf(pool, entity),
    erasers: [
      historyEraser(withCache),
      tableRowEraser(pool, () => referenceUsage(pool)),
      decisionEraser(pool),
      predictionEraser(pool),
    ],
  };
}
