import { FEATURE_STATUS } from '../feature-status.ts';
import { plainName } from '../source-path.ts';
import type { SourceKind } from './source-kind.ts';

const FORM = 'item.FIELD';

export const itemSource: SourceKind = {
  name: 'item',
  forms: [FORM],
  documentation:
    'An attribute of each candidate; task ranking only. `item.id` is the id of the candidate unless it has an attribute of that name.',
  example: '{name: price, from: item.price}',
  takes: [],
  parse(path) {
    const field = plainName(path.length === 1 ? path[0] : undefined, FORM);
    const isId = field === 'id';
    return {
      kind: 'item',
      compile: () => ({
        kind: 'item',
        type: undefined,
        values: 1,
        perCandidate: true,
        remedy: `send item.${field}`,
        gather({ candidates }, rows, { raw, found, absence }) {
          absence.fill(FEATURE_STATUS.MISSING, 0, rows);
          for (let row = 0; row < rows; row++) {
            let value: unknown = candidates[row]?.attributes[field];
            if (isId) value ??= candidates[row]?.id;
            raw[row] = value;
            found[row] = value === undefined ? 0 : 1;
          }
        },
        gatherNumbers({ candidates }, rows, { low, high }, numbers) {
          for (let row = 0; row < rows; row++) {
            const value = candidates[row]?.attributes[field];
            // Written so that NaN fails it too.
            if (typeof value !== 'number' || !(value >= low && value <= high && value - value === 0))
              return false;
            numbers[row] = value;
          }
          return true;
        },
      }),
    };
  },
};
