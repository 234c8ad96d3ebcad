import type { Figure } from '../figure.ts';
import type { Drill } from './drill.ts';
import { drillBadModel } from './rollout/drill-bad-model.ts';
import { drillCanary } from './rollout/drill-canary.ts';
import { drillCrash } from './rollout/drill-crash.ts';
import { drillLedger } from './rollout/drill-ledger.ts';
import { drillRestart } from './rollout/drill-restart.ts';
import { drillRollback } from './rollout/drill-rollback.ts';
import { drillShadow } from './rollout/drill-shadow.ts';

const PARTS: Readonly<Record<string, Drill>> = {
  canary: drillCanary,
  ledger: drillLedger,
  rollback: drillRollback,
  crash: drillCrash,
  bad_model: drillBadModel,
  shadow: drillShadow,
  restart: drillRestart,
};

/** All guarantees of rollouts, one part after another; `--parts ledger,crash` runs some of them. */
export const drillRollout: Drill = async (options): Promise<Figure[]> => {
  const names = options.parts?.split(',') ?? Object.keys(PARTS);
  const figures: Figure[] = [];
  for (const name of names) {
    const part = Object.hasOwn(PARTS, name) ? PARTS[name] : undefined;
    if (part === undefined)
      throw new Error(`no part is named ${name}; there are ${Object.keys(PARTS).join(', ')}`);
    options.say(`${name} ...`);
    figures.push(...(await part(options)));
  }
  return figures;
};
