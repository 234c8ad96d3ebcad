import { useQueryClient } from '@tanstack/react-query';
import { type DragEvent, useState } from 'react';
import { post, upload } from '../api/http.ts';
import { ActionButton } from '../components/action-button.tsx';
import { Card, Stat } from '../components/card.tsx';
import { Icon } from '../components/icon.tsx';
import { Page } from '../components/page.tsx';
import { Callout } from '../components/states.tsx';
import { formatCount } from '../number-format.ts';
import { FirstPrediction } from './first-prediction.tsx';
import type { Ready } from './first-run-metrics.tsx';
import {
  featuresOf,
  HEAD_BYTES,
  manifestOf,
  problemOf,
  readCsv,
  requestOf,
  type Table,
  taskOf,
  withFieldNames,
} from './read-csv.ts';

type Chosen =
  | { readonly kind: 'csv'; readonly file: File; readonly rows: Blob; readonly table: Table }
  | { readonly kind: 'onnx'; readonly file: File };

/** From a file to a first prediction. */
export function FirstRunScreen() {
  const [chosen, setChosen] = useState<Chosen | null>(null);
  const [ready, setReady] = useState<Ready | null>(null);
  const [problem, setProblem] = useState('');

  const choose = async (file: File | undefined) => {
    setProblem('');
    setReady(null);
    setChosen(null);
    if (!file) return;
    if (file.name.endsWith('.onnx')) return setChosen({ kind: 'onnx', file });
    const text = await file.slice(0, HEAD_BYTES).text();
    const table = readCsv(text);
    const why = problemOf(table);
    if (why !== '') return setProblem(`${file.name}: ${why}`);
    setChosen({ kind: 'csv', file, rows: await withFieldNames(file, text, table), table });
  };

  return (
    <Page
      title="A first prediction"
      about="Upload a table to learn from, or a model that is trained already."
    >
      <Steps at={ready ? 2 : chosen ? 1 : 0} />
      {problem !== '' && <Callout tone="bad">{problem}</Callout>}
      <Card title="1. A file">
        <FileDrop name={chosen?.file.name} onFile={(file) => void choose(file)} />
      </Card>
      {chosen && (
        <Card title="2. A version">
          {chosen.kind === 'csv' ? (
            <FromTable key={chosen.file.name} chosen={chosen} onReady={setReady} />
          ) : (
            <FromOnnx key={chosen.file.name} file={chosen.file} onReady={setReady} />
          )}
        </Card>
      )}
      {ready && <FirstPrediction key={ready.model} ready={ready} />}
    </Page>
  );
}

function Steps({ at }: { at: number }) {
  return (
    <ol className="steps bare" aria-label="Steps">
      {['A file', 'A version that is live', 'A prediction'].map((text, index) => (
        <li
          key={text}
          className={index < at ? 'step done' : index === at ? 'step now' : 'step'}
          aria-current={index === at ? 'step' : undefined}
        >
          {text}
        </li>
      ))}
    </ol>
  );
}

function FileDrop({ name, onFile }: { name: string | undefined; onFile: (file: File | undefined) => void }) {
  const drop = (event: DragEvent) => {
    event.preventDefault();
    onFile(event.dataTransfer.files[0]);
  };
  return (
    <label className="drop" onDragOver={(event) => event.preventDefault()} onDrop={drop}>
      <Icon name="file" size={22} />
      <span>{name ?? 'Drop a .csv or .onnx file here, or choose one'}</span>
      <input
        type="file"
        accept=".csv,.onnx"
        className="visually-hidden"
        onChange={(event) => onFile(event.target.files?.[0])}
      />
    </label>
  );
}

function nameOf(file: File): string {
  const name = file.name
    .replace(/\.[a-z]+$/i, '')
    .toLowerCase()
    .replaceAll(/[^a-z0-9_-]+/g, '-')
    .replaceAll(/^[-_]+|[-_]+$/g, '');
  return name.slice(0, 60) || 'first-model';
}

interface Uploaded {
  readonly model: string;
  readonly version: number;
  readonly metrics?: Readonly<Record<string, number>>;
}

