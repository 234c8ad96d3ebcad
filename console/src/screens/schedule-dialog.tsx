import { type FormEvent, useEffect, useId, useRef, useState } from 'react';
import { type CatchUp, useScheduleChange } from '../api/batch-queries.ts';
import { useOverview } from '../api/queries.ts';
import { Callout } from '../components/states.tsx';

const TIMES = [
  ['cron', 'At times (cron)'],
  ['every', 'Every so often'],
] as const;

/** Creates a schedule. The server validates it, and its error message is shown unchanged. */
export function ScheduleDialog({ taken, onClose }: { taken: readonly string[]; onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  const models = (useOverview().data ?? []).filter(({ model }) => model.liveVersion > 0);
  const change = useScheduleChange();
  const [kind, setKind] = useState<'cron' | 'every'>('cron');
  const [problem, setProblem] = useState('');

  useEffect(() => dialog.current?.showModal(), []);

  const save = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const text = (name: string) => String(form.get(name) ?? '').trim();
    const name = text('name');
    setProblem('');
    if (taken.includes(name)) return setProblem(`There is a schedule ${name} already.`);
    try {
      await change.mutateAsync({
        kind: 'put',
        name,
        spec: {
          ...{ model: text('model'), version: 'live', source: text('source'), sink: text('sink') },
          ...(kind === 'cron' ? { cron: text('when') } : { every: text('when') }),
          ...{ timezone: text('timezone') || 'UTC', catch_up: text('catch_up') as CatchUp, enabled: true },
        },
      });
      onClose();
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    }
  };

  const field = (name: string, label: string, placeholder: string, value = '') => (
    <div className="field">
      <label htmlFor={`${id}-${name}`}>{label}</label>
      <input
        id={`${id}-${name}`}
        name={name}
        className="input"
        required
        placeholder={placeholder}
        defaultValue={value}
      />
    </div>
  );

  return (
    <dialog ref={dialog} aria-labelledby={`${id}-title`} onClose={onClose}>
      <form onSubmit={(event) => void save(event)}>
        <div className="dialog-body">
          <h2 id={`${id}-title`}>New schedule</h2>
          {field('name', 'Name', 'nightly')}
          <div className="field">
            <label htmlFor={`${id}-model`}>Model</label>
            <select id={`${id}-model`} name="model" className="input" required>
              {models.map(({ model }) => (
                <option key={model.name}>{model.name}</option>
              ))}
            </select>
            <span className="help">Its live version at the time of each run.</span>
          </div>
          {field('source', 'Source', '/data/sessions.parquet, a folder, or s3://bucket/prefix')}
          {field('sink', 'Written to', '/data/scores/date={date}')}
          <div className="grid two">
            <div className="field">
              <label htmlFor={`${id}-kind`}>When</label>
              <select
                id={`${id}-kind`}
                className="input"
                value={kind}
                onChange={(event) => setKind(event.target.value === 'every' ? 'every' : 'cron')}
              >
                {TIMES.map(([value, text]) => (
                  <option key={value} value={value}>
                    {text}
                  </option>
                ))}
              </select>
            </div>
            {kind === 'cron' ? field('when', 'Cron', '30 6 * * *') : field('when', 'Every', '6h')}
          </div>
          {kind === 'cron' && field('timezone', 'Time zone', 'Europe/Berlin', 'UTC')}
          <div className="field">
            <label htmlFor={`${id}-catch`}>Times that passed while nothing ran</label>
            <select id={`${id}-catch`} name="catch_up" className="input" defaultValue="one">
              <option value="one">one run for all of them</option>
              <option value="all">a run for each</option>
              <option value="skip">none</option>
            </select>
          </div>
          {problem !== '' && <Callout tone="bad">{problem}</Callout>}
        </div>
        <div className="dialog-foot">
          <button type="button" className="button" onClick={onClose} disabled={change.isPending}>
            Cancel
          </button>
          <button type="submit" className="button primary" disabled={change.isPending || models.length === 0}>
            {change.isPending ? 'Saving…' : 'Schedule it'}
          </button>
        </div>
      </form>
    </dialog>
  );
}
