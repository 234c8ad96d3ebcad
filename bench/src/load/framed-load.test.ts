import { loadDefinitions } from '@hotloop/proto/definitions.ts';
import type { InferFrame__Output } from '@hotloop/proto/gen/hotloop/v1/InferFrame.ts';
import { describe, expect, it } from 'vitest';
import { benchPerceptron } from '../models/bench-models.ts';
import { inferItem } from '../models/framed-items.ts';
import { countAnswers, FrameMaker } from './framed-load.ts';

const service = loadDefinitions(['hotloop/v1/inference.proto'])['hotloop.v1.InferenceService'];
if (service === undefined || 'format' in service || !service.InferStream) throw new Error('no definition');
const { requestDeserialize, responseSerialize } = service.InferStream;

const decode = (frame: Buffer) => requestDeserialize(frame) as InferFrame__Output;

describe('framed load', () => {
  it('makes frames whose items differ only in sequence and prediction id', () => {
    const maker = new FrameMaker(inferItem(benchPerceptron('small')), 0);
    const items = [...decode(maker.next(300)).items, ...decode(maker.next(200)).items];
    expect(new Set(items.map((item) => item.sequence)).size).toBe(500);
    expect(new Set(items.map((item) => item.predictionId)).size).toBe(500);
    for (const item of items) {
      expect(item).toEqual({ ...items[0], sequence: item.sequence, predictionId: item.predictionId });
      expect(item.predictionId).toMatch(
        /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
      );
    }
  });

  it('counts the answers of a frame, whatever their size', () => {
    const output = { outputs: [], queueUs: 1, runUs: 300 };
    const items = Array.from({ length: 7 }, (_, index) => ({ sequence: 2 ** (index * 4), output }));
    expect(countAnswers(responseSerialize({ items }))).toBe(7);
    expect(countAnswers(responseSerialize({ items, draining: true }))).toBe(7);
    expect(countAnswers(responseSerialize({ items: [] }))).toBe(0);
  });

  it('does not count a failure as an answer', () => {
    const failure = { code: 'UNAVAILABLE', message: 'gone' };
    const output = { outputs: [], queueUs: 1, runUs: 2 };
    const items = [
      { sequence: 1, output },
      { sequence: 2, failure },
    ];
    expect(countAnswers(responseSerialize({ items }))).toBe(-1);
  });
});
