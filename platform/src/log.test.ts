import { HotloopError } from '@hotloop/proto/errors.ts';
import { describe, expect, it } from 'vitest';
import { createLog, type LogLevel } from './log.ts';

function capture(level: LogLevel = 'info') {
  const lines: string[] = [];
  const log = createLog({ service: 'compute', level }, { write: (line) => void lines.push(line) });
  return { log, parsed: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

describe('a log', () => {
  it('writes one JSON line with service, level, time, message and fields', () => {
    const { log, parsed } = capture();
    log.info({ predictionId: 'p1' }, 'answered');
    log.warn('no fields');
    const [first, second] = parsed();
    expect(first).toMatchObject({
      service: 'compute',
      level: 'info',
      message: 'answered',
      predictionId: 'p1',
    });
    expect(new Date(String(first?.time)).getTime()).toBeGreaterThan(0);
    expect(second).toMatchObject({ level: 'warn', message: 'no fields' });
  });

  it('writes an error with its cause', () => {
    const { log, parsed } = capture();
    const error = new HotloopError('UNAVAILABLE', 'the store is down', { cause: new Error('ECONNREFUSED') });
    log.error({ error }, 'failed');
    expect(JSON.stringify(parsed()[0])).toContain('the store is down');
    expect(JSON.stringify(parsed()[0])).toContain('ECONNREFUSED');
  });

  it('keeps the fields of a child on every line', () => {
    const { log, parsed } = capture();
    log.child({ requestId: 'r1' }).info('x');
    expect(parsed()[0]).toMatchObject({ requestId: 'r1', service: 'compute' });
  });

  it('omits entries below its level', () => {
    const { log, parsed } = capture('warn');
    log.debug('a');
    log.info('b');
    log.error('c');
    expect(parsed().map((line) => line.message)).toEqual(['c']);
  });

  it('hides secrets at the top level and one level below', () => {
    const { log, parsed } = capture();
    log.info({ password: 'hunter2', apiKey: 'hunter2', config: { url: 'postgres://u:hunter2@h/d' } }, 'x');
    expect(JSON.stringify(parsed()[0])).not.toContain('hunter2');
  });

  it('names the command that a store rejected, and hides its arguments, at any depth of the error', () => {
    const { log, parsed } = capture();
    const refused = Object.assign(new Error('WRONGPASS'), { command: { name: 'auth', args: ['hunter2'] } });
    log.error({ error: refused }, 'x');
    log.error({ error: new Error('outer', { cause: new Error('inner', { cause: refused }) }) }, 'x');
    log.error({ error: new AggregateError([refused], 'several') }, 'x');
    expect(parsed()).toHaveLength(3);
    for (const line of parsed()) {
      expect(JSON.stringify(line)).not.toContain('hunter2');
      expect(JSON.stringify(line)).toContain('"command":"auth"');
    }
    expect(refused.command.args).toEqual(['hunter2']);
  });
});
