import { expectThat } from '../tour-failure.ts';
import type { TourStep } from '../tour-step.ts';

const ROWS = 1200;

const csvToVersion: TourStep = {
  name: 'csv-to-version',
  about: 'A CSV becomes a trained version: model.yaml is drafted from it, and no code is written.',
  async run(context) {
    const rows = Array.from({ length: ROWS }, (_, index) => {
      const age = 18 + ((index * 7919) % 61);
      const channel = ['web', 'shop', 'phone'][(index * 31) % 3];
      // 61 ages and 3 channels have no common divisor, so every pair of them occurs.
      return `${age},${channel},${age < 40 && channel === 'web' ? 1 : 0}`;
    });
    const file = await context.write('renewals.csv', `age,channel,renewed\n${rows.join('\n')}\n`);
    const trained = await context.json<{ model: string; version: number; examples: number }>(
      ...['train', file, '--label', 'renewed'],
    );
    await context.json('promote', trained.model, String(trained.version), '--reason', 'first version');
    const scoreOf = async (age: number) => {
      const answer = await context.json<{ score: number }>(
        ...['predict', trained.model, '--request', JSON.stringify({ age, channel: 'web' })],
      );
      return answer.score;
    };
    const [young, old] = [await scoreOf(25), await scoreOf(70)];
    expectThat(young > 0.5 && old < 0.5, 'the answers of the file', `25 years: ${young}, 70 years: ${old}`);
    return `trained on ${trained.examples} rows; 25 years: ${young.toFixed(2)}, 70 years: ${old.toFixed(2)}`;
  },
};

export const DATA_IN_STEPS: readonly TourStep[] = [csvToVersion];
