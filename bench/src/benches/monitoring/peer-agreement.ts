import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { pythonWith } from '@hotloop/compute/testing/python-client.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import {
  chiSquareHomogeneity,
  jensenShannonDistance,
  kolmogorovSmirnov,
  populationStabilityIndex,
  sortedSample,
  wassersteinDistance,
} from '@hotloop/model/statistics/distances.ts';

const run = promisify(execFile);
const SEED = 14;
const TIMEOUT_MS = 180_000;
/** Evidently is a download of half a gigabyte. */
const INSTALL_MS = 600_000;

/**
 * Reads the two files, and returns the values of SciPy and Evidently for each column, with the bins that Evidently
 * chose.
 */
const PEERS = `
import json, sys, warnings
warnings.filterwarnings("ignore")
import numpy as np, pandas as pd
from scipy import stats, special
from scipy.spatial import distance
before, now = pd.read_csv(sys.argv[1]), pd.read_csv(sys.argv[2])
answer = {}
try:
    from evidently.legacy.core import ColumnType
    from evidently.legacy.calculations.stattests.psi import _psi
    from evidently.legacy.calculations.stattests.jensenshannon import _jensenshannon
    from evidently.legacy.calculations.stattests.wasserstein_distance_norm import _wasserstein_distance_norm
    evidently = True
except ImportError:
    evidently = False
for name in before.columns:
    a, b = before[name], now[name]
    own = {}
    kind = "cat" if a.dtype == object or str(a.dtype).startswith(("str", "string")) else "num"
    # Evidently takes numbers of up to twenty values by value, others by a histogram of both files.
    if kind == "cat" or a.nunique() <= 20:
        keys = sorted(set(a) | set(b))
        p, q = [int((a == k).sum()) for k in keys], [int((b == k).sum()) for k in keys]
        own["keys"] = [str(k) for k in keys]
    else:
        edges = np.histogram_bin_edges(list(a) + list(b), bins="sturges")
        p, q = np.histogram(a, edges)[0].tolist(), np.histogram(b, edges)[0].tolist()
        own["edges"] = edges.tolist()
    if kind == "num":
        own["wasserstein"] = stats.wasserstein_distance(a, b)
        ks = stats.ks_2samp(a, b, method="asymp").statistic
        own["ks"] = ks
        own["ks_p"] = special.kolmogorov(ks * np.sqrt(len(a) * len(b) / (len(a) + len(b))))
    own["jensen_shannon"] = distance.jensenshannon(p, q)
    used = [(x, y) for x, y in zip(p, q) if x + y > 0]
    chi = stats.chi2_contingency(list(zip(*used)), correction=False)
    own["chi_square"], own["chi_square_p"] = chi.statistic, chi.pvalue
    if evidently:
        column = ColumnType.Categorical if kind == "cat" else ColumnType.Numerical
        own["evidently_psi"] = _psi(a, b, column, 0.1)[0]
        own["evidently_jensen_shannon"] = _jensenshannon(a, b, column, 0.1)[0]
        if kind == "num":
            own["evidently_wasserstein"] = _wasserstein_distance_norm(a, b, column, 0.1)[0]
    answer[name] = {k: (v if isinstance(v, list) else float(v)) for k, v in own.items()}
print(json.dumps({"evidently": evidently, "columns": answer}))
`;

type PeerColumn = Readonly<Record<string, number>> & {
  readonly edges?: readonly number[];
  readonly keys?: readonly string[];
};

/**
 * The largest relative difference between our statistics and those of SciPy and Evidently (from PyPI) on the same two
 * files; binned measures use the bins that Evidently chose. Null, with a line that says why, if they cannot be
 * installed.
 */
