import { FEATURE_STATUS } from '../feature-status.ts';
import type { SourceKind } from './source-kind.ts';

const FORM = 'ratio(FEATURE, FEATURE)';

export const ratioSource: SourceKind = {
  name: 'ratio',
  forms: [FORM],
  documentation:
    'The raw value of one earlier number feature divided by that of another, such as purchases by views. Absent when one of the two is absent, or when the second is 0.',
  example: '{name: conversion, from: "ratio(buys_7d, views_7d)", missing: 0}',
  takes: [],
  parse(path) {
    const uses = path.length === 0 ? undefined : path[0]?.arguments;
    if (uses?.length !== 2 || path.length !== 1 || path[0]?.name !== 'ratio')
      throw new RangeError(`must be ${FORM}`);
    return {
      kind: 'ratio',
      uses,
      compile: () => ({
        kind: 'ratio',
        type: 'number',
        values: 1,
        perCandidate: false,
        remedy: `send what ${uses.join(' and ')} need`,
        gather({ used }, rows, { raw, found, absence }) {
          for (let row = 0; row < rows; row++) {
            const above = used[0]?.[row];
            const below = used[1]?.[row];
            const isNumber = Number.isFinite(above) && Number.isFinite(below) && below !== 0;
            raw[row] = isNumber ? (above as number) / (below as number) : undefined;
            found[row] = isNumber ? 1 : 0;
            absence[row] = FEATURE_STATUS.MISSING;
          }
        },
      }),
    };
  },
};
