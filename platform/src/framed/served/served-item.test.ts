import { describe, expect, it } from 'vitest';
import type { CallContext } from '../../grpc/call-context.ts';
import { DeadlineWheel } from '../deadline-wheel.ts';
import { ServedItem } from './served-item.ts';

const servedItem = (timeoutMs = 60_000) =>
  new ServedItem({}, 1, performance.now() + timeoutMs, {} as CallContext, new DeadlineWheel());

describe('an item at the server', () => {
  it('notifies all listeners of its cancellation, once', () => {
    const { cancellation } = servedItem();
    const item = servedItem();
    const told: string[] = [];
    item.cancellation.addEventListener('abort', () => told.push('first'), { once: true });
    item.cancellation.addEventListener('abort', () => told.push('second'), { once: true });
    expect(item.cancellation.aborted).toBe(false);
    item.cancel();
    item.cancel();
    expect(told).toEqual(['first', 'second']);
    expect(item.cancellation.aborted).toBe(true);
    expect(cancellation.aborted).toBe(false);
  });

  it('does not notify removed listeners, or listeners added too late', () => {
    const item = servedItem();
    const told: string[] = [];
    const gone = () => told.push('gone');
    item.cancellation.addEventListener('abort', gone);
    item.cancellation.addEventListener('abort', () => told.push('there'));
    item.cancellation.removeEventListener('abort', gone);
    item.cancellation.removeEventListener('abort', gone);
    item.cancel();
    item.cancellation.addEventListener('abort', () => told.push('late'));
    expect(told).toEqual(['there']);
  });

  it('also reports it through its signal', () => {
    const item = servedItem();
    const { signal } = item;
    item.cancel();
    expect(signal.aborted).toBe(true);
    expect(servedItem(0).signal.reason).toMatchObject({ name: 'TimeoutError' });
  });
});
