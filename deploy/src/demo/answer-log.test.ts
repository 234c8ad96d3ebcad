import { describe, expect, it } from 'vitest';
import { AnswerLog, percentile } from './answer-log.ts';
import { describeStatus } from './status-line.ts';

describe('percentile', () => {
  it('is the smallest value that at least the given share does not exceed', () => {
    const values = Array.from({ length: 100 }, (_, index) => index + 1);
    expect([percentile(values, 0.5), percentile(values, 0.99), percentile(values, 1)]).toEqual([50, 99, 100]);
    expect(percentile([7], 0.99)).toBe(7);
    expect(percentile([], 0.5)).toBeNaN();
  });
});

describe('AnswerLog', () => {
  it('counts predictions that were due in a span, answered and failed, even if the answer came late', () => {
    const log = new AnswerLog();
    const tickets = [0, 100, 200, 300].map((dueAt) => log.open(dueAt));
    log.addAnswer(tickets[1]!, { dueAt: 100, latencyMs: 5, version: 1 }, [0.2], [0]);
    log.addFailure(tickets[2]!);
    expect(log.isSettledBefore(300)).toBe(false);
    log.addAnswer(tickets[0]!, { dueAt: 0, latencyMs: 900, version: 1 }, [0.1], [0]);
    expect(log.isSettledBefore(300)).toBe(true);
    expect(log.isSettledBefore(301)).toBe(false);
    log.addAnswer(tickets[3]!, { dueAt: 300, latencyMs: 7, version: 2 }, [0.1], [0]);
    expect(log.between(0, 300)).toMatchObject({ answered: 2, failed: 1, p50Ms: 5, p99Ms: 900 });
    expect([log.answered, log.failed, log.firstDueOf(2), log.firstDueOf(3)]).toEqual([3, 1, 300, undefined]);
  });

  it('gives the rolling AUC of only the newest version', () => {
    const log = new AnswerLog();
    const add = (version: number, score: number, label: number) => {
      const dueAt = 0;
      log.addAnswer(log.open(dueAt), { dueAt, latencyMs: 1, version }, [score], [label]);
    };
    for (let index = 0; index < 600; index += 1) add(1, index % 2 ? 0.1 : 0.9, index % 2);
    expect(log.recentAuc()).toBe(0);
    add(2, 0.5, 1);
    expect(log.recentAuc()).toBeNaN();
    for (let index = 0; index < 600; index += 1) add(2, index % 2 ? 0.9 : 0.1, index % 2);
    // A late answer of the previous version does not count.
    for (let index = 0; index < 600; index += 1) add(1, index % 2 ? 0.1 : 0.9, index % 2);
    expect(log.recentAuc()).toBeGreaterThan(0.99);
  });
});

describe('describeStatus', () => {
  const status = {
    elapsedMs: 12_345,
    perSecond: 249.6,
    p50Ms: 2.14,
    p99Ms: 8.9,
    liveVersion: 1,
    failed: 0,
    labels: 12_345,
    auc: 0.71234,
    retrainer: 'training 45%',
  };

  it('is one line that a person can follow', () => {
    expect(describeStatus(status)).toMatchInlineSnapshot(
      `" 12 s | 250/s | p50 2.1 p99 8.9 ms | live v1, AUC 0.712 | 12,345 labels | training 45%"`,
    );
    expect(
      describeStatus({
        ...status,
        liveVersion: 0,
        p50Ms: Number.NaN,
        p99Ms: Number.NaN,
        auc: Number.NaN,
        failed: 2,
      }),
    ).toMatchInlineSnapshot(
      `" 12 s | 250/s | p50 - p99 - ms | no version yet | 2 FAILED | 12,345 labels | training 45%"`,
    );
  });
});
