import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { Report } from './report.ts';

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));
const run = (...args: string[]) => promisify(execFile)(process.execPath, [MAIN, ...args]);

describe('npm run bench', () => {
  it('prints the report as JSON on the last line', async () => {
    const { stdout, stderr } = await run('echo', '--json', '--rounds', '1', '--seconds', '1');
    const report = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as Report;
    expect(report).toMatchObject({ bench: 'echo', machine: expect.stringContaining('Node') });
    expect(report.commit).toMatch(/^([0-9a-f]{7,}|unknown)$/);
    expect(report.figures.map((figure) => figure.key)).toContain('echo_stream_per_s');
    for (const figure of report.figures) {
      expect(figure).toEqual({
        key: expect.any(String),
        value: expect.any(Number),
        goal: '',
        met: null,
        low: expect.any(Number),
        high: expect.any(Number),
        n: 1,
      });
      expect(figure.value).toBeGreaterThan(0);
    }
    expect(stderr).toContain('echo_unary_per_s');
  });

  it('refuses an unknown name and lists the known ones', async () => {
    await expect(run('speed')).rejects.toMatchObject({ stderr: expect.stringContaining('echo, runtime') });
  });
});
