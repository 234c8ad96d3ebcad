import { DATATYPES } from '@hotloop/model/tensor.ts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeFrame,
  encodeFrame,
  FRAME_HEADER_BYTES,
  FrameAssembler,
  type FrameParts,
  type FrameTensor,
  frameLength,
  MAX_ANSWER_BYTES,
} from './frames.ts';

const tensor: fc.Arbitrary<FrameTensor> = fc.record({
  index: fc.nat(100),
  datatype: fc.constantFrom(...DATATYPES),
  shape: fc.array(fc.nat(2 ** 31), { maxLength: 5 }),
  pieces: fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 4 }),
});
const parts: fc.Arbitrary<FrameParts> = fc.record({
  id: fc.nat(),
  kind: fc.constantFrom('run', 'result', 'failed'),
  tensors: fc.array(tensor, { maxLength: 4 }),
  runUs: fc.nat(),
  memoryBytes: fc.nat(),
});

describe('frames', () => {
  it('are decoded unchanged, with all contents 8-byte aligned', () => {
    fc.assert(
      fc.property(parts, (given) => {
        const frame = encodeFrame(given);
        expect(frame.length % 8).toBe(0);
        const received = decodeFrame(frame);
        expect(received).toMatchObject({
          id: given.id,
          kind: given.kind,
          runUs: given.runUs,
          memoryBytes: given.memoryBytes,
        });
        expect(received.tensors).toHaveLength(given.tensors.length);
        for (const [index, one] of received.tensors.entries()) {
          const expected = given.tensors[index];
          expect(Buffer.from(one.contents)).toEqual(Buffer.concat(expected?.pieces ?? []));
          expect(one.shape).toEqual(expected?.shape);
          expect(one.datatype).toBe(expected?.datatype);
          expect((one.contents.byteOffset - frame.byteOffset) % 8).toBe(0);
        }
      }),
    );
  });

  it('contain only the given data, whatever was in their memory before', () => {
    fc.assert(
      fc.property(parts, (given) => {
        const clean = encodeFrame(given, (bytes) => Buffer.alloc(bytes));
        expect(encodeFrame(given, (bytes) => Buffer.alloc(bytes, 0xff))).toEqual(clean);
      }),
    );
  });

  it('are assembled from chunks cut at any position', () => {
    fc.assert(
      fc.property(
        fc.array(parts, { minLength: 1, maxLength: 5 }),
        fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1 }),
        (given, cuts) => {
          const frames = given.map((one) => Buffer.from(encodeFrame(one)));
          const stream = Buffer.concat(frames);
          const assembler = new FrameAssembler();
          const received: Buffer[] = [];
          for (let at = 0, turn = 0; at < stream.length; turn++) {
            const end = at + (cuts[turn % cuts.length] ?? 1);
            assembler.push(Buffer.from(stream.subarray(at, end)), (frame) =>
              received.push(Buffer.from(frame)),
            );
            at = end;
          }
          expect(received).toEqual(frames);
        },
      ),
    );
  });

  it.each([0, 1, FRAME_HEADER_BYTES - 1, MAX_ANSWER_BYTES + 1, 0xffffffff])(
    'of an invalid length %d are rejected',
    (length) => {
      const chunk = Buffer.alloc(64);
      chunk.writeUInt32LE(length, 0);
      const onFrame = () => expect.unreachable();
      expect(() => new FrameAssembler().push(chunk, onFrame)).toThrow(RangeError);
    },
  );

  it('may be longer than 32 bits can count', () => {
    const huge = { index: 0, datatype: 'UINT8', shape: [], pieces: [{ length: 2 ** 33 + 1 } as Uint8Array] };
    expect(frameLength({ id: 1, kind: 'result', tensors: [huge as FrameTensor] })).toBe(
      FRAME_HEADER_BYTES + 16 + 2 ** 33 + 8,
    );
  });
});
