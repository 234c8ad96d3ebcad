import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { currentFacts, releasedFacts } from './current-facts.ts';
import { breaks } from './facts.ts';
import { operationFacts } from './http-facts.ts';
import { schemaFacts } from './schema-facts.ts';
import { memberFacts } from './sdk-facts.ts';

const ROOT = join(import.meta.dirname, '..', '..', '..');

describe('what is public', () => {
  it('keeps everything that the last release had', async () => {
    const current = await currentFacts(ROOT);
    const released = releasedFacts(ROOT);
    expect(breaks(released, current)).toEqual([]);
    // One fact of each kind, so that an empty list is detected.
    for (const known of [
      'grpc /hotloop.v1.PredictionService/Predict',
      'message hotloop.v1.PredictRequest | 1',
      'http control GET /v1/models/{model}/loop',
      'http front-door POST /v1/events',
      'model.yaml | outcome.join',
      'sdk Prediction | score',
    ])
      expect(Object.keys(current), known).toContain(known);
    const planted: Record<string, string> = { ...current };
    delete planted['grpc /hotloop.v1.PredictionService/Predict'];
    planted['message hotloop.v1.PredictRequest | 1'] = 'optional string name';
    expect(breaks(released, planted)).toEqual([
      'grpc /hotloop.v1.PredictionService/Predict is gone (it was PredictRequest -> PredictReply)',
      expect.stringContaining('message hotloop.v1.PredictRequest | 1 is optional string name'),
    ]);
  });
});

describe('the comparison', () => {
  const one = schemaFacts('m', { properties: { a: { type: 'string', enum: ['x', 'y'] } } }, true);

  it.each([
    ['a field that goes', { properties: {} }, ['m | a = x', 'm | a = y', 'm | a is gone']],
    ['another type', { properties: { a: { type: 'number', enum: ['x', 'y'] } } }, ['m | a is number']],
    ['a word that goes', { properties: { a: { type: 'string', enum: ['x'] } } }, ['m | a = y is gone']],
    [
      'a new required field',
      { properties: { a: { type: 'string', enum: ['x', 'y'] }, b: { type: 'string' } }, required: ['b'] },
      ['requires m | b is new'],
    ],
    [
      'nothing in what a new optional field asks for',
      {
        properties: {
          a: { type: 'string', enum: ['x', 'y'] },
          b: { type: 'array', items: { properties: { c: {} }, required: ['c'] } },
        },
      },
      [],
    ],
    ['more of everything', { properties: { a: { type: 'string', enum: ['x', 'y', 'z'] }, b: {} } }, []],
  ])('finds %s', (_, schema, expected) => {
    const found = breaks(one, schemaFacts('m', schema, true));
    expect(found).toHaveLength(expected.length);
    for (const [at, text] of expected.entries()) expect(found[at]).toContain(text.split(' is')[0]);
  });

  it('finds a changed member of the client library, and a new required one', () => {
    const before = memberFacts(
      'AskInput',
      'export interface AskInput {\n  readonly a: string;\n  go(x: number): void;\n}\n',
    );
    expect(Object.keys(before)).toEqual([
      'sdk AskInput | a',
      'requires sdk AskInput | a',
      'sdk AskInput | go',
    ]);
    const after = memberFacts(
      'AskInput',
      'export interface AskInput {\n  readonly a: number;\n  readonly b: string;\n}\n',
    );
    expect(breaks({ ...before, 'sdk AskInput': '' }, { ...after, 'sdk AskInput': '' })).toEqual([
      'requires sdk AskInput | b is new',
      'sdk AskInput | a is number; it was string',
      'sdk AskInput | go is gone (it was method)',
    ]);
  });

  it('allows a new operation to require anything', () => {
    const fresh = operationFacts('http POST /new', {
      parameters: [{ in: 'query', name: 'q', required: true }],
    });
    expect(breaks({ 'http GET /old': '' }, { 'http GET /old': '', ...fresh })).toEqual([]);
  });
});
