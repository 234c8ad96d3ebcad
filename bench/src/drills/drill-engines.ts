import { type Figure, figure } from '../figure.ts';
import { startEnginesStand } from '../stand/engines-stand.ts';
import type { Drill } from './drill.ts';
import { ENGINES, runEngineExamples } from './engines/engine-examples.ts';
import { runSnippets } from './engines/run-snippets.ts';
import { wrongAnswers } from './engines/same-answers.ts';

const MOST_ROWS = 10_000;

/**
 * The same rows (10,000; `--predictions` for fewer) by front door, batch, SQL, the fused file in Node and Python, and Spark; every
 * snippet of the pages of the engines; the examples of Ray, Flink and Airflow in those engines. `--only answers`, `snippets`,
 * `examples`, or the example of one engine, for one of them.
 */
export const drillEngines: Drill = async ({ predictions, only, say, environment }): Promise<Figure[]> => {
  await using stand = await startEnginesStand({}, [8]);
  const path = environment.PATH ?? '';
  const figures: Figure[] = [];
  const isWanted = (part: string) => only === undefined || only === part;
  if (isWanted('answers')) {
    const wrong = await wrongAnswers(stand, Math.min(predictions, MOST_ROWS), say);
    figures.push(figure('engines_wrong', [wrong], { atMost: 0 }));
  }
  if (isWanted('snippets')) {
    const { ran, failed } = await runSnippets(stand, path, say);
    figures.push(figure('snippets_failed', [failed], { atMost: 0 }), figure('snippets_run', [ran]));
  }
  const engines = only !== undefined && ENGINES.includes(only) ? [only] : ENGINES;
  if (isWanted('examples') || engines.length === 1) {
    const { ran, failed } = await runEngineExamples(stand, path, say, engines);
    figures.push(figure('examples_failed', [failed], { atMost: 0 }), figure('examples_run', [ran]));
  }
  return figures;
};
