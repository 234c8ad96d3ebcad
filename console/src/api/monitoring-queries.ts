import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { get, post } from './http.ts';

/** Where a producer changed its messages. */
export interface Producer {
  readonly topic: string;
  readonly field: string;
  readonly partition: number | null;
  readonly firstOffset: string | null;
  readonly firstAt: number;
}

/** One thing that is not as it was. */
export interface IncidentSignal {
  readonly kind: string;
  readonly feature: string | null;
  readonly slice?: string;
  readonly message: string;
  readonly severity: 'info' | 'warning' | 'critical';
  readonly effect: number;
  readonly low: number;
  readonly high: number;
  readonly unit: string;
  /** Chance of it if nothing had changed; null where none applies. */
  readonly p: number | null;
  readonly n: number;
  readonly producer?: Producer;
}

export interface Incident {
  readonly id: string;
  /** Empty: the platform. */
  readonly model: string;
  readonly cause: string;
  readonly title: string;
  readonly severity: 'info' | 'warning' | 'critical';
  readonly state: 'open' | 'acknowledged' | 'closed';
  readonly cost: {
    readonly metric: string;
    readonly loss: number;
    readonly low: number;
    readonly high: number;
    readonly known: boolean;
    readonly method: string;
  } | null;
  readonly signals: readonly IncidentSignal[];
  readonly evidence: {
    readonly examples?: readonly string[];
    readonly versions?: readonly number[];
    readonly beganAt?: number;
    readonly action?: string;
    readonly producer?: Producer;
  };
  readonly openedAt: number;
  readonly updatedAt: number;
  readonly closedAt: number | null;
  readonly acknowledgedBy: string | null;
  readonly note: string;
  /** When it began, and what to do about it: only of one incident by its id. */
  readonly beganAt?: number;
  readonly toDo?: { readonly text: string; readonly runbook: string };
}

export interface FeatureReport {
  readonly name: string;
  readonly kind: string;
  readonly rows: number;
  readonly missingShare: number;
  readonly outOfRangeShare: number;
  readonly before: string;
  readonly now: string;
  readonly drift: {
    readonly effect: number;
    readonly low: number;
    readonly high: number;
    readonly threshold: number;
  } | null;
}

export interface Estimate {
  readonly value: number;
  readonly low: number;
  readonly high: number;
  readonly n: number;
}

export interface CallerReport {
  readonly version: number;
  readonly variant: string;
  readonly caller: string;
  readonly calls: number;
  readonly errors: number;
  readonly degraded: number;
}

/** Quality of one version in one span of time. */
export interface Quality {
  readonly version: number;
  readonly at: number;
  readonly metric: string;
  readonly slice?: string;
  readonly rows: number;
  readonly labelled: number;
  readonly measured: Estimate | null;
  readonly estimated: Estimate | null;
}

export interface MonitoringReport {
  readonly version: number | null;
  readonly baseline: string | null;
  /** Versions by when they were registered. */
  readonly versions: readonly { readonly version: number; readonly at: number }[];
  readonly features: readonly FeatureReport[];
  readonly quality: readonly Quality[];
  readonly slices: readonly Quality[];
  readonly estimatorError: { readonly mean: number; readonly days: number } | null;
  readonly calls: readonly CallerReport[];
  readonly incidents: readonly Incident[];
  /** Why parts of the report are empty, one sentence each. */
  readonly gaps: Readonly<Partial<Record<'calls' | 'features' | 'baseline' | 'quality' | 'decay', string>>>;
  readonly notJudged: readonly { readonly feature: string | null; readonly reason: string }[];
}

export const useIncidents = (model?: string) =>
  useQuery({
    queryKey: ['incidents', model ?? ''],
    queryFn: async () => {
      const search = model === undefined ? '' : `?model=${encodeURIComponent(model)}`;
      return (await get<{ incidents: readonly Incident[] }>(`/v1/incidents${search}`)).incidents;
    },
    refetchInterval: 10_000,
  });

export const useIncident = (id: string) =>
  useQuery({
    queryKey: ['incidents', 'one', id],
    queryFn: () => get<Incident>(`/v1/incidents/${encodeURIComponent(id)}`),
    refetchInterval: 10_000,
  });

export const useMonitoring = (model: string, since: string) =>
  useQuery({
    queryKey: ['monitoring', model, since],
    queryFn: () => get<MonitoringReport>(`/v1/models/${encodeURIComponent(model)}/monitoring?since=${since}`),
    refetchInterval: 30_000,
  });

export function useIncidentAction(id: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ action, note }: { action: 'acknowledge' | 'close'; note: string }) =>
      post<unknown>(`/v1/incidents/${id}/${action}`, { note }),
    onSettled: () => client.invalidateQueries({ queryKey: ['incidents'] }),
  });
}
