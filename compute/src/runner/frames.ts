import { DATATYPES, type Datatype } from '@hotloop/model/tensor.ts';

/**
 * The messages between the service and a runner: frames of 8-byte aligned little-endian parts, so that the runner can
 * create typed arrays on the received bytes. Frames go through one socket; large ones go through a file.
 *
 * Header (32 bytes): length of the frame, id, kind, number of tensors, run time in microseconds (all uint32), 4 bytes
 * unused, resident memory in bytes (float64). Then for each tensor: index among the model's inputs or outputs,
 * datatype, rank, bytes (uint32 each), dimensions (uint32 each), padding, contents, padding.
 */
export const FRAME_HEADER_BYTES = 32;
/**
 * Largest frame that a runner may send. Answers always go through the socket, and the service allocates memory as
 * soon as the length has arrived. The limit is far above the answers of a batch (64 MiB at most per call), yet small
 * enough that a corrupt length does no harm.
 */
export const MAX_ANSWER_BYTES = 1024 ** 3;

export const FRAME_KIND = {
  load: 1,
  loaded: 2,
  run: 3,
  result: 4,
  failed: 5,
  ping: 6,
  pong: 7,
  elsewhere: 8,
} as const;
export type FrameKind = keyof typeof FRAME_KIND;

const KIND_OF = new Map<number, FrameKind>(
  Object.entries(FRAME_KIND).map(([name, number]) => [number, name as FrameKind]),
);
const DATATYPE_CODE = new Map<Datatype, number>(DATATYPES.map((name, code) => [name, code]));
const TENSOR_HEADER_BYTES = 16;

/** One tensor of a frame. Its contents may come in pieces, which are concatenated. */
export interface FrameTensor {
  readonly index: number;
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  readonly pieces: readonly Uint8Array[];
}

export interface FrameParts {
  readonly id: number;
  readonly kind: FrameKind;
  readonly tensors: readonly FrameTensor[];
  readonly runUs?: number;
  readonly memoryBytes?: number;
}

/** Position and length of a frame in a file, in bytes. */
export interface FramePlace {
  readonly position: number;
  readonly length: number;
}

export interface ReceivedTensor {
  readonly index: number;
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  /** Shares the frame's memory. */
  readonly contents: Uint8Array;
}

export interface ReceivedFrame {
  readonly id: number;
  readonly kind: FrameKind;
  readonly tensors: readonly ReceivedTensor[];
  readonly runUs: number;
  readonly memoryBytes: number;
}

function align(bytes: number): number {
  // Addition instead of a bit mask: bitwise operators would turn numbers past 2^31 negative.
  return bytes + (-bytes & 7);
}

function bytesOf(tensor: FrameTensor): number {
  let length = 0;
  for (const piece of tensor.pieces) length += piece.length;
  return length;
}

/** Length of the whole frame, in bytes. */
export function frameLength({ tensors }: FrameParts): number {
  let length = FRAME_HEADER_BYTES;
  for (const tensor of tensors)
    length += align(TENSOR_HEADER_BYTES + tensor.shape.length * 4) + align(bytesOf(tensor));
  return length;
}

/**
 * Encodes a frame. This is the only copy of the contents on this side. `allocate` returns at least the requested
 * number of bytes.
 */
export function encodeFrame(
  parts: FrameParts,
  allocate: (bytes: number) => Buffer = Buffer.allocUnsafe,
): Buffer {
  const length = frameLength(parts);
  const frame = allocate(length);
  frame.writeUInt32LE(length, 0);
  frame.writeUInt32LE(parts.id, 4);
  frame.writeUInt32LE(FRAME_KIND[parts.kind], 8);
  frame.writeUInt32LE(parts.tensors.length, 12);
  frame.writeUInt32LE(Math.min(parts.runUs ?? 0, 0xffffffff), 16);
  frame.writeUInt32LE(0, 20);
  frame.writeDoubleLE(parts.memoryBytes ?? 0, 24);
  let at = FRAME_HEADER_BYTES;
  for (const tensor of parts.tensors) at = writeTensor(frame, at, tensor);
  return frame.length === length ? frame : frame.subarray(0, length);
}

function writeTensor(frame: Buffer, start: number, tensor: FrameTensor): number {
  let at = frame.writeUInt32LE(tensor.index, start);
  at = frame.writeUInt32LE(DATATYPE_CODE.get(tensor.datatype) ?? 0, at);
  at = frame.writeUInt32LE(tensor.shape.length, at);
  at = frame.writeUInt32LE(bytesOf(tensor), at);
  for (const dimension of tensor.shape) at = frame.writeUInt32LE(dimension, at);
  at = pad(frame, at);
  for (const piece of tensor.pieces) {
    frame.set(piece, at);
    at += piece.length;
  }
  return pad(frame, at);
}

