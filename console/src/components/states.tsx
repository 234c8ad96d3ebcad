import type { UseQueryResult } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { ApiError } from '../api/http.ts';
import { Icon, type IconName } from './icon.tsx';

export function Loading({ lines = 4 }: { lines?: number }) {
  return (
    <div className="card-body" role="status">
      <span className="visually-hidden">Loading</span>
      {Array.from({ length: lines }, (_, line) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the lines are alike
        <div key={line} className="skeleton line" />
      ))}
    </div>
  );
}

export function Empty({
  title,
  icon = 'empty',
  children,
  action,
}: {
  title: string;
  icon?: IconName;
  children?: ReactNode;
  action?: ReactNode;
}) {
  return (
    <div className="state">
      <span className="glyph">
        <Icon name={icon} size={20} />
      </span>
      <span className="title">{title}</span>
      {children !== undefined && <p>{children}</p>}
      {action}
    </div>
  );
}

export function Failure({ error, retry }: { error: unknown; retry?: () => void }) {
  const message = error instanceof Error ? error.message : String(error);
  const title =
    error instanceof ApiError && error.status === 404
      ? message.endsWith('is not served here')
        ? 'This server does not have it'
        : 'Not found'
      : error instanceof ApiError && error.status === 403
        ? 'Not allowed'
        : 'This could not be loaded';
  return (
    <div className="state" role="alert">
      <span className="glyph">
        <Icon name="alert" size={20} />
      </span>
      <span className="title">{title}</span>
      <p>{message}</p>
      {retry && (
        <button type="button" className="button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}

/** Shows an answer, or that it is on its way, or why it did not come. */
export function Answer<T>({
  query,
  lines,
  children,
}: {
  query: UseQueryResult<T>;
  lines?: number;
  children: (value: T) => ReactNode;
}) {
  if (query.data !== undefined) return <>{children(query.data)}</>;
  if (query.isError) return <Failure error={query.error} retry={() => void query.refetch()} />;
  return <Loading {...(lines === undefined ? {} : { lines })} />;
}

export function Callout({ tone, children }: { tone: 'info' | 'good' | 'warn' | 'bad'; children: ReactNode }) {
  return (
    <div className={`callout ${tone}`} role={tone === 'bad' ? 'alert' : undefined}>
      <Icon name={tone === 'good' ? 'check' : 'alert'} />
      <div>{children}</div>
    </div>
  );
}
