import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { Transform, type TransformCallback } from 'node:stream';
import { OpenSockets } from './open-sockets.ts';

const HOST = '127.0.0.1';

/** A fixed address in front of a broker whose own port changes with every start. Disposing closes all connections. */
export interface KafkaRelay extends AsyncDisposable {
  readonly port: number;
  /** Sets the broker's new port; connections to the previous one are closed. */
  moveTo(brokerPort: number): void;
}

/**
 * Relays TCP connections to a broker on 127.0.0.1. A Kafka client connects to the address in the broker's answers, so
 * that address is replaced there: host and port have a fixed length, which keeps every other byte in place.
 */
export async function startKafkaRelay(): Promise<KafkaRelay> {
  let brokerPort: number | undefined;
  const sockets = new OpenSockets();
  const server = createServer((client) => {
    if (brokerPort === undefined) {
      client.destroy();
      return;
    }
    const broker = connect(brokerPort, HOST);
    sockets.tie(client, broker);
    client.pipe(broker);
    broker.pipe(new ReplaceBytes(advertised(brokerPort), advertised(port))).pipe(client);
  });
  server.listen(0, HOST);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    port,
    moveTo(next) {
      brokerPort = next;
      sockets.destroyAll();
    },
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      sockets.destroyAll();
      await closed;
    },
  };
}

/** A broker's address in the Kafka protocol: the host's characters, then the port as int32, big-endian. */
function advertised(port: number): Buffer {
  const bytes = Buffer.alloc(HOST.length + 4);
  bytes.write(HOST, 'latin1');
  bytes.writeInt32BE(port, HOST.length);
  return bytes;
}

/** Replaces a sequence of bytes by another of the same length, also when it is split over chunks. */
export class ReplaceBytes extends Transform {
  readonly #from: Buffer;
  readonly #to: Buffer;
  #held: Buffer = Buffer.alloc(0);

  constructor(from: Buffer, to: Buffer) {
    super();
    this.#from = from;
    this.#to = to;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    for (let at = bytes.indexOf(this.#from); at >= 0; at = bytes.indexOf(this.#from, at + this.#to.length))
      this.#to.copy(bytes, at);
    const begun = this.#beginningAtEnd(bytes);
    this.#held = Buffer.from(bytes.subarray(bytes.length - begun));
    done(null, bytes.subarray(0, bytes.length - begun));
  }

  override _flush(done: TransformCallback): void {
    done(null, this.#held);
  }

  /** Number of bytes at the end that may be the start of the replaced sequence. */
  #beginningAtEnd(bytes: Buffer): number {
    for (let length = Math.min(this.#from.length - 1, bytes.length); length > 0; length--)
      if (bytes.subarray(bytes.length - length).equals(this.#from.subarray(0, length))) return length;
    return 0;
  }
}
