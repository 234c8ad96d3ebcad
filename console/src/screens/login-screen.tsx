import { useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { post } from '../api/http.ts';
import { Icon } from '../components/icon.tsx';
import { Callout } from '../components/states.tsx';

const WORDS: Readonly<Record<string, string>> = {
  expired: 'The login took too long or was begun in another window. Try again.',
  refused: 'The login was refused there.',
  not_taken: 'Your account is known there, but it has no role here. Ask the operator of this platform.',
};

/** @param hasEnded somebody was logged in on this page a moment ago. */
export function LoginScreen({ oidc, hasEnded }: { oidc: boolean; hasEnded: boolean }) {
  const failed = new URLSearchParams(location.search).get('login');
  const page = failed === null ? location.pathname + location.search : location.pathname;
  const client = useQueryClient();
  const [key, setKey] = useState('');
  const [problem, setProblem] = useState(failed === null ? '' : (WORDS[failed] ?? 'The login failed.'));
  const [busy, setBusy] = useState(false);
  const login = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setProblem('');
    try {
      client.setQueryData(['session'], await post('/v1/session', { apiKey: key }));
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
      setBusy(false);
    }
  };
  return (
    <main className="login">
      <form className="card login-card" onSubmit={login}>
        <span className="brand">
          <Icon name="loop" size={22} />
          Hotloop
        </span>
        <div>
          <h1>Log in</h1>
          {hasEnded && (
            <Callout tone="info">
              Your session has ended. Log in again, and you are back on this page.
            </Callout>
          )}
          <p className="soft small">With an API key that may operate or read this platform.</p>
        </div>
        <div className="field">
          <label htmlFor="api-key">API key</label>
          <input
            id="api-key"
            className="input"
            type="password"
            autoComplete="current-password"
            required
            value={key}
            onChange={(event) => setKey(event.target.value)}
          />
        </div>
        {problem !== '' && <Callout tone="bad">{problem}</Callout>}
        <button type="submit" className="button primary" disabled={busy || key.trim() === ''}>
          {busy ? 'Logging in…' : 'Log in'}
        </button>
        {oidc && (
          <a className="button" href={`/v1/session/oidc?page=${encodeURIComponent(page)}`}>
            Log in with your organization
          </a>
        )}
        <p className="tiny faint">The key is kept in a sealed cookie of this browser for twelve hours.</p>
      </form>
    </main>
  );
}