/** Pads with zeros, because the reused memory may still contain another model's data. */
function pad(frame: Buffer, start: number): number {
  const end = align(start);
  for (let at = start; at < end; at++) frame[at] = 0;
  return end;
}

/** Decodes a whole frame. Throws RangeError when it is malformed: both ends are our own code, so that is a defect. */
export function decodeFrame(frame: Buffer): ReceivedFrame {
  const kind = KIND_OF.get(frame.readUInt32LE(8));
  if (kind === undefined || frame.readUInt32LE(0) !== frame.length) throw new RangeError('not a frame');
  const tensors: ReceivedTensor[] = [];
  let at = FRAME_HEADER_BYTES;
  for (let count = frame.readUInt32LE(12); count > 0; count--) {
    const index = frame.readUInt32LE(at);
    const datatype = DATATYPES[frame.readUInt32LE(at + 4)];
    const rank = frame.readUInt32LE(at + 8);
    const bytes = frame.readUInt32LE(at + 12);
    if (datatype === undefined) throw new RangeError('a frame with an unknown datatype');
    const shape: number[] = [];
    for (let dimension = 0; dimension < rank; dimension++)
      shape.push(frame.readUInt32LE(at + TENSOR_HEADER_BYTES + dimension * 4));
    at = align(at + TENSOR_HEADER_BYTES + rank * 4);
    if (at + bytes > frame.length) throw new RangeError('a tensor that goes beyond its frame');
    tensors.push({ index, datatype, shape, contents: frame.subarray(at, at + bytes) });
    at = align(at + bytes);
  }
  return {
    id: frame.readUInt32LE(4),
    kind,
    tensors,
    runUs: frame.readUInt32LE(16),
    memoryBytes: frame.readDoubleLE(24),
  };
}

/** The message that goes through the socket when the frame itself is in a file. */
export function elsewhere(id: number, { position, length }: FramePlace): FrameParts {
  const contents = Buffer.alloc(8);
  contents.writeUInt32LE(position, 0);
  contents.writeUInt32LE(length, 4);
  return {
    id,
    kind: 'elsewhere',
    tensors: [{ index: 0, datatype: 'UINT32', shape: [2], pieces: [contents] }],
  };
}

/** The place named by a frame that refers to a file; undefined for any other frame. */
export function placeOf(frame: Buffer): FramePlace | undefined {
  if (frame.readUInt32LE(8) !== FRAME_KIND.elsewhere) return undefined;
  const [where] = decodeFrame(frame).tensors;
  if (!where) throw new RangeError('a frame that is nowhere');
  const words = Buffer.from(where.contents);
  return { position: words.readUInt32LE(0), length: words.readUInt32LE(4) };
}

/** Text as a tensor, for messages that are not on the hot path. */
export function textTensor(text: string): FrameTensor {
  const bytes = Buffer.from(text);
  return { index: 0, datatype: 'UINT8', shape: [bytes.length], pieces: [bytes] };
}

export function textOf(tensor: ReceivedTensor | undefined): string {
  return tensor === undefined ? '' : Buffer.from(tensor.contents).toString('utf8');
}

/** Assembles answers from the chunks of a stream. A frame that lies within one chunk is not copied. */
export class FrameAssembler {
  #partial: Buffer | undefined;
  #filled = 0;
  #head = Buffer.alloc(0);

  /**
   * Calls back with each complete frame, which stays valid as long as its chunk. Throws RangeError for an impossible
   * length, and every error of the callback. After an error the start of the next frame is unknown, so nothing more
   * can be read.
   */
  push(chunk: Buffer, onFrame: (frame: Buffer) => void): void {
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#partial) rest = this.#fill(this.#partial, rest, onFrame);
      else if (this.#head.length + rest.length < 4) {
        this.#head = Buffer.concat([this.#head, rest]);
        return;
      } else {
        if (this.#head.length > 0) {
          rest = Buffer.concat([this.#head, rest]);
          this.#head = Buffer.alloc(0);
        }
        const length = rest.readUInt32LE(0);
        if (length < FRAME_HEADER_BYTES || length > MAX_ANSWER_BYTES)
          throw new RangeError(`an answer has the impossible length ${length}`);
        if (rest.length >= length) {
          onFrame(rest.subarray(0, length));
          rest = rest.subarray(length);
        } else {
          this.#partial = Buffer.allocUnsafe(length);
          this.#filled = 0;
        }
      }
    }
  }

  #fill(partial: Buffer, chunk: Buffer, onFrame: (frame: Buffer) => void): Buffer {
    const taken = chunk.copy(partial, this.#filled, 0, Math.min(chunk.length, partial.length - this.#filled));
    this.#filled += taken;
    if (this.#filled === partial.length) {
      this.#partial = undefined;
      onFrame(partial);
    }
    return chunk.subarray(taken);
  }
}
