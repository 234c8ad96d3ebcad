import type { ReactNode } from 'react';
import { useEffect, useRef } from 'react';
import { Link, useLocation } from 'wouter';

/** A screen: its title, what can be done, and its content. */
export function Page({
  title,
  badge,
  about,
  crumbs = [],
  actions,
  children,
}: {
  title: string;
  badge?: ReactNode;
  about?: ReactNode;
  /** [text, path] from the outside in. */
  crumbs?: readonly (readonly [string, string])[];
  actions?: ReactNode;
  children: ReactNode;
}) {
  useEffect(() => {
    document.title = `${title} · Hotloop`;
  }, [title]);
  return (
    <div className="page">
      <header className="page-head">
        <div className="titles">
          {crumbs.length > 0 && (
            <nav className="crumbs" aria-label="Breadcrumb">
              {crumbs.map(([text, href], place) => (
                <span key={href}>
                  {place > 0 && '/ '}
                  <Link href={href}>{text}</Link>
                </span>
              ))}
            </nav>
          )}
          <div className="title-row">
            <h1>{title}</h1>
            {badge}
          </div>
          {about !== undefined && <p className="small">{about}</p>}
        </div>
        {actions !== undefined && <div className="actions">{actions}</div>}
      </header>
      {children}
    </div>
  );
}

const TABS = [
  ['', 'Loop'],
  ['/predictions', 'Predictions'],
  ['/corrections', 'Corrections'],
  ['/runs', 'Runs'],
  ['/rollout', 'Rollout'],
  ['/compare', 'Compare'],
  ['/features', 'Features'],
  ['/ledger', 'Ledger'],
] as const;

/** The screens of one model. */
export function ModelTabs({ model }: { model: string }) {
  const [location] = useLocation();
  const base = `/models/${model}`;
  const current = useRef<HTMLAnchorElement>(null);
  // On a narrow screen the tabs scroll: the current one must be in sight.
  useEffect(() => {
    if (location.startsWith(base)) current.current?.scrollIntoView({ block: 'nearest', inline: 'center' });
  }, [location, base]);
  return (
    <nav className="tabs" aria-label={`Screens of ${model}`}>
      {TABS.map(([path, text]) => (
        <Link
          key={path}
          ref={location === base + path ? current : undefined}
          href={base + path}
          className="tab"
          aria-current={location === base + path ? 'page' : undefined}
        >
          {text}
        </Link>
      ))}
    </nav>
  );
}
