import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import type { GateVerdict } from '../improve/gate.ts';
import type { LedgerRow } from '../ledger/ledger.ts';
import type { VersionRow } from './version-store.ts';

/** The registry's facts about a version. */
export interface ModelCard {
  readonly model: string;
  readonly version: number;
  readonly isLive: boolean;
  readonly description: string;
  readonly task: string;
  readonly features: readonly { readonly name: string; readonly from: string }[];
  readonly outcome: { readonly from: string; readonly window: string };
  readonly data: {
    readonly datasetSha256: string | null;
    readonly trainedOn: number | null;
    readonly heldOut: number | null;
  };
  readonly metrics: Readonly<Record<string, number>>;
  readonly gate: GateVerdict | null;
  readonly lineage: readonly {
    readonly version: number;
    readonly parent: number | null;
    readonly runId: string | null;
  }[];
  readonly digests: { readonly bundle: string; readonly onnx: string };
  readonly labels: Readonly<Record<string, string>>;
  readonly note: string;
  readonly limits: readonly string[];
  readonly history: readonly { readonly at: string; readonly what: string; readonly by: string }[];
}

export interface CardFacts {
  readonly version: VersionRow;
  readonly isLive: boolean;
  readonly manifest: Manifest;
  /** Every version of the model. */
  readonly versions: readonly VersionRow[];
  readonly gate: GateVerdict | null;
  readonly ledger: readonly LedgerRow[];
}

/** Pure. */
export function modelCard({ version, isLive, manifest, versions, gate, ledger }: CardFacts): ModelCard {
  const { model, metrics } = version;
  return {
    model,
    version: version.version,
    isLive,
    description: manifest.description ?? '',
    task: manifest.task,
    features: manifest.features.map((feature) => ({
      name: feature.name,
      from: 'from' in feature ? String(feature.from) : 'shared',
    })),
    outcome: { from: textOf(manifest.outcome.from), window: manifest.outcome.window },
    data: {
      datasetSha256: version.datasetSha256,
      trainedOn: metrics.trained_on ?? null,
      heldOut: metrics.held_out ?? null,
    },
    metrics,
    gate,
    lineage: lineageOf(version, versions),
    digests: { bundle: version.bundleSha256, onnx: version.onnxSha256 },
    labels: version.labels,
    note: version.note,
    limits: limitsOf(version, manifest),
    history: ledger
      .filter((row) => row.version === version.version)
      .map((row) => ({ at: new Date(row.at).toISOString(), what: row.action, by: row.actor })),
  };
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function lineageOf(version: VersionRow, versions: readonly VersionRow[]): ModelCard['lineage'] {
  const chain: VersionRow[] = [];
  let next: VersionRow | undefined = version;
  while (next && !chain.includes(next)) {
    chain.push(next);
    const parent: number | null = next.parentVersion;
    next = versions.find((candidate) => candidate.version === parent);
  }
  return chain.map((one) => ({ version: one.version, parent: one.parentVersion, runId: one.runId }));
}

function limitsOf(version: VersionRow, manifest: Manifest): string[] {
  const limits: string[] = [];
  if (version.runId === null)
    limits.push('It was pushed, not trained here: its training data are not known.');
  if (Object.keys(version.metrics).length === 0) limits.push('It has no measured quality.');
  if ((version.metrics.held_out ?? Number.POSITIVE_INFINITY) < 1_000)
    limits.push(`Its metrics rest on ${version.metrics.held_out} held-out examples.`);
  const hidden = manifest.log.redact;
  if (hidden.length > 0) limits.push(`Not logged, so not monitored: ${hidden.join(', ')}.`);
  return limits;
}

/** Every check of the gate, including slices, with its interval. */
function gateSection(gate: GateVerdict | null): string[] {
  if (gate === null) return [];
  const text = (value: number | null) => (value === null ? '-' : String(Number(value.toPrecision(4))));
  const rows = (gate.checks ?? []).map(({ name, outcome, candidate, against, interval, examples }) => {
    const range = interval === null ? '-' : `${text(interval.low)} to ${text(interval.high)}`;
    return `| ${name} | ${outcome} | ${text(candidate)} | ${text(against)} | ${range} | ${examples} |`;
  });
  const table =
    rows.length === 0
      ? []
      : [
          '\n| check | result | this version | against | better by (95 % interval) | rows |',
          '|---|---|---|---|---|---|',
          ...rows,
        ];
  return ['\n## Gate: whole, by slice, and on corrections', ...table, `\n${gate.message}`];
}

/** The card in Markdown. Pure. */
export function modelCardMarkdown(card: ModelCard): string {
  const metrics = Object.entries(card.metrics).map(
    ([name, value]) => `| ${name} | ${Number(value.toFixed(6))} |`,
  );
  return [
    `# ${card.model}, version ${card.version}${card.isLive ? ' (live)' : ''}`,
    card.description || `A ${card.task} model.`,
    `- Task: ${card.task}`,
    `- Outcomes: from ${card.outcome.from}, within ${card.outcome.window}`,
    `- Data: ${card.data.datasetSha256 === null ? 'unknown' : `dataset ${card.data.datasetSha256.slice(0, 12)}, ${card.data.trainedOn ?? '?'} examples, ${card.data.heldOut ?? '?'} held out`}`,
    `- Lineage: ${card.lineage.map((one) => `version ${one.version}`).join(' from ')}`,
    `- Bundle: \`${card.digests.bundle}\`; model.onnx: \`${card.digests.onnx}\``,
    ...(card.note === '' ? [] : [`- Note: ${card.note}`]),
    '\n## Metrics\n',
    ...(metrics.length === 0 ? ['None measured.'] : ['| metric | value |', '|---|---|', ...metrics]),
    ...gateSection(card.gate),
    '\n## Features\n',
    ...card.features.map((feature) => `- ${feature.name}: ${feature.from}`),
    '\n## Limits\n',
    ...(card.limits.length === 0
      ? ['None known to the registry.']
      : card.limits.map((limit) => `- ${limit}`)),
    '\n## History\n',
    ...card.history.map((entry) => `- ${entry.at} ${entry.what} by ${entry.by}`),
  ].join('\n');
}
