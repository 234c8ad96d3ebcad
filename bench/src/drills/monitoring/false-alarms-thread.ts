import { parentPort, Worker, workerData } from 'node:worker_threads';
import { falseAlarms } from './false-alarms.ts';

interface Question {
  readonly n: number;
  readonly weeks: number;
}

const MAIN = new URL(import.meta.url);

/**
 * Simulates stable weeks at `n` calls a day in a separate thread, which takes minutes of CPU time. Returns alarms per
 * model and week.
 */
export async function falseAlarmsInThread(question: Question, say: (line: string) => void): Promise<number> {
  const worker = new Worker(MAIN, { workerData: question });
  const answered = Promise.withResolvers<ReturnType<typeof falseAlarms>>();
  worker.once('message', (answer: ReturnType<typeof falseAlarms>) => answered.resolve(answer));
  worker.once('error', (error) => answered.reject(error));
  const { rate, line } = await answered.promise;
  say(line);
  await worker.terminate();
  return rate;
}

if (parentPort && isQuestion(workerData)) parentPort.postMessage(falseAlarms(workerData.n, workerData.weeks));

function isQuestion(data: unknown): data is Question {
  return typeof data === 'object' && data !== null && 'n' in data && 'weeks' in data;
}
