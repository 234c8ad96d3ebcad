import type { ReactNode } from 'react';

export type Tone = 'neutral' | 'good' | 'warn' | 'bad' | 'info' | 'accent';

export function Badge({
  tone = 'neutral',
  busy = false,
  plain = false,
  children,
}: {
  tone?: Tone;
  busy?: boolean;
  plain?: boolean;
  children: ReactNode;
}) {
  const classes = ['badge', tone, busy ? 'busy' : '', plain ? 'plain' : ''];
  return <span className={classes.filter(Boolean).join(' ')}>{children}</span>;
}

const RUN_TONES: Readonly<Record<string, Tone>> = {
  succeeded: 'good',
  refused: 'warn',
  failed: 'bad',
  cancelled: 'neutral',
};

export function RunBadge({ state }: { state: string }) {
  const tone = RUN_TONES[state];
  return (
    <Badge tone={tone ?? 'info'} busy={tone === undefined}>
      {state}
    </Badge>
  );
}

const VERSION_TONES: Readonly<Record<string, Tone>> = { live: 'good', previous: 'info', candidate: 'accent' };

export function VersionBadge({ state }: { state: string }) {
  return <Badge tone={VERSION_TONES[state] ?? 'neutral'}>{state}</Badge>;
}
