import { FEATURE_STATUS } from '../feature-status.ts';
import { plainName } from '../source-path.ts';
import type { SourceKind } from './source-kind.ts';

const FORM = 'request.FIELD';

export const requestSource: SourceKind = {
  name: 'request',
  forms: [FORM],
  documentation: 'A field of the request; the same for every candidate. JSON null counts as absent.',
  example: '{name: amount, from: request.amount}',
  takes: [],
  parse(path) {
    const field = plainName(path.length === 1 ? path[0] : undefined, FORM);
    return {
      kind: 'request',
      compile: () => ({
        kind: 'request',
        type: undefined,
        values: 1,
        perCandidate: false,
        remedy: `send request.${field}`,
        gather({ request }, rows, { raw, found, absence }) {
          const value = request[field];
          for (let row = 0; row < rows; row++) {
            raw[row] = value;
            found[row] = value === undefined ? 0 : 1;
            absence[row] = FEATURE_STATUS.MISSING;
          }
        },
      }),
    };
  },
};
