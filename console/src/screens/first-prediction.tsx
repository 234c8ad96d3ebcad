import { useEffect, useState } from 'react';
import { Link } from 'wouter';
import { get, post } from '../api/http.ts';
import { ActionButton } from '../components/action-button.tsx';
import { Card, Stat } from '../components/card.tsx';
import { Callout } from '../components/states.tsx';
import { formatMetric } from '../number-format.ts';
import { Metrics, type Ready } from './first-run-metrics.tsx';

interface Answered {
  readonly prediction_id?: string;
  readonly decision?: { readonly label: string; readonly score: number };
  readonly outputs?: readonly {
    readonly name: string;
    readonly shape: readonly number[];
    readonly data: readonly unknown[];
  }[];
}

interface Tensors {
  readonly inputs: readonly {
    readonly name: string;
    readonly datatype: string;
    readonly shape: readonly number[];
  }[];
}

/** Asks the version that has just become live. */
export function FirstPrediction({ ready }: { ready: Ready }) {
  const base = `/v1/console/models/${ready.model}`;
  const [text, setText] = useState(
    ready.request === null ? '' : JSON.stringify({ request: ready.request }, null, 2),
  );
  const [answered, setAnswered] = useState<Answered | null>(null);
  const [problem, setProblem] = useState('');
  const [busy, setBusy] = useState(false);

  useEffect(() => {
    if (ready.request !== null) return;
    untilReady(() => get<Tensors>(`${base}/tensors`)).then(
      ({ inputs }) => setText(JSON.stringify({ inputs: inputs.map(exampleOf) }, null, 2)),
      (error: unknown) => setProblem(error instanceof Error ? error.message : String(error)),
    );
  }, [base, ready.request]);

  const ask = async () => {
    setProblem('');
    setBusy(true);
    try {
      const path = ready.request === null ? `${base}/infer` : `${base}/predict`;
      const body = JSON.parse(text) as unknown;
      setAnswered(await untilReady(() => post<Answered>(path, body)));
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    } finally {
      setBusy(false);
    }
  };

  return (
    <Card title="3. A prediction">
      <div className="stack">
        <Callout tone="good">
          Version {ready.version} of {ready.model} is going live.
        </Callout>
        <Metrics metrics={ready.metrics} />
        {ready.refused > 0 && (
          <Callout tone="warn">
            {ready.refused} rows were not used: {ready.problems.slice(0, 3).join('; ')}
          </Callout>
        )}
        <div className="field">
          <label htmlFor="first-request">Request</label>
          <textarea
            id="first-request"
            className="input mono"
            rows={10}
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
        </div>
        {problem !== '' && <Callout tone="bad">{problem}</Callout>}
        <div>
          <ActionButton
            needs="predict"
            className="button primary"
            disabled={busy || text === ''}
            onClick={() => void ask()}
          >
            {busy ? 'Asking…' : 'Predict'}
          </ActionButton>
        </div>
        {answered && <AnswerView answered={answered} model={ready.model} />}
      </div>
    </Card>
  );
}

function AnswerView({ answered, model }: { answered: Answered; model: string }) {
  return (
    <div className="stack" role="status">
      <div className="grid stats boxed">
        {answered.decision && (
          <>
            <Stat label="Answer" value={answered.decision.label || 'score'} />
            <Stat label="Score" value={formatMetric(answered.decision.score)} />
          </>
        )}
        {(answered.outputs ?? []).map((output) => (
          <Stat
            key={output.name}
            label={`${output.name} [${output.shape.join(', ')}]`}
            value={output.data.slice(0, 4).map(String).join(' ')}
          />
        ))}
      </div>
      <div className="row">
        {answered.prediction_id !== undefined && (
          <Link href={`/predictions/${answered.prediction_id}`} className="button">
            Its story
          </Link>
        )}
        <Link href={`/models/${model}`} className="button">
          The model's loop
        </Link>
      </div>
    </div>
  );
}

/** Ones in the smallest shape that fits. */
function exampleOf({ name, datatype, shape }: Tensors['inputs'][number]) {
  const concrete = shape.map((size) => (size > 0 ? size : 1));
  const count = concrete.reduce((product, size) => product * size, 1);
  return { name, datatype, shape: concrete, data: Array.from({ length: Math.min(count, 4096) }, () => 1) };
}

const TRIES = 20;
const BETWEEN_MS = 300;

/** The services learn of a new version within a second or so. */
async function untilReady<T>(ask: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await ask();
    } catch (error) {
      if (
        tries === TRIES ||
        !(
          error instanceof Error &&
          /not (known|registered|ready|live|found)|no live|has no/i.test(error.message)
        )
      )
        throw error;
      await new Promise((resolve) => setTimeout(resolve, BETWEEN_MS));
    }
  }
}
