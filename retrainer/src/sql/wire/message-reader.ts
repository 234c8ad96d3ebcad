import { WireError } from './wire-error.ts';

/** Reads the fields of one message. Throws 08P01 if it is truncated. */
export class MessageReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  text(): string {
    const end = this.#bytes.indexOf(0, this.#at);
    if (end < 0) throw cutShort();
    const text = this.#bytes.toString('utf8', this.#at, end);
    this.#at = end + 1;
    return text;
  }

  byte(): string {
    return String.fromCharCode(this.bytes(1)[0] ?? 0);
  }

  int16(): number {
    return this.bytes(2).readInt16BE();
  }

  int32(): number {
    return this.bytes(4).readInt32BE();
  }

  bytes(length: number): Buffer {
    if (length < 0 || this.#at + length > this.#bytes.length) throw cutShort();
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}

function cutShort(): WireError {
  return new WireError({ code: '08P01', message: 'a message ends before its fields do' });
}
