import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { firstPredictionIdAt } from '@hotloop/proto/prediction-id.ts';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../log.ts';
import type { CopyRows } from '../postgres/copy-rows.ts';
import { type Journal, type JournalTable, openJournal } from './journal.ts';
import { ChunkReader } from './reader.ts';
import { gatherRows, listSegments, scanBlocks, segmentPath } from './segment.ts';

interface Row {
  readonly id: string;
  readonly text: string;
}

const TABLE: JournalTable<Row> = {
  table: 'thing',
  columns: ['id', 'content'],
  encode(row, into) {
    into.uuid(row.id);
    into.text(row.text);
  },
};
const LIMITS = { bytes: 1 << 20, rows: 1_000_000 };
const START = { segment: 0, offset: 0 };

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hotloop-journal-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function open(options: { maxBytes?: number; segmentBytes?: number } = {}): Journal<Row> {
  return openJournal(TABLE, { directory, maxBytes: 1 << 30, segmentBytes: 1 << 20, ...options }, silentLog());
}

function row(number: number, text = `text ${number}`): Row {
  return { id: firstPredictionIdAt(1_700_000_000_000 + number), text };
}

/** Texts of all rows that can be read, in order. */
async function textsOf(journal: Journal<Row>, limits = LIMITS): Promise<string[]> {
  const texts: string[] = [];
  const reader = new ChunkReader(directory, limits);
  let position = START;
  for (;;) {
    const chunk = await reader.next(position, journal.written());
    if (!chunk) return texts;
    // Two bytes of field count, 4 + 16 of the key, 4 of the text's length.
    for (let index = 0; index < chunk.rows.length; index++)
      texts.push(chunk.rows.at(index).toString('utf8', 26));
    position = chunk.next;
  }
}

/** The rows that can be read from a segment's blocks. */
function rowsOf(blocks: Buffer): CopyRows {
  return gatherRows(blocks, scanBlocks(blocks));
}

