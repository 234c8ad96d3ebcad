import type { Figure } from '../figure.ts';
import type { Drill } from './drill.ts';
import { drillFenced } from './learning/fenced.ts';
import { drillLoop } from './learning/loop.ts';
import { drillPoison } from './learning/poison.ts';
import { drillReproducible } from './learning/reproducible.ts';
import { drillResumed } from './learning/resumed.ts';
import { drillShoppers } from './learning/shoppers.ts';
import { drillStatistics } from './learning/statistics.ts';

const PARTS: Readonly<Record<string, Drill>> = {
  statistics: drillStatistics,
  reproducible: drillReproducible,
  fenced: drillFenced,
  resumed: drillResumed,
  poison: drillPoison,
  shoppers: drillShoppers,
  loop: drillLoop,
};

/** The guarantees of the learning loop, part by part; `--only PART` runs one of them. */
export const drillLearning: Drill = async (options): Promise<Figure[]> => {
  const { only, say } = options;
  const names = only === undefined ? Object.keys(PARTS) : [only];
  const figures: Figure[] = [];
  for (const name of names) {
    const part = Object.hasOwn(PARTS, name) ? PARTS[name] : undefined;
    if (!part) throw new RangeError(`learning has the parts ${Object.keys(PARTS).join(', ')}, not ${name}`);
    say(name);
    figures.push(...(await part(options)));
  }
  return figures;
};
