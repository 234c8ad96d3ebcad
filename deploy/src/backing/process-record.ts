import { readFile, rm, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { processIdentity } from './process-identity.ts';

const KILL_AFTER_MS = 5_000;
const POLL_MS = 25;

interface ProcessRecord {
  readonly pid: number;
  readonly identity: string;
}

/** Records a started process, so that the next start in the same folder can end it if it was left over. */
export async function recordProcess(file: string, pid: number): Promise<void> {
  const identity = await processIdentity(pid);
  if (identity === undefined) return;
  await writeFile(file, `${JSON.stringify({ pid, identity } satisfies ProcessRecord)}\n`, { mode: 0o600 });
}

/**
 * Ends the process recorded in `file` if it still lives and is the same one (id and start time), then removes the
 * record. Resolves with whether there was such a process.
 */
export async function endRecordedProcess(file: string, stopSignal: NodeJS.Signals): Promise<boolean> {
  const record = await readRecord(file);
  const lives = record !== undefined && (await processIdentity(record.pid)) === record.identity;
  if (lives) await endProcess(record, stopSignal);
  await rm(file, { force: true });
  return lives;
}

async function endProcess(record: ProcessRecord, stopSignal: NodeJS.Signals): Promise<void> {
  const killAt = performance.now() + KILL_AFTER_MS;
  send(record.pid, stopSignal);
  while ((await processIdentity(record.pid)) === record.identity) {
    const late = performance.now() - killAt;
    if (late > KILL_AFTER_MS) throw new Error(`process ${record.pid} survived SIGKILL`);
    if (late > 0) send(record.pid, 'SIGKILL');
    await delay(POLL_MS);
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has already ended.
  }
}

async function readRecord(file: string): Promise<ProcessRecord | undefined> {
  try {
    const value: unknown = JSON.parse(await readFile(file, 'utf8'));
    if (typeof value !== 'object' || value === null || !('pid' in value) || !('identity' in value))
      return undefined;
    const { pid, identity } = value;
    if (typeof pid !== 'number' || !Number.isSafeInteger(pid) || pid <= 1 || typeof identity !== 'string')
      return undefined;
    return { pid, identity };
  } catch {
    return undefined;
  }
}
