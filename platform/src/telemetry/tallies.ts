/**
 * Counters and histograms that cost the hot path one addition: plain fields and arrays that are read at a scrape.
 * Names are OpenTelemetry's; the text follows OpenTelemetry's rules for Prometheus (dots become underscores, the unit
 * and `_total` are appended). Each instrument keeps a bounded number of label sets; further sets share one, labelled
 * `other`.
 */
export class Tallies {
  readonly #families = new Map<string, Family>();

  counter(options: InstrumentOptions): Counters {
    return this.#family(options, 'counter', (family) => new Counters(family));
  }

  histogram(options: InstrumentOptions & { readonly boundaries: readonly number[] }): Histograms {
    return this.#family(options, 'histogram', (family) => new Histograms(family, options.boundaries));
  }

  /** A gauge whose values are read at each scrape. */
  gauge(options: InstrumentOptions): Gauges {
    return this.#family(options, 'gauge', (family) => new Gauges(family));
  }

  /**
   * All metrics in Prometheus' text format.
   *
   * @param openMetrics OpenMetrics 1.0, the format with exemplars; the caller appends `# EOF`.
   */
  async text(openMetrics: boolean): Promise<string> {
    const parts = await Promise.all([...this.#families.values()].map((family) => family.text(openMetrics)));
    return parts.join('');
  }

  #family<T extends Family>(options: InstrumentOptions, kind: Kind, create: (shape: Shape) => T): T {
    // Services that share a process share its instruments.
    const known = this.#families.get(options.name);
    if (known) return known as T;
    const family = create(new Shape(options, kind));
    this.#families.set(options.name, family);
    return family;
  }
}

export interface InstrumentOptions {
  /** Such as rpc.server.call.duration. */
  readonly name: string;
  readonly description: string;
  /** As in OpenTelemetry: s, By, {row}. */
  readonly unit: string;
  /** Names of the labels, such as hotloop.model. */
  readonly labels: readonly string[];
  /** Exact name in the text, for dashboards of other products. */
  readonly textName?: string;
}

export type LabelValue = string | number;
export type Reading = readonly [labels: readonly LabelValue[], value: number];
type Kind = 'counter' | 'histogram' | 'gauge';

/** Seconds; from 100 microseconds to a minute. */
export const DURATION_BOUNDARIES = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60,
] as const;

const MAX_LABEL_SETS = 2000;
const OTHER = 'other';
const UNIT_SUFFIXES: Readonly<Record<string, string>> = { s: '_seconds', By: '_bytes', us: '', '1': '' };

interface Family {
  text(openMetrics: boolean): string | Promise<string>;
}

class Shape {
  readonly #options: InstrumentOptions;
  readonly #kind: Kind;
  readonly #base: string;
  readonly #labels: readonly string[];

  constructor(options: InstrumentOptions, kind: Kind) {
    this.#options = options;
    this.#kind = kind;
    this.#base =
      options.textName ??
      options.name.replaceAll(/[^a-zA-Z0-9_]/g, '_') + (UNIT_SUFFIXES[options.unit] ?? '');
    this.#labels = options.labels.map((label) => label.replaceAll(/[^a-zA-Z0-9_]/g, '_'));
  }

  get labelCount(): number {
    return this.#labels.length;
  }

  head(openMetrics: boolean): string {
    // OpenMetrics does not accept a counter whose name lacks `_total`, as names of other products may.
    const isForeign = this.#options.textName !== undefined && this.#kind === 'counter';
    const kind = openMetrics && isForeign ? 'unknown' : this.#kind;
    const name = openMetrics ? this.#base : this.sample;
    return `# HELP ${name} ${this.#options.description.replaceAll('\n', ' ')}\n# TYPE ${name} ${kind}\n`;
  }

  /** Name of the samples of a counter or gauge, and name prefix of those of a histogram. */
  get sample(): string {
    return this.#kind === 'counter' && this.#options.textName === undefined
      ? `${this.#base}_total`
      : this.#base;
  }

  line(suffix: string, values: readonly LabelValue[], value: number, more = ''): string {
    const pairs = this.#labels.map((label, at) => `${label}="${escaped(String(values[at] ?? ''))}"`);
    if (more !== '') pairs.push(more);
    return `${this.sample}${suffix}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${numberText(value)}`;
  }
}

/** One member for each set of labels. */
class Members<T> {
  readonly #byKey = new Map<string, { readonly labels: readonly LabelValue[]; readonly member: T }>();
  readonly #create: () => T;
  readonly #width: number;
  #last: { readonly labels: readonly LabelValue[]; readonly member: T } | undefined;

  constructor(width: number, create: () => T) {
    this.#width = width;
    this.#create = create;
  }

