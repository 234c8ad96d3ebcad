import { expect, it } from 'vitest';
import { openMetrics } from './metrics.ts';
import { Tallies } from './tallies.ts';

it('counts into cumulative buckets, with names mapped from OpenTelemetry to Prometheus', async () => {
  const tallies = new Tallies();
  const durations = tallies.histogram({
    ...{ name: 'a.duration', description: 'A', unit: 's', labels: ['x.y'], boundaries: [0.1, 1] },
  });
  for (const seconds of [0.05, 0.1, 0.5, 7]) durations.record(seconds, 'q"\\\n');
  tallies.counter({ name: 'b', description: 'B', unit: '{row}', labels: [] }).add(3);
  expect(await tallies.text(false)).toBe(
    [
      '# HELP a_duration_seconds A',
      '# TYPE a_duration_seconds histogram',
      'a_duration_seconds_bucket{x_y="q\\"\\\\\\n",le="0.1"} 2',
      'a_duration_seconds_bucket{x_y="q\\"\\\\\\n",le="1"} 3',
      'a_duration_seconds_bucket{x_y="q\\"\\\\\\n",le="+Inf"} 4',
      'a_duration_seconds_sum{x_y="q\\"\\\\\\n"} 7.65',
      'a_duration_seconds_count{x_y="q\\"\\\\\\n"} 4',
      '# HELP b_total B',
      '# TYPE b_total counter',
      'b_total 3',
      '',
    ].join('\n'),
  );
});

it('keeps a bounded number of label sets', async () => {
  const tallies = new Tallies();
  const counter = tallies.counter({ name: 'c', description: 'C', unit: '1', labels: ['user'] });
  for (let user = 0; user < 5_000; user++) counter.add(1, `u${user}`);
  const lines = (await tallies.text(false)).split('\n').filter((line) => line.startsWith('c_total'));
  expect(lines).toHaveLength(2_001);
  expect(lines).toContain('c_total{user="other"} 3000');
});

it('omits a gauge that fails, and shows the rest in both formats', async () => {
  await using metrics = openMetrics('test');
  metrics.meter.createCounter('library.things').add(2);
  const gauge = metrics.tallies.gauge({ name: 'd', description: 'D', unit: 'By', labels: ['n'] });
  gauge.observe(() => Promise.reject(new Error('away')));
  gauge.observe(() => [[['one'], 5]]);
  const plain = await metrics.scrape();
  expect(plain.text).toContain('d_bytes{n="one"} 5\n');
  const open = await metrics.scrape('application/openmetrics-text;version=1.0.0');
  expect(open.contentType).toContain('openmetrics');
  expect(open.text).toMatch(/# TYPE library_things counter\nlibrary_things_total\S* 2/);
  expect(open.text).toMatch(/d_bytes{n="one"} 5\n# EOF\n$/);
});

it('prints only valid exposition text, also for units of the library', async () => {
  await using metrics = openMetrics('test');
  metrics.meter.createGauge('lag', { unit: '{message}' }).record(4);
  metrics.tallies.counter({ name: 'e', description: 'E', unit: '1', labels: [] }).add(1);
  for (const accept of ['', 'application/openmetrics-text']) {
    const { text } = await metrics.scrape(accept);
    expect(text).toMatch(/\n# HELP e(_total)? E\n/);
    // OpenMetrics takes a unit only where the metric's name ends in it.
    if (accept !== '') expect(text).not.toContain('# UNIT');
    for (const line of text.split('\n'))
      expect(line).toMatch(/^(# (HELP|TYPE|UNIT) \w+ .+|# EOF|[a-z]\w*(\{.*\})? \S+( # \{.*\} \S+)?|)$/i);
  }
});
