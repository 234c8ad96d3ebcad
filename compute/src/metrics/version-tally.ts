import {
  type Count,
  type Counters,
  type Distribution,
  DURATION_BOUNDARIES,
  type Histograms,
  type Tallies,
} from '@hotloop/platform/telemetry/tallies.ts';
import type { ErrorCode } from '@hotloop/proto/errors.ts';

const ROW_BOUNDARIES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096] as const;
const VERSION_LABELS = ['hotloop.model', 'hotloop.version'] as const;
const TRITON_LABELS = ['model', 'version'] as const;

/** Metric families of compute, under OpenTelemetry names and under the names that Triton's dashboards use. */
interface Families {
  readonly inferences: Counters;
  readonly rows: Counters;
  readonly queue: Histograms;
  readonly run: Histograms;
  readonly whole: Histograms;
  readonly batch: Histograms;
  readonly busy: Counters;
  readonly triton: Readonly<Record<TritonName, Counters>>;
}

const TRITON_METRICS = {
  nv_inference_request_success: 'Number of successful inference requests',
  nv_inference_request_failure: 'Number of failed inference requests',
  nv_inference_count: 'Number of inferences performed, each row of a batch counted',
  nv_inference_exec_count: 'Number of model executions',
  nv_inference_request_duration_us: 'Cumulative inference request duration in microseconds',
  nv_inference_queue_duration_us: 'Cumulative inference queuing duration in microseconds',
  nv_inference_compute_infer_duration_us: 'Cumulative compute inference duration in microseconds',
} as const;
type TritonName = keyof typeof TRITON_METRICS;

function familiesOf(tallies: Tallies): Families {
  const labels = VERSION_LABELS;
  const duration = (name: string, description: string) =>
    tallies.histogram({
      ...{ name, description, unit: 's', labels },
      boundaries: DURATION_BOUNDARIES,
    });
  const triton = (name: TritonName) =>
    tallies.counter({
      ...{ name, textName: name, description: TRITON_METRICS[name], unit: '1', labels: TRITON_LABELS },
    });
  return {
    inferences: tallies.counter({
      ...{ name: 'hotloop.inferences', description: 'Inferences answered, by code', unit: '{inference}' },
      labels: [...labels, 'hotloop.code'],
    }),
    rows: tallies.counter({
      ...{ name: 'hotloop.inference.rows', description: 'Rows answered', unit: '{row}', labels },
    }),
    queue: duration('hotloop.inference.queue.duration', 'Waiting for a runner, and transport to it and back'),
    run: duration('hotloop.inference.run.duration', 'Execution of the model'),
    whole: duration('hotloop.inference.whole.duration', 'Queue time plus run time'),
    // Each run is counted once, however many requests shared it: the processor time that the model costs.
    busy: tallies.counter({
      ...{
        name: 'hotloop.runner.busy',
        description: 'Time in which runners ran the model',
        unit: 's',
        labels,
      },
    }),
    batch: tallies.histogram({
      ...{ name: 'hotloop.batch.size', description: 'Rows of one run of a model', unit: '{row}', labels },
      boundaries: ROW_BOUNDARIES,
    }),
    triton: {
      nv_inference_request_success: triton('nv_inference_request_success'),
      nv_inference_request_failure: triton('nv_inference_request_failure'),
      nv_inference_count: triton('nv_inference_count'),
      nv_inference_exec_count: triton('nv_inference_exec_count'),
      nv_inference_request_duration_us: triton('nv_inference_request_duration_us'),
      nv_inference_queue_duration_us: triton('nv_inference_queue_duration_us'),
      nv_inference_compute_infer_duration_us: triton('nv_inference_compute_infer_duration_us'),
    },
  };
}

/**
 * Counts the work of one version. It lives as long as the process; the version may be unloaded and loaded again
 * meanwhile.
 */
export class VersionTally {
  readonly #families: Families;
  readonly #model: string;
  readonly #version: number;
  readonly #answered: Count;
  readonly #rows: Count;
  readonly #queue: Distribution;
  readonly #run: Distribution;
  readonly #whole: Distribution;
  readonly #batch: Distribution;
  readonly #busy: Count;
  readonly #triton: Readonly<Record<TritonName, Count>>;

  constructor(tallies: Tallies, model: string, version: number) {
    const families = familiesOf(tallies);
    this.#families = families;
    this.#model = model;
    this.#version = version;
    this.#answered = families.inferences.of(model, version, 'OK');
    this.#rows = families.rows.of(model, version);
    this.#queue = families.queue.of(model, version);
    this.#run = families.run.of(model, version);
    this.#whole = families.whole.of(model, version);
    this.#batch = families.batch.of(model, version);
    this.#busy = families.busy.of(model, version);
    const triton = (name: TritonName) => families.triton[name].of(model, version);
    this.#triton = {
      nv_inference_request_success: triton('nv_inference_request_success'),
      nv_inference_request_failure: triton('nv_inference_request_failure'),
      nv_inference_count: triton('nv_inference_count'),
      nv_inference_exec_count: triton('nv_inference_exec_count'),
      nv_inference_request_duration_us: triton('nv_inference_request_duration_us'),
      nv_inference_queue_duration_us: triton('nv_inference_queue_duration_us'),
      nv_inference_compute_infer_duration_us: triton('nv_inference_compute_infer_duration_us'),
    };
  }

  succeeded(rows: number, queueUs: number, runUs: number, predictionId: string): void {
    this.#answered.value++;
    this.#rows.value += rows;
    this.#queue.record(queueUs / 1e6, predictionId);
    this.#run.record(runUs / 1e6, predictionId);
    this.#whole.record((queueUs + runUs) / 1e6, predictionId);
    const triton = this.#triton;
    triton.nv_inference_request_success.value++;
    triton.nv_inference_count.value += rows;
    triton.nv_inference_request_duration_us.value += queueUs + runUs;
    triton.nv_inference_queue_duration_us.value += queueUs;
    triton.nv_inference_compute_infer_duration_us.value += runUs;
  }

  failed(us: number, code: ErrorCode): void {
    this.#families.inferences.add(1, this.#model, this.#version, code);
    this.#triton.nv_inference_request_failure.value++;
    this.#triton.nv_inference_request_duration_us.value += us;
  }

  ran(rows: number, runUs: number): void {
    this.#batch.record(rows);
    this.#busy.value += runUs / 1e6;
    this.#triton.nv_inference_exec_count.value++;
  }
}
