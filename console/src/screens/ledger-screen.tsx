import { Link } from 'wouter';
import { useLedger } from '../api/queries.ts';
import type { LedgerEntry } from '../api/types.ts';
import { Age } from '../components/age.tsx';
import { Badge, type Tone } from '../components/badge.tsx';
import { Card, TableFrame } from '../components/card.tsx';
import { ModelTabs, Page } from '../components/page.tsx';
import { Answer, Empty } from '../components/states.tsx';

const TONES: Readonly<Record<string, Tone>> = {
  promote: 'good',
  rollback: 'warn',
  run: 'info',
  push: 'neutral',
};

export function LedgerScreen({ model }: { model: string }) {
  const query = useLedger(model);
  return (
    <Page title={model}>
      <ModelTabs model={model} />
      <Card
        title="Ledger"
        flush
        aside={<span className="note">append-only, each row sealed with the hash of the one before</span>}
      >
        <Answer query={query} lines={8}>
          {(entries) =>
            entries.length === 0 ? (
              <Empty title="Nothing has been recorded" icon="file" />
            ) : (
              <Entries entries={entries} />
            )
          }
        </Answer>
      </Card>
    </Page>
  );
}

function Entries({ entries }: { entries: readonly LedgerEntry[] }) {
  return (
    <TableFrame label="Ledger">
      <thead>
        <tr>
          <th className="number">Row</th>
          <th>What</th>
          <th>Version</th>
          <th>Who</th>
          <th>Why and evidence</th>
          <th>Hash</th>
          <th>When</th>
        </tr>
      </thead>
      <tbody>
        {entries.map((entry) => (
          <tr key={entry.sequence}>
            <td className="number faint">{entry.sequence}</td>
            <td>
              <Badge tone={TONES[entry.action] ?? 'neutral'}>{entry.action.replaceAll('_', ' ')}</Badge>
            </td>
            <td>{entry.version ? `v${entry.version}` : '–'}</td>
            <td>{entry.actor}</td>
            <td className="soft">
              <Evidence entry={entry} />
            </td>
            <td className="mono faint" title={entry.hash}>
              {entry.hash.slice(0, 10)}
            </td>
            <td className="faint">
              <Age at={entry.at} />
            </td>
          </tr>
        ))}
      </tbody>
    </TableFrame>
  );
}

function Evidence({ entry: { detail } }: { entry: LedgerEntry }) {
  const runId = typeof detail.run_id === 'string' ? detail.run_id : undefined;
  const words = [detail.reason, detail.message].filter((text) => typeof text === 'string' && text !== '');
  const from = typeof detail.from_version === 'number' ? `from v${detail.from_version}` : '';
  return (
    <span className="clip">
      {words.join(' · ') || from || '–'}
      {runId && (
        <>
          {' '}
          <Link href={`/runs/${runId}`} className="link">
            run {runId.slice(0, 8)}
          </Link>
        </>
      )}
    </span>
  );
}