  of(labels: readonly LabelValue[]): T {
    // Mostly the same as before, and to compare costs far less than to join.
    const last = this.#last;
    if (last && labels.every((label, at) => label === last.labels[at])) return last.member;
    const key = labels.join('\u0000');
    const known = this.#byKey.get(key);
    if (known) {
      this.#last = known;
      return known.member;
    }
    if (this.#byKey.size >= MAX_LABEL_SETS && labels.some((label) => label !== OTHER))
      return this.of(Array.from({ length: this.#width }, () => OTHER));
    const member = this.#create();
    this.#byKey.set(key, { labels, member });
    return member;
  }

  values(): Iterable<{ readonly labels: readonly LabelValue[]; readonly member: T }> {
    return this.#byKey.values();
  }
}

export interface Count {
  value: number;
}

export class Counters implements Family {
  readonly #shape: Shape;
  readonly #members: Members<Count>;

  constructor(shape: Shape) {
    this.#shape = shape;
    this.#members = new Members(shape.labelCount, () => ({ value: 0 }));
  }

  /** The count for these labels. A hot path keeps it and adds to its `value`. */
  of(...labels: readonly LabelValue[]): Count {
    return this.#members.of(labels);
  }

  add(amount: number, ...labels: readonly LabelValue[]): void {
    this.#members.of(labels).value += amount;
  }

  text(openMetrics: boolean): string {
    const lines = [...this.#members.values()].map(({ labels, member }) =>
      this.#shape.line('', labels, member.value),
    );
    return lines.length === 0 ? '' : `${this.#shape.head(openMetrics)}${lines.join('\n')}\n`;
  }
}

/** Values counted per bucket, with the latest prediction in each as exemplar: its id is its trace id. */
export class Distribution {
  readonly #boundaries: readonly number[];
  readonly #counts: Float64Array;
  readonly #exemplars: (string | undefined)[];
  readonly #exemplarValues: Float64Array;
  #sum = 0;

  constructor(boundaries: readonly number[]) {
    this.#boundaries = boundaries;
    this.#counts = new Float64Array(boundaries.length + 1);
    this.#exemplars = Array.from({ length: boundaries.length + 1 });
    this.#exemplarValues = new Float64Array(boundaries.length + 1);
  }

  record(value: number, predictionId?: string): void {
    let at = 0;
    while (at < this.#boundaries.length && value > this.#boundaries[at]!) at++;
    this.#counts[at]!++;
    this.#sum += value;
    if (predictionId === undefined) return;
    this.#exemplars[at] = predictionId;
    this.#exemplarValues[at] = value;
  }

  lines(shape: Shape, labels: readonly LabelValue[], openMetrics: boolean): string[] {
    let count = 0;
    const buckets = Array.from(this.#counts, (own, at) => {
      count += own;
      const bound = this.#boundaries[at];
      const line = shape.line(
        '_bucket',
        labels,
        count,
        `le="${bound === undefined ? '+Inf' : numberText(bound)}"`,
      );
      const id = this.#exemplars[at];
      if (!openMetrics || id === undefined) return line;
      return `${line} # {trace_id="${id.replaceAll('-', '')}"} ${numberText(this.#exemplarValues[at]!)}`;
    });
    return [...buckets, shape.line('_sum', labels, this.#sum), shape.line('_count', labels, count)];
  }
}

export class Histograms implements Family {
  readonly #shape: Shape;
  readonly #members: Members<Distribution>;

  constructor(shape: Shape, boundaries: readonly number[]) {
    this.#shape = shape;
    this.#members = new Members(shape.labelCount, () => new Distribution(boundaries));
  }

  of(...labels: readonly LabelValue[]): Distribution {
    return this.#members.of(labels);
  }

  record(value: number, ...labels: readonly LabelValue[]): void {
    this.#members.of(labels).record(value);
  }

  text(openMetrics: boolean): string {
    const lines = [...this.#members.values()].flatMap(({ labels, member }) =>
      member.lines(this.#shape, labels, openMetrics),
    );
    return lines.length === 0 ? '' : `${this.#shape.head(openMetrics)}${lines.join('\n')}\n`;
  }
}

type Read = () => Iterable<Reading> | Promise<Iterable<Reading>>;

export class Gauges implements Family {
  readonly #shape: Shape;
  readonly #reads = new Set<Read>();

  constructor(shape: Shape) {
    this.#shape = shape;
  }

  /**
   * `read` is called at each scrape and must be fast; if it fails, the gauge is omitted. Call the returned function
   * to remove it.
   */
  observe(read: Read): () => void {
    this.#reads.add(read);
    return () => this.#reads.delete(read);
  }

  async text(openMetrics: boolean): Promise<string> {
    const settled = await Promise.allSettled([...this.#reads].map(async (read) => [...(await read())]));
    const readings = settled.flatMap((result) => (result.status === 'fulfilled' ? result.value : []));
    const lines = readings
      .slice(0, MAX_LABEL_SETS)
      .map(([labels, value]) => this.#shape.line('', labels, value));
    return lines.length === 0 ? '' : `${this.#shape.head(openMetrics)}${lines.join('\n')}\n`;
  }
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  if (value === Number.NEGATIVE_INFINITY) return '-Inf';
  return String(value);
}
