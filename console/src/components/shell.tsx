import { useQueryClient } from '@tanstack/react-query';
import { type ReactNode, useEffect, useState } from 'react';
import { Link, useLocation } from 'wouter';
import { remove } from '../api/http.ts';
import { useConnected } from '../api/live-updates.ts';
import { useOverview } from '../api/queries.ts';
import type { ModelOverview, Session } from '../api/types.ts';
import { useMay } from '../permissions.tsx';
import { chooseTheme, useTheme } from '../theme.ts';
import { Icon, type IconName } from './icon.tsx';

/** The frame around every screen: where one can go, who one is. */
export function Shell({ session, children }: { session: Session; children: ReactNode }) {
  const [open, setOpen] = useState(false);
  const [location] = useLocation();
  // biome-ignore lint/correctness/useExhaustiveDependencies: going somewhere closes the menu
  useEffect(() => setOpen(false), [location]);
  return (
    <>
      <a className="skip" href="#content">
        Skip to content
      </a>
      <div className="shell">
        <header className="topbar">
          <Brand />
          <button
            type="button"
            className="button quiet icon"
            aria-label="Menu"
            aria-expanded={open}
            onClick={() => setOpen(!open)}
          >
            <Icon name="menu" size={18} />
          </button>
        </header>
        {open && (
          <button
            type="button"
            className="scrim"
            aria-label="Close the menu"
            onClick={() => setOpen(false)}
          />
        )}
        <Sidebar session={session} open={open} />
        <main className="main" id="content" tabIndex={-1}>
          {children}
        </main>
      </div>
    </>
  );
}

function Brand() {
  return (
    <Link href="/" className="brand">
      <Icon name="loop" size={20} />
      Hotloop
    </Link>
  );
}

function Sidebar({ session, open }: { session: Session; open: boolean }) {
  const [location] = useLocation();
  const overview = useOverview();
  const models = overview.data ?? [];
  const mayOperate = useMay('operate');
  return (
    <nav className={open ? 'sidebar open' : 'sidebar'} aria-label="Console">
      <Brand />
      <div className="nav">
        <NavLink href="/" icon="home" current={location === '/'}>
          Overview
        </NavLink>
        <NavLink href="/incidents" icon="alert" current={location.startsWith('/incidents')}>
          Incidents
        </NavLink>
        <NavLink href="/batch" icon="clock" current={location === '/batch'}>
          Batch
        </NavLink>
        {mayOperate && (
          <NavLink href="/new" icon="plus" current={location === '/new'}>
            New model
          </NavLink>
        )}
      </div>
      {models.length > 0 && (
        <div className="nav">
          <span className="nav-title">Models</span>
          {models.map((entry) => (
            <ModelLink key={entry.model.name} entry={entry} location={location} />
          ))}
        </div>
      )}
      <div className="sidebar-end">
        <Connection />
        <ThemeButton />
        {!mayOperate && (
          <span className="nav-link">
            <span className="dot" />
            <span className="grow">Read only</span>
          </span>
        )}
        {session.loginRequired && <LogoutButton subject={session.subject} />}
      </div>
    </nav>
  );
}

function NavLink({
  href,
  icon,
  current,
  children,
}: {
  href: string;
  icon: IconName;
  current: boolean;
  children: ReactNode;
}) {
  return (
    <Link href={href} className="nav-link" aria-current={current ? 'page' : undefined}>
      <Icon name={icon} />
      <span className="grow">{children}</span>
    </Link>
  );
}

function ModelLink({ entry, location }: { entry: ModelOverview; location: string }) {
  const { name, liveVersion } = entry.model;
  const href = `/models/${name}`;
  const current = location === href || location.startsWith(`${href}/`);
  return (
    <Link href={href} className="nav-link" aria-current={current ? 'page' : undefined}>
      <span className={`dot ${toneOf(entry)}`} />
      <span className="grow">{name}</span>
      <span className="version">{liveVersion > 0 ? `v${liveVersion}` : ''}</span>
    </Link>
  );
}

export function toneOf({ model, attention }: ModelOverview): string {
  if (attention.some(({ level }) => level === 'critical')) return 'bad';
  if (attention.some(({ level }) => level === 'warning')) return 'warn';
  return model.liveVersion > 0 ? 'good' : '';
}

function Connection() {
  const connected = useConnected();
  return (
    <span className="nav-link" role="status">
      <span className={`dot ${connected ? 'good' : 'warn'}`} />
      <span className="grow">{connected ? 'Live' : 'Connecting…'}</span>
    </span>
  );
}

function ThemeButton() {
  const other = useTheme() === 'dark' ? 'light' : 'dark';
  return (
    <button type="button" className="nav-link button-reset" onClick={() => chooseTheme(other)}>
      <Icon name={other === 'dark' ? 'moon' : 'sun'} />
      <span className="grow">{other === 'dark' ? 'Dark theme' : 'Light theme'}</span>
    </button>
  );
}

function LogoutButton({ subject }: { subject: string }) {
  const client = useQueryClient();
  const leave = async () => {
    await remove('/v1/session');
    client.clear();
    location.assign('/');
  };
  return (
    <button type="button" className="nav-link button-reset" onClick={() => void leave()}>
      <Icon name="exit" />
      <span className="grow">Log out {subject}</span>
    </button>
  );
}
