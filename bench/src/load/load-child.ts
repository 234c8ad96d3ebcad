// One process of a load generator: `node load-child.ts ADDRESS CONNECTIONS`. On the command `unary` it keeps some
// calls in flight on each of its connections for a while and returns the number of answers per second.
import { serveCommands } from '../stand/commands.ts';
import { rawLoad } from './raw-load.ts';

export interface LoadOrder {
  readonly path: string;
  /** The request, base64. */
  readonly request: string;
  /** Calls in flight on each connection. */
  readonly callers: number;
  readonly seconds: number;
}

const [, , address = '', connections = '1'] = process.argv;
const loads = Array.from({ length: Number(connections) }, () => rawLoad(address));

serveCommands({
  async unary({ path, request, callers, seconds }: LoadOrder): Promise<number> {
    const bytes = Buffer.from(request, 'base64');
    const samples = await Promise.all(loads.map((load) => load.unary(path, bytes, callers, seconds)));
    return samples.reduce((sum, { perSecond }) => sum + perSecond, 0);
  },
});
process.once('disconnect', () => process.exit(0));
console.log(JSON.stringify({ ready: true, port: 0 }));