/** Uploads, then makes the version live; tells what goes wrong. */
function useUpload(onReady: (ready: Ready) => void) {
  const client = useQueryClient();
  const [busy, setBusy] = useState('');
  const [problem, setProblem] = useState('');
  const run = async (words: string, send: () => Promise<Uploaded>, request: Ready['request']) => {
    setProblem('');
    setBusy(words);
    try {
      const { model, version, metrics } = await send();
      setBusy('Making it live…');
      await post(`/v1/models/${model}/rollouts`, {
        version,
        actor: 'console',
        reason: 'first version',
        mode: 'at_once',
      });
      onReady({ model, version, metrics: metrics ?? {}, request });
      await client.invalidateQueries();
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    } finally {
      setBusy('');
    }
  };
  return { busy, problem, run };
}

function FromTable({
  chosen: { file, rows, table },
  onReady,
}: {
  chosen: Extract<Chosen, { kind: 'csv' }>;
  onReady: (ready: Ready) => void;
}) {
  const candidates = table.columns.filter((column) => taskOf(column) !== null);
  const last = candidates.at(-1);
  const [name, setName] = useState(nameOf(file));
  const [labelName, setLabelName] = useState(last?.name ?? '');
  const { busy, problem, run } = useUpload(onReady);
  const label = candidates.find((column) => column.name === labelName);
  if (!label) return <Callout tone="bad">No column of this file can be predicted.</Callout>;
  const features = featuresOf(table, label);
  const leftOut = table.columns
    .filter((column) => column !== label && !features.includes(column))
    .map(({ name: field, title }) => title || field);
  const train = () => {
    const manifest = toBase64Url(manifestOf(name, table, label));
    const query = new URLSearchParams({ label: label.name, manifest });
    const path = `/v1/models/first-version?${query}`;
    void run(
      'Training…',
      () => upload<Uploaded>(path, rows, 'application/octet-stream'),
      requestOf(table, label),
    );
  };
  return (
    <div className="stack">
      <div className="grid two">
        <div className="field">
          <label htmlFor="first-name">Name of the model</label>
          <input
            id="first-name"
            className="input"
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
        </div>
        <div className="field">
          <label htmlFor="first-label">Column to predict</label>
          <select
            id="first-label"
            className="input"
            value={label.name}
            onChange={(event) => setLabelName(event.target.value)}
          >
            {candidates.map((column) => (
              <option key={column.name} value={column.name}>
                {column.title || column.name}
              </option>
            ))}
          </select>
          <span className="help">
            {taskOf(label)}, learnt from {features.length} of {table.columns.length - 1} columns
            {leftOut.length > 0 && `; left out: ${leftOut.join(', ')}`}
          </span>
        </div>
      </div>
      <div className="grid stats boxed">
        {features.slice(0, 8).map((column) => (
          <Stat
            key={column.name}
            label={column.title || column.name}
            value={
              column.kind === 'number' ? Number(column.mean.toPrecision(3)) : formatCount(column.distinct)
            }
            hint={column.kind === 'number' ? 'mean' : 'categories'}
          />
        ))}
      </div>
      {problem !== '' && <Callout tone="bad">{problem}</Callout>}
      <div>
        <ActionButton className="button primary" disabled={busy !== ''} onClick={train}>
          {busy || 'Train the first version'}
        </ActionButton>
      </div>
    </div>
  );
}

function FromOnnx({ file, onReady }: { file: File; onReady: (ready: Ready) => void }) {
  const [name, setName] = useState(nameOf(file));
  const { busy, problem, run } = useUpload(onReady);
  const send = () =>
    upload<Uploaded>(`/v1/console/models/${encodeURIComponent(name)}/onnx`, file, 'application/onnx');
  return (
    <div className="stack">
      <div className="field">
        <label htmlFor="first-name">Name of the model</label>
        <input
          id="first-name"
          className="input"
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
        <span className="help">
          It is served as it is, tensors in and tensors out. A model.yaml adds features and a loop.
        </span>
      </div>
      {problem !== '' && <Callout tone="bad">{problem}</Callout>}
      <div>
        <ActionButton
          className="button primary"
          disabled={busy !== ''}
          onClick={() => void run('Uploading…', send, null)}
        >
          {busy || 'Upload and make it live'}
        </ActionButton>
      </div>
    </div>
  );
}

function toBase64Url(text: string): string {
  const bytes = new TextEncoder().encode(text);
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');
}
