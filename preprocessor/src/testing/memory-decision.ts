import type { Decision } from '@hotloop/model/decision/decision.ts';
import type { DecideItem, DecisionPort } from '@hotloop/platform/ports/decision.ts';

/** A minimal postprocessor: first score against one half, candidates by score. Records its requests. */
export class ThresholdDecision implements DecisionPort {
  readonly items: DecideItem[] = [];

  async decide(item: DecideItem): Promise<Decision> {
    this.items.push(item);
    const bytes = item.outputs[0]?.contents ?? new Uint8Array();
    const scores = [...new Float32Array(new Uint8Array(bytes).buffer)];
    const score = scores[0] ?? 0;
    const ranked = item.candidates
      .map(({ id }, index) => ({ id, score: scores[index] ?? 0 }))
      .filter(({ id }) => !item.excluded.includes(id))
      .sort((a, b) => b.score - a.score)
      .map(({ id, score: own }, at) => ({ id, rank: at + 1, score: own, propensity: 1 }));
    return { label: score >= 0.5 ? 'yes' : 'no', score, scores: ranked.length > 0 ? scores : [], ranked };
  }
}
