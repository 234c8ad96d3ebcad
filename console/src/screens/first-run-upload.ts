import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { post } from '../api/http.ts';
import type { Ready } from './first-run-metrics.tsx';

export interface Uploaded {
  readonly model: string;
  readonly version: number;
  readonly metrics?: Readonly<Record<string, number>>;
  /** Rows that could not be used, and why the first of them. */
  readonly refused?: number;
  readonly problems?: readonly string[];
}

/** Uploads, then makes the version live; tells what goes wrong. */
export function useUpload(onReady: (ready: Ready) => void) {
  const client = useQueryClient();
  const [busy, setBusy] = useState('');
  const [problem, setProblem] = useState('');
  const run = async (words: string, send: () => Promise<Uploaded>, request: Ready['request']) => {
    setProblem('');
    setBusy(words);
    try {
      const { model, version, metrics, refused = 0, problems = [] } = await send();
      setBusy('Making it live…');
      await post(`/v1/models/${model}/rollouts`, {
        version,
        actor: 'console',
        reason: 'first version',
        mode: 'at_once',
      });
      onReady({ model, version, metrics: metrics ?? {}, refused, problems, request });
      await client.invalidateQueries();
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    } finally {
      setBusy('');
    }
  };
  return { busy, problem, run };
}
