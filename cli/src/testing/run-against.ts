import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Writable } from 'node:stream';
import type { CommandContext } from '../command-context.ts';
import { runCommandLine } from '../run-command-line.ts';

class Captured extends Writable {
  text = '';
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString('utf8');
    done();
  }
}

/** Runs command lines against a server that answers the same to everything, and keeps what it was asked. */
export async function runAgainst(
  args: readonly string[],
  files: Record<string, string>,
  answer: unknown,
  status = 200,
) {
  const asked: { method: string; url: string; type: string; body: string }[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    asked.push({
      ...{ method: request.method ?? '', url: request.url ?? '', body },
      type: request.headers['content-type'] ?? '',
    });
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  await using _closing = { [Symbol.asyncDispose]: async () => void server.close() };
  const out = new Captured();
  const err = new Captured();
  const context: CommandContext = {
    terminal: { out, err },
    signal: new AbortController().signal,
    readFile: async (path) => Buffer.from(files[path] ?? ''),
    up: async () => 0,
  };
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const code = await runCommandLine(['--front-door', url, '--control', url, ...args], context);
  return { code, out: out.text, err: err.text, asked };
}
