import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { ShipWords } from './ship-messages.ts';

const LONG_MS = 3_600_000;

describe('the shared state between a journal and its shipping thread', () => {
  it('contains the last written position and fullness', () => {
    const buffer = new SharedArrayBuffer(ShipWords.BYTES);
    const [writer, reader] = [new ShipWords(buffer), new ShipWords(buffer)];
    writer.tell({ segment: 70_000, offset: 4_000_000_000 }, 0.125);
    expect(reader.written()).toEqual({ segment: 70_000, offset: 4_000_000_000 });
    expect(reader.fullness()).toBe(0.125);
  });

  it('wakes a sleeping thread when more has been written, and only then', async () => {
    const words = new ShipWords(new SharedArrayBuffer(ShipWords.BYTES));
    words.tell({ segment: 1, offset: 10 }, 0);
    let isAwake = false;
    const changed = words.changed({ segment: 1, offset: 10 }, LONG_MS).then(() => {
      isAwake = true;
    });
    // As after a shipment. It must not forget that the thread sleeps, otherwise the next row would not wake it.
    words.tell({ segment: 1, offset: 10 }, 0.5);
    for (let turn = 0; turn < 5; turn++) await nextTurn();
    expect(isAwake).toBe(false);
    words.tell({ segment: 1, offset: 11 }, 0.5);
    await changed;
    await words.changed({ segment: 1, offset: 10 }, LONG_MS);
  });
});
