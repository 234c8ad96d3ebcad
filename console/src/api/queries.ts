import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { ApiError, get, post, SESSION_PATH } from './http.ts';
import type {
  Disagreement,
  Explanation,
  Gate,
  LedgerEntry,
  ModelDetails,
  ModelOverview,
  PredictionDetails,
  PredictionSummary,
  Run,
  Session,
  Traffic,
  VersionAnswers,
} from './types.ts';

/** Counts change with every request: they are asked for now and then. Everything else comes by events. */
const COUNTS_MS = 4_000;

const at = (model: string) => `/v1/console/models/${encodeURIComponent(model)}`;

/** A login at an issuer is asked for again this long before it ends, which renews it. */
const RENEW_BEFORE_MS = 30_000;
const SESSION_EVERY_MS = 300_000;

export const useSession = () =>
  useQuery({
    queryKey: ['session'],
    queryFn: () => get<Session>(SESSION_PATH),
    staleTime: 60_000,
    refetchInterval: ({ state }) => {
      const left = state.data?.endsInMs ?? null;
      return left === null ? SESSION_EVERY_MS : Math.max(5_000, left - RENEW_BEFORE_MS);
    },
    refetchIntervalInBackground: true,
  });

export const useOverview = () =>
  useQuery({
    queryKey: ['overview'],
    queryFn: async () => (await get<{ models: readonly ModelOverview[] }>('/v1/console/overview')).models,
    refetchInterval: COUNTS_MS,
  });

export const useModel = (model: string) =>
  useQuery({
    queryKey: ['model', model],
    queryFn: () => get<ModelDetails>(at(model)),
    refetchInterval: COUNTS_MS,
  });

export const useTraffic = (model: string, window: string) =>
  useQuery({
    queryKey: ['traffic', model, window],
    queryFn: async () =>
      (await get<{ traffic: Traffic | null }>(`${at(model)}/traffic?window=${window}`)).traffic,
    refetchInterval: COUNTS_MS,
    placeholderData: (previous) => previous,
  });

export const useRuns = (model: string) =>
  useQuery({
    queryKey: ['runs', model],
    queryFn: async () => (await get<{ runs: readonly Run[] }>(`${at(model)}/runs`)).runs,
  });

export const useRun = (runId: string) =>
  useQuery({ queryKey: ['run', runId], queryFn: () => get<Run>(`/v1/console/runs/${runId}`) });

/** One value of a metric at one step of a run. */
export interface CurvePoint {
  readonly name: string;
  readonly step: number;
  readonly value: number;
}

export const useRunCurve = (runId: string) =>
  useQuery({
    queryKey: ['run', 'curve', runId],
    queryFn: async () => (await get<{ curve: readonly CurvePoint[] }>(`/v1/runs/${runId}`)).curve,
  });

export interface PredictionQuery {
  readonly only: string;
  readonly version: string;
  readonly before: string;
}

/** `live`: the list follows what is answered; otherwise it stays as it was read. */
export const usePredictions = (model: string, query: PredictionQuery, live = true) =>
  useQuery({
    queryKey: ['predictions', model, query],
    queryFn: async () => {
      const search = new URLSearchParams({ only: query.only, limit: '50' });
      if (query.version !== '') search.set('version', query.version);
      if (query.before !== '') search.set('before', query.before);
      const path = `${at(model)}/predictions?${search}`;
      return (await get<{ predictions: readonly PredictionSummary[] }>(path)).predictions;
    },
    placeholderData: (previous) => previous,
    ...(live ? {} : { staleTime: Number.POSITIVE_INFINITY, refetchOnWindowFocus: false }),
  });

export const usePrediction = (id: string) =>
  useQuery({
    queryKey: ['prediction', id],
    queryFn: () => get<PredictionDetails>(`/v1/console/predictions/${encodeURIComponent(id)}`),
  });

export const useLedger = (model: string) =>
  useQuery({
    queryKey: ['ledger', model],
    queryFn: async () => (await get<{ entries: readonly LedgerEntry[] }>(`${at(model)}/ledger`)).entries,
  });

export const useComparison = (model: string, a: number, b: number) =>
  useQuery({
    queryKey: ['compare', model, a, b],
    queryFn: () =>
      get<{ a: VersionAnswers; b: VersionAnswers; disagreement: Disagreement | null }>(
        `${at(model)}/compare?a=${a}&b=${b}`,
      ),
  });

/** Null for a version that no gate has judged. */
export const useVersionGate = (model: string, version: number) =>
  useQuery({
    queryKey: ['gate', model, version],
    queryFn: async () => {
      try {
        const path = `/v1/models/${encodeURIComponent(model)}/versions/${version}/gate`;
        return (await get<{ gate: Gate }>(path)).gate;
      } catch (error) {
        if (
          error instanceof ApiError &&
          (error.status === 404 || error.status === 409 || error.status === 400)
        )
          return null;
        throw error;
      }
    },
    staleTime: 60_000,
  });

/** Takes a second or more: asked for by a person, and kept. */
export const useExplanation = (id: string, row: number) =>
  useQuery({
    queryKey: ['explanation', id, row],
    queryFn: () => get<Explanation>(`/v1/predictions/${encodeURIComponent(id)}/explanation?row=${row}`),
    staleTime: Number.POSITIVE_INFINITY,
    refetchOnWindowFocus: false,
  });

/** A write; the queries it affects are fetched again. */
export function useAction<Input>(path: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (input: Input) => post<unknown>(path, input),
    onSettled: () => client.invalidateQueries(),
  });
}

export const modelPath = at;
