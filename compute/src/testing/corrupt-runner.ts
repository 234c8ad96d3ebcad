import { readSync, writeSync } from 'node:fs';
import { decodeFrame, encodeFrame, textTensor } from '../runner/frames.ts';

/**
 * A runner that loads any model, and answers the first run with bytes that are not a frame: `node corrupt-runner.ts
 * HEX`. Then it continues to read as if nothing had happened.
 */
const SOCKET = 3;
const answer = Buffer.from(process.argv[2] ?? '', 'hex');

function send(bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(SOCKET, bytes, at, bytes.length - at);
}

const received = Buffer.alloc(1024 * 1024);
let end = 0;
for (;;) {
  const read = readSync(SOCKET, received, end, received.length - end, null);
  if (read === 0) break;
  end += read;
  if (end < 4 || end < received.readUInt32LE(0)) continue;
  const { id, kind } = decodeFrame(received.subarray(0, received.readUInt32LE(0)));
  const model = { inputs: [], outputs: [] };
  if (kind === 'load')
    send(encodeFrame({ id, kind: 'loaded', tensors: [textTensor(JSON.stringify(model))] }));
  else send(answer);
  end = 0;
}
