import { HotloopError } from '@hotloop/proto/errors.ts';

/** The state of a training between two updates. A training that resumes from it ends with the same bytes as an uninterrupted one. */
export interface Checkpoint {
  /** Of model, rows and settings. A training resumes only from a checkpoint with its own digest. */
  readonly digest: string;
  /** Epochs that are complete. */
  readonly epoch: number;
  /** Of the epoch after them: batches done, and their loss, summed over examples. */
  readonly under: { readonly batches: number; readonly sum: number; readonly seen: number };
  readonly step: number;
  /** Of the last complete epoch; NaN before the first. */
  readonly loss: number;
  readonly lossBefore: number | null;
  readonly bestEpoch: number;
  /** Infinity before any epoch was better than the beginning. */
  readonly bestLoss: number;
  /** The state of the random generator when the last complete epoch ended. */
  readonly random: readonly number[];
  /** Order of the training rows then. */
  readonly order: Uint32Array;
  readonly parameters: Float32Array;
  readonly firstMoment: Float32Array;
  readonly secondMoment: Float32Array;
  readonly best: Float32Array;
}

const MAGIC = 'HLCHECK1';

/**
 * Writes a checkpoint as one file: 8 bytes of magic, the length of the header as little-endian uint32, the header (JSON), then uint32
 * `order` [rows] and float32 `parameters`, `firstMoment`, `secondMoment` and `best` [parameters each].
 */
export function encodeCheckpoint(checkpoint: Checkpoint): Uint8Array {
  const { order, parameters, firstMoment, secondMoment, best, bestLoss, ...plain } = checkpoint;
  const header = Buffer.from(
    JSON.stringify({
      ...plain,
      bestLoss: Number.isFinite(bestLoss) ? bestLoss : null,
      rows: order.length,
      values: parameters.length,
    }),
  );
  const length = Buffer.alloc(4);
  length.writeUInt32LE(header.length);
  const arrays = [order, parameters, firstMoment, secondMoment, best];
  return Buffer.concat([
    Buffer.from(MAGIC),
    length,
    header,
    ...arrays.map(({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength)),
  ]);
}

/** Reads what {@link encodeCheckpoint} wrote. Throws DATA_LOSS for bytes that do not fit. */
export function decodeCheckpoint(bytes: Uint8Array): Checkpoint {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    if (view.toString('latin1', 0, 8) !== MAGIC) throw new RangeError('it does not begin as one');
    const start = 12 + view.readUInt32LE(8);
    const { rows, values, loss, bestLoss, ...plain } = JSON.parse(view.toString('utf8', 12, start)) as Omit<
      Checkpoint,
      'loss' | 'bestLoss'
    > & { rows: number; values: number; loss: number | null; bestLoss: number | null };
    if (view.length !== start + 4 * (rows + 4 * values)) throw new RangeError('it is cut short');
    // A copy, because a view into foreign bytes may start unaligned.
    const copy = new Uint8Array(view.subarray(start)).buffer;
    const part = (index: number) => new Float32Array(copy, 4 * (rows + index * values), values);
    return {
      ...plain,
      loss: loss ?? Number.NaN,
      bestLoss: bestLoss ?? Number.POSITIVE_INFINITY,
      order: new Uint32Array(copy, 0, rows),
      ...{ parameters: part(0), firstMoment: part(1), secondMoment: part(2), best: part(3) },
    };
  } catch (cause) {
    throw new HotloopError('DATA_LOSS', 'the checkpoint cannot be read: it is damaged', { cause });
  }
}
