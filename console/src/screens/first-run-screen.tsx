import { type DragEvent, useState } from 'react';
import { upload } from '../api/http.ts';
import { ActionButton } from '../components/action-button.tsx';
import { Card } from '../components/card.tsx';
import { Icon } from '../components/icon.tsx';
import { Page } from '../components/page.tsx';
import { Callout } from '../components/states.tsx';
import { FirstPrediction } from './first-prediction.tsx';
import type { Ready } from './first-run-metrics.tsx';
import { type Uploaded, useUpload } from './first-run-upload.ts';
import { FromTable, ModelName, type Tabular } from './from-table.tsx';
import { HEAD_BYTES, problemOf, shapeOf, tidy } from './tidy-csv.ts';

type Chosen =
  | { readonly kind: 'csv'; readonly table: Tabular }
  | { readonly kind: 'onnx'; readonly file: File };

/** From a file to a first prediction. */
export function FirstRunScreen() {
  const [chosen, setChosen] = useState<Chosen | null>(null);
  const [ready, setReady] = useState<Ready | null>(null);
  const [problem, setProblem] = useState('');
  const [reading, setReading] = useState(false);

  const choose = async (file: File | undefined) => {
    setProblem('');
    setReady(null);
    setChosen(null);
    if (!file) return;
    if (/\.onnx$/i.test(file.name)) return setChosen({ kind: 'onnx', file });
    setReading(true);
    try {
      const head = new Uint8Array(await file.slice(0, HEAD_BYTES).arrayBuffer());
      const shape = shapeOf(head);
      const why = problemOf(shape, head);
      if (why !== '') return setProblem(`${file.name}: ${why}`);
      setChosen({
        kind: 'csv',
        table: { fileName: file.name, name: nameOf(file), shape, tidied: await tidy(file, shape) },
      });
    } catch (error) {
      setProblem(`${file.name} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      setReading(false);
    }
  };

  const chosenName = chosen?.kind === 'onnx' ? chosen.file.name : (chosen?.table.fileName ?? null);
  return (
    <Page
      title="A first prediction"
      about="Upload a table to learn from, or a model that is trained already."
    >
      <Steps at={ready ? 2 : chosen ? 1 : 0} />
      {problem !== '' && <Callout tone="bad">{problem}</Callout>}
      <Card title="1. A file">
        <FileDrop name={reading ? 'Reading…' : chosenName} onFile={(file) => void choose(file)} />
      </Card>
      {chosen && (
        <Card title="2. A version">
          {chosen.kind === 'csv' ? (
            <FromTable key={chosen.table.fileName} table={chosen.table} onReady={setReady} />
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

function FileDrop({ name, onFile }: { name: string | null; onFile: (file: File | undefined) => void }) {
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
        accept=".csv,.tsv,.txt,.onnx"
        className="visually-hidden"
        onChange={({ target }) => {
          onFile(target.files?.[0]);
          // So that the same file, corrected, can be chosen again.
          target.value = '';
        }}
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

function FromOnnx({ file, onReady }: { file: File; onReady: (ready: Ready) => void }) {
  const [name, setName] = useState(nameOf(file));
  const { busy, problem, run } = useUpload(onReady);
  const send = () =>
    upload<Uploaded>(`/v1/console/models/${encodeURIComponent(name)}/onnx`, file, 'application/onnx');
  return (
    <div className="stack">
      <ModelName name={name} onName={setName} />
      <p className="soft small">
        It is served as it is, tensors in and tensors out. A model.yaml adds features and a loop.
      </p>
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
