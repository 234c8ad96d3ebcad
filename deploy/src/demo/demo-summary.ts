import type { Measured } from './demo-result.ts';
import type { Judgement } from './judge-versions.ts';
import type { RoundReport } from './learning-round.ts';

export interface SummaryInput {
  readonly measured: Measured;
  readonly rounds: readonly { readonly report: RoundReport; readonly judgement: Judgement | undefined }[];
  readonly logFolder: string;
}

/** A summary on one screen: what was served, what was learnt, what the swaps cost. */
export function demoSummary({ measured, rounds, logFolder }: SummaryInput): string {
  const count = (value: number) => value.toLocaleString('en');
  const lines = [
    '',
    `  served     ${count(measured.predictions)} predictions, ${count(measured.failed)} failed; ${count(measured.logged)} in the prediction log`,
    `  learnt     ${count(measured.outcomes)} outcomes`,
  ];
  for (const { report, judgement } of rounds) {
    const { run, swap } = report;
    if (!swap) {
      lines.push(`  run        ${run.state}: ${run.message}`);
      continue;
    }
    const aucs = judgement?.verdicts.map(({ version, auc }) => `${version}: ${auc.toFixed(4)}`) ?? [];
    lines.push(
      `  swap       version ${swap.from} -> ${swap.to}, ${count(run.examples)} examples, ${swap.failed_during} failed`,
      `             p99 ${swap.p99_ms_steady.toFixed(1)} ms before (p50 ${swap.p50_ms_steady.toFixed(1)}), ` +
        `${swap.p99_ms_training.toFixed(1)} ms while training, ` +
        `${swap.p99_ms_during.toFixed(1)} ms through the swap, at ${report.perSecondDuring.toFixed(0)}/s`,
    );
    if (aucs.length > 0) lines.push(`  AUC        on the same later sessions: ${aucs.join(', ')}`);
  }
  lines.push(`  logs       ${logFolder}`, '');
  return lines.join('\n');
}
