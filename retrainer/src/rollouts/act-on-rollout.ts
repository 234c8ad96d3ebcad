import { HotloopError } from '@hotloop/proto/errors.ts';
import { take, withdrawWish } from './drive-rollout.ts';
import { begin, type PromotionDependencies } from './request-rollout.ts';
import type { Rollout } from './rollout.ts';
import { findRollout } from './rollout-rows.ts';
import type { RolloutEvent, RolloutState } from './rollout-state.ts';
import { stepAfter } from './rollout-steps.ts';
import { addApproval, applyEvent, fenceRollout, inTransaction, lockModel } from './rollout-store.ts';

/** Actions of a person on a rollout. */
export const ROLLOUT_ACTIONS = ['approve', 'hold', 'resume', 'advance', 'abort', 'rollback'] as const;
export type RolloutAction = (typeof ROLLOUT_ACTIONS)[number];

export interface ActInput {
  readonly action: RolloutAction;
  readonly actor: string;
  readonly reason: string;
}

/**
 * Applies a person's action at once, in one transaction; the process that drives the rollout loses its claim. Rejects NOT_FOUND,
 * FAILED_PRECONDITION `wrong_state` (not possible in the rollout's state), PERMISSION_DENIED `same_person` (an approval by
 * the person who requested the rollout, or who has already approved it).
 */
export async function actOnRollout(
  rolloutId: string,
  input: ActInput,
  dependencies: PromotionDependencies,
): Promise<Rollout> {
  const { model } = await findRollout(dependencies.pool, rolloutId);
  return inTransaction(dependencies.pool, async (client) => {
    await lockModel(client, model);
    await client.query('SELECT 1 FROM rollout WHERE rollout_id = $1 FOR UPDATE', [rolloutId]);
    const rollout = await findRollout(client, rolloutId);
    await fenceRollout(client, rollout);
    const at = dependencies.clock.now();
    const { action, actor, reason } = input;
    const said = reason === '' ? '' : `: ${reason}`;
    const apply = (event: RolloutEvent, message: string) =>
      applyEvent(
        client,
        rollout,
        { event, message: `${message}${said}`, actor, reason, isRecorded: true },
        at,
      );
    switch (action) {
      case 'hold':
        return apply('held', `held at ${rollout.state} by ${actor}`);
      case 'resume':
        return apply(RESUMED[stateBefore(rollout)], `resumed by ${actor}`);
      case 'abort': {
        const ended = await apply('aborted', `aborted by ${actor}`);
        await withdrawWish(client, ended);
        return ended;
      }
      case 'rollback': {
        const back = await apply('rolled_back', `rolled back by ${actor}`);
        await withdrawWish(client, back);
        return back;
      }
      case 'advance': {
        if (!ADVANCEABLE.has(rollout.state)) throw wrongState(rollout, action);
        const stepped = await take(client, rollout, stepAfter(rollout), dependencies, { actor, reason });
        return stepped;
      }
      case 'approve': {
        if (rollout.state !== 'approval') throw wrongState(rollout, action);
        if (actor === rollout.actor || rollout.approvals.some((approval) => approval.actor === actor))
          throw new HotloopError(
            'PERMISSION_DENIED',
            `${actor} asked for this rollout or approved it already: another person must approve`,
            { reason: 'same_person' },
          );
        const approved = await addApproval(client, rollout, { actor, at, reason });
        if (approved.approvals.length < approved.plan.approvals) return approved;
        const message = `approved by ${approved.approvals.map((one) => one.actor).join(', ')}`;
        // The ledger is written last in a transaction, after the changes of the registry.
        const requested = await applyEvent(
          client,
          approved,
          { event: 'approved', message, actor, isRecorded: false },
          at,
        );
        const begun = await begin(client, requested, at);
        if (begun.state === 'failed') return begun;
        return applyEvent(
          client,
          begun,
          { event: 'node_loading', message, actor, reason, isRecorded: true },
          at,
        );
      }
    }
  });
}

const ADVANCEABLE: ReadonlySet<RolloutState> = new Set(['shadow', 'canary', 'measuring']);

const RESUMED = {
  shadow: 'shadow_resumed',
  canary: 'canary_resumed',
  measuring: 'measuring_resumed',
} as const satisfies Record<string, RolloutEvent>;

/** The state to resume follows from the rollout's traffic, which continues while it is held. */
function stateBefore({ traffic, plan }: Rollout): keyof typeof RESUMED {
  if (traffic?.kind === 'shadow') return 'shadow';
  return plan.mode === 'canary' ? 'canary' : 'measuring';
}

function wrongState({ rolloutId, model, state }: Rollout, action: RolloutAction): HotloopError {
  return new HotloopError(
    'FAILED_PRECONDITION',
    `rollout ${rolloutId} of ${model} is ${state}: ${action} is not possible now`,
    { reason: 'wrong_state' },
  );
}