export async function peerAgreement(say: (line: string) => void): Promise<number | null> {
  const found = await pythonWith('monitoring-peers', ['scipy', 'pandas<3', 'evidently'], {
    installMs: INSTALL_MS,
  });
  if ('reason' in found) {
    say(`peer_agreement is skipped: ${found.reason}`);
    return null;
  }
  const folder = await mkdtemp(join(tmpdir(), 'hotloop-peers-'));
  try {
    const [before, now] = [join(folder, 'before.csv'), join(folder, 'now.csv')];
    await writeFile(before, table(4_000, new SeededRandom(SEED), 0));
    await writeFile(now, table(3_000, new SeededRandom(SEED + 1), 0.3));
    const { stdout } = await run(found.python, ['-c', PEERS, before, now], { timeout: TIMEOUT_MS });
    const answer = JSON.parse(stdout) as { evidently: boolean; columns: Record<string, PeerColumn> };
    if (!answer.evidently) say('Evidently has no such functions any more: compared with SciPy alone');
    const [past, present] = [
      columnsOf(await readFile(before, 'utf8')),
      columnsOf(await readFile(now, 'utf8')),
    ];
    const gaps = Object.entries(answer.columns).flatMap(([name, peer]) =>
      differences(name, peer, past.get(name)!, present.get(name)!),
    );
    const worst = gaps.reduce((most, one) => (one.gap > most.gap ? one : most));
    say(
      `${gaps.length} statistics compared; they differ most in ${worst.what}: ${worst.gap.toExponential(1)}`,
    );
    return worst.gap;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

interface Gap {
  readonly what: string;
  readonly gap: number;
}

function differences(
  name: string,
  peer: PeerColumn,
  before: readonly string[],
  now: readonly string[],
): Gap[] {
  const own: Record<string, number> = {};
  const counts = (cells: readonly string[]) =>
    peer.keys ? byKey(cells, peer.keys) : byEdge(cells, peer.edges!);
  const [p, q] = [counts(before), counts(now)];
  own.jensen_shannon = jensenShannonDistance(p, q);
  own.evidently_jensen_shannon = own.jensen_shannon;
  own.evidently_psi = populationStabilityIndex(p, q);
  const chi = chiSquareHomogeneity(p, q);
  own.chi_square = chi.statistic;
  own.chi_square_p = chi.p;
  if (peer.wasserstein !== undefined) {
    const [a, b] = [sortedSample(before.map(Number)), sortedSample(now.map(Number))];
    own.wasserstein = wassersteinDistance(a, b);
    own.evidently_wasserstein = own.wasserstein / deviation(before.map(Number));
    const ks = kolmogorovSmirnov(a, b);
    own.ks = ks.statistic;
    own.ks_p = ks.p;
  }
  return Object.entries(own).flatMap(([what, value]) => {
    const theirs = peer[what];
    if (theirs === undefined) return [];
    const gap = Math.abs(value - theirs) / Math.max(Math.abs(theirs), 1e-300);
    return [{ what: `${what} of ${name}`, gap }];
  });
}

const byKey = (cells: readonly string[], keys: readonly string[]) =>
  keys.map((key) => cells.filter((cell) => cell === key).length);

/** As in numpy.histogram: bins are open on the right, except for the last. */
function byEdge(cells: readonly string[], edges: readonly number[]): number[] {
  const counts = Array.from({ length: edges.length - 1 }, () => 0);
  for (const cell of cells) {
    const value = Number(cell);
    const at = edges.findLastIndex((edge) => value >= edge);
    counts[Math.min(at, counts.length - 1)]!++;
  }
  return counts;
}

/** Standard deviation of the population, as in numpy. */
function deviation(values: readonly number[]): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
}

/** Columns: normally distributed, with a long tail, integers with many ties, and categories of which one is rare. */
function table(rows: number, random: SeededRandom, shift: number): string {
  const lines = Array.from({ length: rows }, () => {
    const bell = random.normal() + shift;
    const tail = Math.exp(random.normal() + shift);
    const whole = Math.floor(random.uniform() ** 2 * 9 + shift * random.uniform() * 4);
    const city = ['Bern', 'Rome', 'Oslo', 'Ulm'][
      Math.min(3, Math.floor(random.uniform() ** (2 - shift) * 4.02))
    ]!;
    return `${bell.toFixed(6)},${tail.toFixed(6)},${whole},${city}`;
  });
  return `bell,tail,whole,city\n${lines.join('\n')}\n`;
}

function columnsOf(text: string): Map<string, string[]> {
  const [head, ...lines] = text.trim().split('\n');
  const cells = lines.map((line) => line.split(','));
  return new Map(head!.split(',').map((name, at) => [name, cells.map((row) => row[at]!)]));
}
