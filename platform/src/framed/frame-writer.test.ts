import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameWriter } from './frame-writer.ts';

interface Piece {
  readonly id: number;
  readonly size: number;
}

function sinkOf(answers: () => boolean, admit: (piece: Piece) => boolean = () => true, idle = () => false) {
  const frames: Piece[][] = [];
  return {
    frames,
    sink: {
      write(items: Piece[]) {
        frames.push(items);
        return answers();
      },
      sizeOf: (piece: Piece) => piece.size,
      admit,
      isIdle: idle,
    },
  };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('a frame writer', () => {
  it('keeps the order, loses nothing, and respects both limits, however the sink fills up', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 50 }), { maxLength: 80 }),
        fc.array(fc.boolean(), { minLength: 1, maxLength: 20 }),
        async (sizes, sinkTakes) => {
          let writes = 0;
          let full = false;
          const { frames, sink } = sinkOf(() => {
            expect(full).toBe(false);
            full = !sinkTakes[writes++ % sinkTakes.length];
            return !full;
          });
          const writer = new FrameWriter<Piece>(sink, { maxItems: 7, maxBytes: 100 });
          sizes.forEach((size, id) => {
            writer.push({ id, size });
          });
          while (writer.waiting > 0) {
            await turn();
            full = false;
            writer.resume();
          }
          expect(frames.flat().map((piece) => piece.id)).toEqual(sizes.map((_, id) => id));
          for (const frame of frames) {
            const bytes = frame.reduce((sum, piece) => sum + piece.size, 0);
            expect(frame.length).toBeLessThanOrEqual(7);
            expect(bytes <= 100 || frame.length === 1).toBe(true);
          }
        },
      ),
      { numRuns: 100 },
    );
  });

  it('puts items pushed in one turn into one frame', async () => {
    const { frames, sink } = sinkOf(() => true);
    const writer = new FrameWriter<Piece>(sink, { maxItems: 100, maxBytes: 1e6 });
    writer.push({ id: 1, size: 1 });
    await Promise.resolve().then(() => writer.push({ id: 2, size: 1 }));
    expect(frames).toHaveLength(0);
    await turn();
    expect(frames.map((frame) => frame.length)).toEqual([2]);
  });

  it('does not wait for the end of the turn while nothing else is in flight', async () => {
    const { frames, sink } = sinkOf(
      () => true,
      () => true,
      () => true,
    );
    const writer = new FrameWriter<Piece>(sink, { maxItems: 100, maxBytes: 1e6 });
    writer.push({ id: 1, size: 1 });
    await Promise.resolve().then(() => writer.push({ id: 2, size: 1 }));
    // Before any I/O callback, but after the pending promises.
    await new Promise<void>((resolve) => process.nextTick(resolve));
    expect(frames.map((frame) => frame.length)).toEqual([2]);
  });

  it('queues items pushed during a write behind the existing ones', async () => {
    const ids: number[] = [];
    const writer: FrameWriter<Piece> = new FrameWriter<Piece>(
      {
        write(items) {
          ids.push(...items.map((piece) => piece.id));
          if (ids.length === 1) writer.push({ id: 4, size: 1 });
          return false;
        },
        sizeOf: (piece) => piece.size,
        admit: () => true,
        isIdle: () => false,
      },
      { maxItems: 1, maxBytes: 1e6 },
    );
    for (const id of [1, 2, 3]) writer.push({ id, size: 1 });
    while (writer.waiting > 0) {
      await turn();
      writer.resume();
    }
    expect(ids).toEqual([1, 2, 3, 4]);
  });

  it('omits items that are no longer wanted when the frame is written', async () => {
    const { frames, sink } = sinkOf(
      () => true,
      (piece) => piece.id !== 2,
    );
    const writer = new FrameWriter<Piece>(sink, { maxItems: 100, maxBytes: 1e6 });
    for (const id of [1, 2, 3]) writer.push({ id, size: 1 });
    await turn();
    expect(frames.flat().map((piece) => piece.id)).toEqual([1, 3]);
  });

  it('returns unwritten items when it is stopped', async () => {
    const { frames, sink } = sinkOf(() => false);
    const writer = new FrameWriter<Piece>(sink, { maxItems: 2, maxBytes: 1e6 });
    for (const id of [1, 2, 3, 4, 5]) writer.push({ id, size: 1 });
    await turn();
    expect(writer.stop().map((piece) => piece.id)).toEqual([3, 4, 5]);
    writer.push({ id: 6, size: 1 });
    await turn();
    expect(frames).toHaveLength(1);
  });
});
