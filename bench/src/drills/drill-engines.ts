import { type Figure, figure } from '../figure.ts';
import { startEnginesStand } from '../stand/engines-stand.ts';
import type { Drill } from './drill.ts';
import { runSnippets } from './engines/run-snippets.ts';
import { wrongAnswers } from './engines/same-answers.ts';

const MOST_ROWS = 10_000;

/**
 * The same rows (10,000; `--predictions` for fewer) through the prediction API, batch, SQL, the fused file in Node
 * and Python, and Spark; then every snippet of the documentation pages about engines.
 */
export const drillEngines: Drill = async ({ predictions, say, environment }): Promise<Figure[]> => {
  await using stand = await startEnginesStand({}, [8]);
  const wrong = await wrongAnswers(stand, Math.min(predictions, MOST_ROWS), say);
  const { ran, failed } = await runSnippets(stand, environment.PATH ?? '', say);
  return [
    figure('engines_wrong', [wrong], { atMost: 0 }),
    figure('snippets_failed', [failed], { atMost: 0 }),
    figure('snippets_run', [ran]),
  ];
};
