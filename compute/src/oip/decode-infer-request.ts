import type { InferParameter__Output } from '@hotloop/proto/gen/inference/InferParameter.ts';
import type { InferTensorContents__Output } from '@hotloop/proto/gen/inference/InferTensorContents.ts';

/** The fields of a ModelInferRequest that are used. Messages of the generic decoder have this shape too. */
export interface InferRequestMessage {
  readonly modelName: string;
  readonly modelVersion: string;
  readonly id: string;
  readonly parameters: Readonly<Record<string, InferParameter__Output>>;
  readonly inputs: readonly InferInputMessage[];
  readonly outputs: readonly InferOutputMessage[];
  readonly rawInputContents: readonly Uint8Array[];
}

export interface InferOutputMessage {
  readonly name: string;
  readonly parameters: InferRequestMessage['parameters'];
}

export interface InferInputMessage {
  readonly name: string;
  readonly datatype: string;
  /** Numbers from the generic decoder are text. */
  readonly shape: readonly (number | string)[];
  readonly parameters: InferRequestMessage['parameters'];
  readonly contents: InferTensorContents__Output | null;
}

/** Tags: field number and wire type (0: varint, 2: length-delimited). */
const MODEL_NAME = 0x0a;
const MODEL_VERSION = 0x12;
const ID = 0x1a;
const INPUT = 0x2a;
const OUTPUT = 0x32;
const RAW_CONTENTS = 0x3a;
const INPUT_NAME = 0x0a;
const INPUT_DATATYPE = 0x12;
const INPUT_SHAPE = 0x1a;
const OUTPUT_NAME = 0x0a;

/** Requests that are decoded directly have no parameters. */
export const NO_PARAMETERS: InferRequestMessage['parameters'] = {};

/**
 * Decodes a request whose tensors are raw bytes, as nearly all are, without the generic decoder, which creates an
 * object for every part. Returns undefined for everything else, such as parameters, typed contents, unknown fields
 * and malformed bytes: the generic decoder reads those and reports the errors. Contents share the given memory.
 */
export function decodeInferRequest(bytes: Buffer): InferRequestMessage | undefined {
  const reader = new FieldReader(bytes, 0, bytes.length);
  let modelName = '';
  let modelVersion = '';
  let id = '';
  const inputs: InferInputMessage[] = [];
  const outputs: InferOutputMessage[] = [];
  const rawInputContents: Uint8Array[] = [];
  while (reader.next()) {
    switch (reader.tag) {
      case MODEL_NAME:
        modelName = reader.text();
        break;
      case MODEL_VERSION:
        modelVersion = reader.text();
        break;
      case ID:
        id = reader.text();
        break;
      case INPUT: {
        const input = decodeInput(reader);
        if (!input) return undefined;
        inputs.push(input);
        break;
      }
      case OUTPUT: {
        const output = decodeOutput(reader);
        if (!output) return undefined;
        outputs.push(output);
        break;
      }
      case RAW_CONTENTS:
        rawInputContents.push(bytes.subarray(reader.start, reader.end));
        break;
      default:
        return undefined;
    }
  }
  if (reader.isBroken) return undefined;
  return { modelName, modelVersion, id, parameters: NO_PARAMETERS, inputs, outputs, rawInputContents };
}

function decodeInput(outer: FieldReader): InferInputMessage | undefined {
  const reader = outer.inner();
  let name = '';
  let datatype = '';
  const shape: number[] = [];
  while (reader.next()) {
    switch (reader.tag) {
      case INPUT_NAME:
        name = reader.text();
        break;
      case INPUT_DATATYPE:
        datatype = reader.text();
        break;
      case INPUT_SHAPE: {
        const dimensions = reader.inner();
        while (!dimensions.isAtEnd) shape.push(dimensions.varint());
        if (dimensions.isBroken) return undefined;
        break;
      }
      default:
        return undefined;
    }
  }
  return reader.isBroken ? undefined : { name, datatype, shape, parameters: NO_PARAMETERS, contents: null };
}

function decodeOutput(outer: FieldReader): InferOutputMessage | undefined {
  const reader = outer.inner();
  let name = '';
  while (reader.next()) {
    if (reader.tag !== OUTPUT_NAME) return undefined;
    name = reader.text();
  }
  return reader.isBroken ? undefined : { name, parameters: NO_PARAMETERS };
}

/** Iterates over length-delimited fields. */
class FieldReader {
  readonly #bytes: Buffer;
  readonly #limit: number;
  #at: number;
  tag = 0;
  /** Start and end of the current field's content. */
  start = 0;
  end = 0;
  /** True after a field of another wire type, or a truncated one. */
  isBroken = false;

  constructor(bytes: Buffer, from: number, limit: number) {
    this.#bytes = bytes;
    this.#at = from;
    this.#limit = limit;
  }

  get isAtEnd(): boolean {
    return this.isBroken || this.#at >= this.#limit;
  }

  next(): boolean {
    if (this.isAtEnd) return false;
    this.tag = this.#bytes[this.#at++] ?? 0;
    // A known tag implies a known wire type. Unknown fields are not decoded here.
    if ((this.tag & 0x87) !== 2) {
      this.isBroken = true;
      return false;
    }
    const length = this.varint();
    this.start = this.#at;
    this.end = this.start + length;
    if (this.end > this.#limit) this.isBroken = true;
    this.#at = this.end;
    return !this.isBroken;
  }

  inner(): FieldReader {
    return new FieldReader(this.#bytes, this.start, this.end);
  }

  text(): string {
    const { start, end } = this;
    const bytes = this.#bytes;
    for (let at = start; at < end; at++)
      if ((bytes[at] ?? 0) >= 0x80) return bytes.toString('utf8', start, end);
    return bytes.toString('latin1', start, end);
  }

  /** Up to 2^49. A longer varint, such as a negative number, marks the message as broken. */
  varint(): number {
    let value = 0;
    let factor = 1;
    for (let count = 0; count < 7 && this.#at < this.#limit; count++) {
      const byte = this.#bytes[this.#at++] ?? 0;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
      factor *= 128;
    }
    this.isBroken = true;
    return 0;
  }
}
