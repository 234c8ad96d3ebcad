import { durationMs } from '../../manifest/duration.ts';
import { FEATURE_STATUS } from '../feature-status.ts';
import { plainName } from '../source-path.ts';
import type { SourceKind } from './source-kind.ts';

const FORM = 'reference.TABLE.FIELD';

export const referenceSource: SourceKind = {
  name: 'reference',
  forms: [FORM],
  documentation:
    'A field of an uploaded table, from the row whose key is the id of the entity that `by` names. With `max_age`, a table that was uploaded longer ago is stale.',
  example:
    '{name: segment, from: reference.customers.segment, by: user, transform: [{one_hot: [new, loyal]}]}',
  takes: ['by', 'max_age'],
  parse(path) {
    const table = plainName(path.length === 2 ? path[0] : undefined, FORM);
    const field = plainName(path[1], FORM);
    return {
      kind: 'reference',
      compile(feature) {
        if (feature.by === undefined) throw new RangeError(`${feature.from} needs by: ENTITY`);
        const entity = feature.by;
        const maxAgeMs =
          feature.max_age === undefined ? Number.POSITIVE_INFINITY : durationMs(feature.max_age);
        return {
          kind: 'reference',
          type: undefined,
          values: 1,
          perCandidate: entity === 'item',
          reference: { table, entity },
          remedy: `name the entity ${entity}, and upload its row to table ${table}`,
          gather({ reference, nowMs }, rows, { raw, found, absence }) {
            for (let row = 0; row < rows; row++) {
              const line = reference === null ? undefined : reference(row);
              const stale = line !== undefined && nowMs - line.atMs > maxAgeMs;
              const value = stale ? undefined : line?.fields[field];
              raw[row] = value;
              found[row] = value === undefined ? 0 : 1;
              absence[row] =
                reference === null
                  ? FEATURE_STATUS.DEGRADED
                  : stale
                    ? FEATURE_STATUS.STALE
                    : FEATURE_STATUS.MISSING;
            }
          },
        };
      },
    };
  },
};
