import { FEATURE_STATUS } from '../feature-status.ts';
import type { SourceKind } from './source-kind.ts';

const FORM = 'cross(FEATURE, FEATURE)';

export const crossSource: SourceKind = {
  name: 'cross',
  forms: [FORM],
  documentation:
    'The raw values of two earlier features as one text `A|B`; encode it with one_hot, hash, or id. Absent when one of the two is absent.',
  example: '{name: month_segment, from: "cross(month, segment)", transform: [{id: {buckets: 1000}}]}',
  takes: [],
  parse(path) {
    const uses = path.length === 0 ? undefined : path[0]?.arguments;
    if (uses?.length !== 2 || path.length !== 1 || path[0]?.name !== 'cross')
      throw new RangeError(`must be ${FORM}`);
    return {
      kind: 'cross',
      uses,
      compile: () => ({
        kind: 'cross',
        type: 'text',
        values: 1,
        perCandidate: false,
        remedy: `send what ${uses.join(' and ')} need`,
        gather({ used }, rows, { raw, found, absence }) {
          for (let row = 0; row < rows; row++) {
            const left = used[0]?.[row];
            const right = used[1]?.[row];
            const both = left !== undefined && right !== undefined;
            raw[row] = both ? `${left}|${right}` : undefined;
            found[row] = both ? 1 : 0;
            absence[row] = FEATURE_STATUS.MISSING;
          }
        },
      }),
    };
  },
};
