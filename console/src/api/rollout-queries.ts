import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { get, post } from './http.ts';
import type { Rollout, RolloutChange } from './rollout-types.ts';

export const useRollouts = (model: string) =>
  useQuery({
    queryKey: ['rollout', model],
    queryFn: async () =>
      (await get<{ rollouts: readonly Rollout[] }>(`/v1/models/${encodeURIComponent(model)}/rollouts`))
        .rollouts,
    refetchInterval: 5_000,
  });

export const useRollout = (rolloutId: string) =>
  useQuery({
    queryKey: ['rollout', 'one', rolloutId],
    queryFn: () => get<{ rollout: Rollout; changes: readonly RolloutChange[] }>(`/v1/rollouts/${rolloutId}`),
    refetchInterval: 2_000,
  });

/** approve, hold, resume, advance, abort or rollback. */
export function useRolloutAction(rolloutId: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ action, reason }: { action: string; reason: string }) =>
      post<Rollout>(`/v1/rollouts/${rolloutId}/${action}`, { reason, actor: 'console' }),
    onSettled: () => client.invalidateQueries(),
  });
}