describe('journal', () => {
  it('returns what was written, across segments and openings, for both durabilities', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.string({ maxLength: 3000 }), fc.boolean()), { minLength: 1, maxLength: 40 }),
        fc.integer({ min: 1000, max: 20_000 }),
        async (rows, segmentBytes) => {
          rmSync(directory, { recursive: true, force: true });
          const expected: string[] = [];
          for (let opening = 0; opening < 2; opening++) {
            await using journal = open({ segmentBytes });
            for (const [index, [text, onDisk]] of rows.entries()) {
              const written = journal.append(row(index, text), onDisk ? 'disk' : 'process');
              expected.push(text.replaceAll('\0', '\ufffd'));
              if (index % 3 === 0) await written;
            }
            await journal.append(row(rows.length, 'end'), 'disk');
            expected.push('end');
            expect(await textsOf(journal)).toEqual(expected);
          }
        },
      ),
      { numRuns: 20 },
    );
  });

  it('writes all rows of one turn in one group', async () => {
    await using journal = open();
    const promises = Array.from({ length: 100 }, (_, index) => journal.append(row(index), 'process'));
    expect(new Set(promises).size).toBe(1);
    await promises[0];
    expect(await textsOf(journal)).toHaveLength(100);
  });

  it('resolves a row with disk durability only after it is on disk', async () => {
    await using journal = open();
    let isSynced = false;
    const synced = journal.append(row(0), 'disk').then(() => {
      isSynced = true;
    });
    // Resolves when both are written; the only pending file system request is then the sync.
    await journal.append(row(1), 'process');
    expect([isSynced, process.getActiveResourcesInfo()]).toEqual([
      false,
      expect.arrayContaining(['FSReqCallback']),
    ]);
    await synced;
  });

  it('writes all rows that result from one event at once, over any number of promise steps', async () => {
    await using journal = open();
    let writes = 0;
    journal.onWritten(() => writes++);
    // From here on, only promise steps run before the end of the event.
    await Promise.resolve();
    const rows = Array.from({ length: 5 }, async (_, steps) => {
      for (let step = 0; step < steps; step++) await Promise.resolve();
      await journal.append(row(steps), 'process');
    });
    await Promise.all(rows);
    expect(writes).toBe(1);
  });

  it('cuts a torn tail at any position, and keeps every complete row before it', async () => {
    {
      await using journal = open();
      for (let index = 0; index < 5; index++) await journal.append(row(index), 'process');
    }
    const path = segmentPath(directory, listSegments(directory)[0] ?? 0);
    const whole = readFileSync(path);
    // Each row was awaited, so each has its own block: header, length, field count, key, text.
    const blockBytes = 8 + 4 + 2 + 20 + 4 + 'text 0'.length;
    for (let cut = 1; cut < blockBytes * 2; cut++) {
      writeFileSync(path, whole.subarray(0, whole.length - cut));
      await using journal = open();
      const kept = 5 - Math.ceil(cut / blockBytes);
      expect(await textsOf(journal)).toEqual(Array.from({ length: kept }, (_, index) => `text ${index}`));
    }
  });

  it('never returns a damaged row', async () => {
    {
      await using journal = open();
      for (let index = 0; index < 3; index++) await journal.append(row(index), 'process');
    }
    const path = segmentPath(directory, listSegments(directory)[0] ?? 0);
    const whole = readFileSync(path);
    const header = 8 + whole.readUInt32LE(4);
    for (let at = header; at < whole.length; at++) {
      const damaged = Buffer.from(whole);
      damaged[at] = (damaged[at] ?? 0) ^ 0x10;
      const rows = rowsOf(damaged.subarray(header));
      const sound = rowsOf(Buffer.from(whole.subarray(header)));
      for (let index = 0; index < rows.length; index++)
        expect(rows.at(index).equals(sound.at(index))).toBe(true);
      expect(rows.length).toBeLessThan(3);
    }
  });

  it('rejects rows when its limit is reached, and accepts them again once segments were shipped', async () => {
    await using journal = open({ maxBytes: 20_000, segmentBytes: 5_000 });
    let accepted = 0;
    const fill = async () => {
      for (;;) {
        await journal.append(row(accepted, 'x'.repeat(500)), 'process');
        accepted++;
      }
    };
    await expect(fill()).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'log_full' });
    expect(journal.full()).toBe(true);
    expect(await textsOf(journal)).toHaveLength(accepted);
    journal.release(journal.written());
    expect(journal.full()).toBe(false);
    await expect.poll(() => listSegments(directory)).toHaveLength(1);
    await journal.append(row(accepted), 'process');
  });

  it('accepts rows again once the rows of its only segment were shipped, also after a restart', async () => {
    const options = { maxBytes: 20_000, segmentBytes: 1 << 20 };
    const fill = async (journal: Journal<Row>) => {
      for (let number = 0; ; number++) await journal.append(row(number, 'x'.repeat(500)), 'process');
    };
    let shipped = START;
    {
      await using journal = open(options);
      await expect(fill(journal)).rejects.toMatchObject({ reason: 'log_full' });
      journal.release(journal.written());
      expect(journal.fullness()).toBe(0);
      await expect(fill(journal)).rejects.toMatchObject({ reason: 'log_full' });
      shipped = journal.written();
    }
    await using journal = open(options);
    expect(journal.full()).toBe(true);
    journal.release(shipped);
    await journal.append(row(0), 'process');
    expect(journal.fullness()).toBeLessThan(0.1);
    // As after a power failure that lost rows which had been shipped.
    journal.release({ ...shipped, offset: 1 << 20 });
    expect(journal.fullness()).toBeGreaterThan(0);
  });

  it('has deleted shipped segments when it is closed, and deletes nothing during closing', async () => {
    const journal = open({ segmentBytes: 4_200 });
    for (let index = 0; index < 20; index++) await journal.append(row(index, 'x'.repeat(900)), 'process');
    const [first = 0, second = 0] = listSegments(directory);
    journal.release({ segment: second, offset: 0 });
    const kept = journal.bytes();
    const closed = journal[Symbol.asyncDispose]();
    journal.release(journal.written());
    await closed;
    expect(listSegments(directory)).not.toContain(first);
    expect(listSegments(directory)).toContain(second);
    expect(journal.bytes()).toBe(kept);
  });

  it('leaves out a row that cannot be encoded, and keeps the others', async () => {
    await using journal = open();
    const first = journal.append(row(1), 'process');
    expect(() => journal.append({ id: 'no id', text: '' }, 'process')).toThrow(RangeError);
    const last = journal.append(row(2), 'process');
    await Promise.all([first, last]);
    expect(await textsOf(journal)).toEqual(['text 1', 'text 2']);
  });

  it('rejects a folder that is in use, and takes over that of a dead process', async () => {
    {
      await using journal = open();
      expect(() => open()).toThrow(/in use/);
      await journal.append(row(1), 'process');
    }
    writeFileSync(join(directory, 'in-use'), '4194304 12345');
    await using journal = open();
    expect(await textsOf(journal)).toEqual(['text 1']);
  });

  it('keeps its name as long as its folder exists, and never uses a segment number twice', async () => {
    const names = new Set<string>();
    const numbers: number[] = [];
    for (let opening = 0; opening < 3; opening++) {
      await using journal = open();
      names.add(journal.name);
      numbers.push(journal.written().segment);
      await journal.append(row(opening), 'process');
      journal.release({ segment: Number.MAX_SAFE_INTEGER, offset: 0 });
    }
    expect(names.size).toBe(1);
    expect(new Set(numbers).size).toBe(3);
    rmSync(directory, { recursive: true });
    await using wiped = open();
    expect(names.has(wiped.name)).toBe(false);
  });

  it('rejects rows on a full disk, keeps those before, and continues when there is room again', async (context) => {
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', directory], { stdio: 'ignore' });
    } catch {
      return context.skip('a small disk needs the right to mount one');
    }
    try {
      await using journal = open({ segmentBytes: 1 << 20 });
      writeFileSync(join(directory, 'filler'), Buffer.alloc(128 * 1024));
      const kept: string[] = [];
      const fill = async () => {
        for (let index = kept.length; ; index++) {
          const text = `${index} ${'x'.repeat(4_000)}`;
          await journal.append(row(index, text), 'disk');
          kept.push(text);
        }
      };
      await expect(fill()).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'log_full' });
      expect(kept.length).toBeGreaterThan(10);
      rmSync(join(directory, 'filler'));
      await journal.append(row(kept.length, 'after'), 'disk');
      expect(await textsOf(journal)).toEqual([...kept, 'after']);
    } finally {
      execFileSync('umount', ['-l', directory]);
    }
  });

  it('starts a segment again if an attempt on a full disk left an incomplete one', async () => {
    await using journal = open({ segmentBytes: 4_200 });
    writeFileSync(segmentPath(directory, journal.written().segment + 1), 'HLJ1 and no more');
    for (let index = 0; index < 15; index++)
      await journal.append(row(index, `${index} ${'x'.repeat(900)}`), 'process');
    expect(listSegments(directory).length).toBeGreaterThan(2);
    expect(await textsOf(journal)).toHaveLength(15);
  });

  it('reads rows that are larger than the read buffer, and small ones after them', async () => {
    await using journal = open();
    const texts = ['a', 'b'.repeat(5_000), 'c', 'd'.repeat(70_000), 'e', 'f'.repeat(900)];
    for (const [index, text] of texts.entries()) await journal.append(row(index, text), 'process');
    expect(await textsOf(journal, { bytes: 1_000, rows: 1_000_000 })).toEqual(texts);
  });

  it('skips the damaged rest of a finished segment, reports its size, and continues', async () => {
    await using journal = open({ segmentBytes: 4_200 });
    for (let index = 0; index < 10; index++)
      await journal.append(row(index, `${index} ${'x'.repeat(900)}`), 'process');
    const [first] = listSegments(directory);
    appendFileSync(segmentPath(directory, first ?? 0), 'garbage that is no row');
    const reader = new ChunkReader(directory, LIMITS);
    let position = START;
    let lost = 0;
    let rows = 0;
    for (;;) {
      const chunk = await reader.next(position, journal.written());
      if (!chunk) break;
      lost += chunk.lostBytes;
      rows += chunk.rows.length;
      position = chunk.next;
    }
    expect(lost).toBe('garbage that is no row'.length);
    expect(rows).toBe(10);
  });

  it('is read in parts, across segments, with one segment open at a time', async () => {
    await using journal = open({ segmentBytes: 4_200 });
    const texts = Array.from({ length: 12 }, (_, index) => `${index} ${'x'.repeat(900)}`);
    for (const [index, text] of texts.entries()) await journal.append(row(index, text), 'process');
    const before = readdirSync('/proc/self/fd').length;
    using reader = new ChunkReader(directory, { bytes: 2_500, rows: 1_000_000 });
    let position = START;
    let seen = 0;
    // The limit allows two rows.
    for (;;) {
      const chunk = reader.next(position, journal.written());
      if (!chunk) break;
      expect(chunk.rows.length).toBeLessThanOrEqual(2);
      for (let index = 0; index < chunk.rows.length; index++)
        expect(chunk.rows.at(index).toString('utf8', 26)).toBe(texts[seen++]);
      position = chunk.next;
      expect(readdirSync('/proc/self/fd').length).toBe(before + 1);
    }
    expect(seen).toBe(12);
    expect(reader.next(position, journal.written())).toBeUndefined();
    await journal.append(row(12, 'later'), 'process');
    expect(reader.next(position, journal.written())?.rows.length).toBe(1);
    writeFileSync(segmentPath(directory, journal.written().segment + 1), 'no header');
    reader.next({ segment: journal.written().segment + 1, offset: 0 }, { segment: 99, offset: 99 });
    expect(readdirSync('/proc/self/fd').length).toBe(before);
  });
});
