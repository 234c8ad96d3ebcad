import { buffer } from 'node:stream/consumers';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ReplaceBytes } from './kafka-relay.ts';

const FROM = Buffer.from('abcab');
const TO = Buffer.from('ABCAB');

async function replaced(chunks: readonly Buffer[]): Promise<string> {
  const stream = new ReplaceBytes(FROM, TO);
  for (const chunk of chunks) stream.write(Buffer.from(chunk));
  stream.end();
  return (await buffer(stream)).toString('latin1');
}

describe('bytes that are replaced in a stream', () => {
  it('are the same for any division of the stream into chunks', async () => {
    const text = fc.array(fc.constantFrom('a', 'b', 'c', 'abcab', 'x'), { maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(text, fc.array(fc.nat(40), { maxLength: 8 }), async (parts, cuts) => {
        const whole = parts.join('');
        const at = [...new Set([0, ...cuts.map((cut) => Math.min(cut, whole.length)), whole.length])].sort(
          (a, b) => a - b,
        );
        const chunks = at.slice(1).map((end, index) => Buffer.from(whole.slice(at[index], end)));
        expect(await replaced(chunks)).toBe(whole.replaceAll('abcab', 'ABCAB'));
      }),
    );
  });
});
