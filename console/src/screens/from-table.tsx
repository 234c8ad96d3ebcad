import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { upload } from '../api/http.ts';
import { useOverview } from '../api/queries.ts';
import { ActionButton } from '../components/action-button.tsx';
import { Callout, Loading } from '../components/states.tsx';
import { formatCount } from '../number-format.ts';
import type { Ready } from './first-run-metrics.tsx';
import { type Uploaded, useUpload } from './first-run-upload.ts';
import { notesOf, type Shape, type TidyFile } from './tidy-csv.ts';

export interface Tabular {
  readonly fileName: string;
  readonly name: string;
  readonly shape: Shape;
  readonly tidied: TidyFile;
}

interface Draft {
  readonly yaml: string;
  readonly task: string;
  readonly label: string;
  readonly features: readonly string[];
  readonly findings: readonly {
    readonly column: string;
    readonly finding: string;
    readonly detail: string;
  }[];
  readonly example: Readonly<Record<string, string | number | boolean>>;
}

const NO_COLUMN = '';
const MOST_FEATURES = 12;
const MOST_FINDINGS = 8;

/** From a table to a version: what to predict, a model.yaml that the server drafts and a person may edit, training. */
export function FromTable({ table, onReady }: { table: Tabular; onReady: (ready: Ready) => void }) {
  const { shape, tidied } = table;
  const [name, setName] = useState(table.name);
  // Undefined: the server picks one.
  const [wanted, setWanted] = useState<string>();
  const draft = useQuery({
    queryKey: ['draft', table.fileName, tidied.file.size, name, wanted],
    queryFn: () => {
      const query = new URLSearchParams({ name, ...(wanted === undefined ? {} : { label: wanted }) });
      return upload<Draft>(`/v1/models/draft?${query}`, tidied.head, 'text/csv');
    },
    retry: false,
    staleTime: Number.POSITIVE_INFINITY,
  });
  const notes = [
    `${formatCount(tidied.rows)} rows, ${shape.columns.length} columns.`,
    ...notesOf(shape),
    ...(tidied.leftOut > 0
      ? [
          `${formatCount(tidied.leftOut)} lines have another number of values than the first one and are left out.`,
        ]
      : []),
  ];
  return (
    <div className="stack">
      <p className="soft small">{notes.join(' ')}</p>
      <div className="grid two">
        <ModelName name={name} onName={setName} />
        <div className="field">
          <label htmlFor="first-label">Column to predict</label>
          <select
            id="first-label"
            className="input"
            value={wanted ?? draft.data?.label ?? NO_COLUMN}
            onChange={({ target }) => setWanted(target.value)}
          >
            {wanted === undefined && draft.data === undefined && (
              <option value={NO_COLUMN}>Choose one</option>
            )}
            {shape.columns.map((column) => (
              <option key={column} value={column}>
                {column}
              </option>
            ))}
          </select>
        </div>
      </div>
      {draft.isError ? (
        <Callout tone="bad">{draft.error.message}</Callout>
      ) : draft.data === undefined ? (
        <Loading lines={3} />
      ) : (
        <Training key={draft.data.yaml} draft={draft.data} tidied={tidied} onReady={onReady} />
      )}
    </div>
  );
}

/** Says so where a model of this name exists. */
export function ModelName({ name, onName }: { name: string; onName: (name: string) => void }) {
  const overview = useOverview();
  const isKnown = overview.data?.some(({ model }) => model.name === name) ?? false;
  const [text, setText] = useState(name);
  return (
    <div className="field">
      <label htmlFor="first-name">Name of the model</label>
      <input
        id="first-name"
        className="input"
        value={text}
        onChange={({ target }) => setText(target.value)}
        onBlur={() => onName(text.trim())}
      />
      {isKnown && <span className="help">There is a model of this name: this becomes its next version.</span>}
    </div>
  );
}

function Training({
  draft,
  tidied,
  onReady,
}: {
  draft: Draft;
  tidied: TidyFile;
  onReady: (ready: Ready) => void;
}) {
  const [yaml, setYaml] = useState(draft.yaml);
  const { busy, problem, run } = useUpload(onReady);
  const train = () => {
    const manifest = new Blob([yaml]);
    const query = new URLSearchParams({ label: draft.label, manifest_bytes: String(manifest.size) });
    const path = `/v1/models/first-version?${query}`;
    const body = new Blob([manifest, tidied.file]);
    void run('Training…', () => upload<Uploaded>(path, body, 'text/csv'), draft.example);
  };
  const leftOut = draft.findings.filter(({ finding }) => finding !== 'too_many_missing');
  return (
    <>
      <p>
        <strong>{draft.task}</strong>, learnt from {someOf(draft.features, MOST_FEATURES)}.
      </p>
      {leftOut.length > 0 && (
        <div>
          <p>Left out:</p>
          <ul className="plain-list">
            {leftOut.slice(0, MOST_FINDINGS).map(({ column, detail }) => (
              <li key={column}>
                <strong>{column}</strong>: {detail}
              </li>
            ))}
            {leftOut.length > MOST_FINDINGS && <li>and {leftOut.length - MOST_FINDINGS} more</li>}
          </ul>
        </div>
      )}
      <details>
        <summary>model.yaml, drafted from the file: change what you like</summary>
        <textarea
          aria-label="model.yaml"
          className="input mono"
          rows={16}
          value={yaml}
          onChange={({ target }) => setYaml(target.value)}
        />
      </details>
      {problem !== '' && <Callout tone="bad">{problem}</Callout>}
      <div>
        <ActionButton className="button primary" disabled={busy !== ''} onClick={train}>
          {busy || 'Train the first version'}
        </ActionButton>
      </div>
    </>
  );
}

function someOf(names: readonly string[], most: number): string {
  const shown = names.slice(0, most).join(', ');
  return names.length > most ? `${shown} and ${names.length - most} more` : shown;
}
