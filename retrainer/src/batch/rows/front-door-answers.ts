import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Decision } from '@hotloop/model/decision/decision.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { predictionIdOf } from '@hotloop/proto/prediction-id.ts';
import { HOUR_MS } from '@hotloop/proto/time-units.ts';
import type { BatchRun } from '../batch-run.ts';
import type { RowAnswer, RowAnswers } from './row-answer.ts';
import type { RowRequest } from './row-request.ts';

/** Where the front door answers over HTTP. */
export interface FrontDoor {
  /** http://host:port, or https. */
  readonly url: string;
  readonly apiKey: string | undefined;
  /** How it is called; default: the global `fetch`. */
  readonly fetch?: typeof fetch;
}

interface Line {
  readonly prediction_id: string;
  readonly decision: Decision;
  readonly degraded: readonly string[];
  readonly error?: { readonly code: string; readonly detail: string };
}

const ROWS_AT_ONCE = 2_000;
const ROW_TIMEOUT_MS = 30_000;
/** What passes when one waits. */
const PASSING = new Set(['UNAVAILABLE', 'DEADLINE_EXCEEDED', 'RESOURCE_EXHAUSTED', 'ABORTED']);
const PAUSES_MS = [200, 1_000, 3_000, 10_000];
/** The front door refuses ids that are older than a day. */
const OLDEST_ID_MS = 23 * HOUR_MS;

/**
 * Answers rows by the front door itself: its features (history and reference data of now), decision, log and monitoring. Each row has
 * the prediction id that follows from the run and its number, so that one that is asked again is logged once.
 */
export function frontDoorAnswers(run: BatchRun, door: FrontDoor, now: () => number): RowAnswers {
  const url = `${door.url}/v1/models/${encodeURIComponent(run.model)}/predict-batch`;
  const headers = {
    'content-type': 'application/x-ndjson',
    ...(door.apiKey === undefined ? {} : { authorization: `Bearer ${door.apiKey}` }),
  };
  const call = door.fetch ?? fetch;
  return {
    rowsAtOnce: ROWS_AT_ONCE,
    async answer(rows, _times, signal) {
      const answers = new Map<number, RowAnswer>();
      let waiting = rows;
      for (let attempt = 0; waiting.length > 0; attempt++) {
        const lines = await ask(waiting, signal);
        const again: RowRequest[] = [];
        let why = '';
        for (const [at, request] of waiting.entries()) {
          const line = lines[at];
          if (line?.error && PASSING.has(line.error.code)) {
            why = line.error.detail;
            again.push(request);
          } else answers.set(request.row, answerOf(request, line));
        }
        waiting = again;
        if (waiting.length === 0) break;
        const pause = PAUSES_MS[attempt];
        if (pause === undefined) throw new HotloopError('UNAVAILABLE', `the front door: ${why}`);
        await sleep(pause, undefined, { signal });
      }
      return rows.map(({ row }) => answers.get(row) as RowAnswer);
    },
    [Symbol.asyncDispose]: async () => undefined,
  };

  async function ask(rows: readonly RowRequest[], signal: AbortSignal): Promise<Line[]> {
    const body = rows.map((row) => `${JSON.stringify(bodyOf(row))}\n`).join('');
    const response = await call(url, { method: 'POST', headers, body, signal }).catch((cause: unknown) => {
      signal.throwIfAborted();
      throw new HotloopError('UNAVAILABLE', 'the front door cannot be reached', { cause });
    });
    const text = await response.text();
    if (!response.ok) {
      const { detail = `status ${response.status}` } = parsed(text) as { detail?: string };
      throw new HotloopError(
        response.status >= 500 || response.status === 429 ? 'UNAVAILABLE' : 'FAILED_PRECONDITION',
        `the front door refuses the batch: ${detail}`,
      );
    }
    const lines = text.trimEnd().split('\n');
    if (lines.length !== rows.length)
      throw new HotloopError('UNAVAILABLE', 'the front door did not answer all rows');
    return lines.map((line) => parsed(line) as Line);
  }

  function bodyOf({ row, predictionId, request, entities, candidates }: RowRequest): object {
    const rest = { version: run.version, request, entities, timeout_ms: ROW_TIMEOUT_MS };
    const shown = candidates.length === 0 ? {} : { candidates };
    if (predictionId !== '') return { prediction_id: predictionId, ...rest, ...shown };
    const digest = createHash('sha256').update(`${run.runId}\n${row}`).digest();
    const oldest = Math.ceil((now() - OLDEST_ID_MS) / HOUR_MS) * HOUR_MS;
    return {
      prediction_id: predictionIdOf(Math.max(run.createdAt, oldest), digest.subarray(0, 10)),
      ...rest,
      ...shown,
    };
  }
}

function answerOf({ row }: RowRequest, line: Line | undefined): RowAnswer {
  if (line === undefined || line.error)
    return { row, refused: line?.error?.detail ?? 'the front door did not answer' };
  const { prediction_id: predictionId, decision, degraded } = line;
  return { row, decision, predictionId, degraded };
}

function parsed(text: string): object {
  try {
    return JSON.parse(text) as object;
  } catch {
    return {};
  }
}
