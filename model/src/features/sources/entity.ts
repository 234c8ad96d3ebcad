import { FEATURE_STATUS } from '../feature-status.ts';
import { plainName } from '../source-path.ts';
import type { SourceKind } from './source-kind.ts';

const FORM = 'entity.NAME';

export const entitySource: SourceKind = {
  name: 'entity',
  forms: [FORM],
  documentation:
    'The id of an entity that the caller names, as a text. `entity.item` is the id of each candidate.',
  example: '{name: user, from: entity.user, transform: [{id: {buckets: 50000}}]}',
  takes: [],
  parse(path) {
    const entity = plainName(path.length === 1 ? path[0] : undefined, FORM);
    return {
      kind: 'entity',
      compile: () => ({
        kind: 'entity',
        type: 'text',
        values: 1,
        perCandidate: entity === 'item',
        remedy: `name the entity ${entity}`,
        gather({ candidates, entities }, rows, { raw, found, absence }) {
          const named = entities[entity];
          for (let row = 0; row < rows; row++) {
            const value = entity === 'item' ? (candidates[row]?.id ?? named) : named;
            raw[row] = value;
            found[row] = value === undefined ? 0 : 1;
            absence[row] = FEATURE_STATUS.MISSING;
          }
        },
      }),
    };
  },
};
