import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { get, post, put, remove } from './http.ts';

export type CatchUp = 'skip' | 'one' | 'all';

/** What a schedule does, as it was put. */
export interface ScheduleSpec {
  readonly model: string;
  readonly version: string;
  readonly source: string;
  readonly sink: string;
  readonly cron?: string;
  readonly timezone: string;
  readonly every?: string;
  readonly catch_up: CatchUp;
  readonly enabled: boolean;
}

export interface Schedule {
  readonly name: string;
  readonly spec: ScheduleSpec;
  /** Null while it is paused. */
  readonly nextAt: number | null;
  readonly lastAt: number | null;
}

export interface BatchRun {
  readonly run_id: string;
  readonly model: string;
  readonly version: number;
  readonly source: string;
  readonly sink: string;
  readonly schedule: string | null;
  readonly state: 'planning' | 'running' | 'finishing' | 'done' | 'failed' | 'cancelled';
  readonly message: string;
  readonly rows: number | null;
  readonly accepted: number;
  readonly refused: number;
  readonly rows_per_second: number | null;
  readonly seconds_left: number | null;
  readonly created_at: string;
  readonly ended_at: string | null;
}

const SCHEDULES = '/v1/batch/schedules';

export const useSchedules = () =>
  useQuery({
    queryKey: ['batch', 'schedules'],
    queryFn: async () => (await get<{ schedules: readonly Schedule[] }>(SCHEDULES)).schedules,
    refetchInterval: 10_000,
  });

/** Of one schedule, or of all when it is empty. */
export const useBatchRuns = (schedule: string) =>
  useQuery({
    queryKey: ['batch', 'runs', schedule],
    queryFn: async () => {
      const search = new URLSearchParams({ limit: '50', ...(schedule === '' ? {} : { schedule }) });
      return (await get<{ runs: readonly BatchRun[] }>(`/v1/batch/runs?${search}`)).runs;
    },
    refetchInterval: ({ state }) => (state.data?.some(({ ended_at }) => ended_at === null) ? 1_000 : 5_000),
    placeholderData: (previous) => previous,
  });

export type ScheduleChange =
  | { readonly kind: 'put'; readonly name: string; readonly spec: ScheduleSpec }
  | { readonly kind: 'run' | 'remove'; readonly name: string };

export function useScheduleChange() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (change: ScheduleChange) => {
      const path = `${SCHEDULES}/${encodeURIComponent(change.name)}`;
      if (change.kind === 'put') return put<unknown>(path, change.spec);
      return change.kind === 'run' ? post<unknown>(`${path}/run`, {}) : remove<unknown>(path);
    },
    onSettled: () => client.invalidateQueries({ queryKey: ['batch'] }),
  });
}

export function useCancelBatch() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (runId: string) => post<unknown>(`/v1/batch/runs/${runId}/cancel`, {}),
    onSettled: () => client.invalidateQueries({ queryKey: ['batch'] }),
  });
}
