import { type Checks, ill, well } from './check.ts';

const QUEUE_LATE = "interval '10 minutes'";
const HEARTBEAT_LATE_S = 300;

/** Outcomes, training and monitoring. */
export const LOOP_CHECKS: Checks = {
  'dead letters': async ({ pool }) => {
    const { rows } = await pool.query<{ topic: string; messages: string }>(
      `SELECT topic, count(*) AS messages FROM set_aside WHERE at > now() - interval '1 day' GROUP BY topic ORDER BY 1`,
    );
    const says = rows.map(({ topic, messages }) => `${topic}: ${messages}`).join(', ');
    return rows.length === 0
      ? well('none in a day')
      : ill(`in a day: ${says}`, 'the column `error` of table set_aside says what could not be read');
  },
  'outcomes by SQL': async ({ pool }) => {
    const { rows } = await pool.query<{ model: string; error: string }>(
      `SELECT model, error FROM outcome_source WHERE error <> '' ORDER BY model LIMIT 5`,
    );
    return rows.length === 0
      ? well('no query fails')
      : ill(
          rows.map(({ model, error }) => `${model}: ${error}`).join('; '),
          'correct outcome.from.sql, or its variable',
        );
  },
  'training runs': async ({ pool }) => {
    const { rows } = await pool.query<{ waiting: number; ownerless: number }>(
      `SELECT count(*) FILTER (WHERE lease_until IS NULL AND created_at < now() - ${QUEUE_LATE})::int AS waiting,
         count(*) FILTER (WHERE lease_until < now() - ${QUEUE_LATE})::int AS ownerless
       FROM training_run WHERE ended_at IS NULL`,
    );
    const { waiting = 0, ownerless = 0 } = rows[0] ?? {};
    return waiting + ownerless === 0
      ? well('none waits for long')
      : ill(
          `${waiting} wait for more than 10 minutes, ${ownerless} have lost their worker`,
          'start a retrainer or `hotloop worker`; see that the queue (REDIS_QUEUE_URL) answers',
        );
  },
  monitor: async ({ pool }) => {
    const { rows } = await pool.query<{ late: number }>(
      'SELECT extract(epoch FROM now() - heartbeat_at)::integer AS late FROM monitor_position',
    );
    const late = rows[0]?.late ?? 0;
    return late <= HEARTBEAT_LATE_S
      ? well(`worked ${late} s ago`)
      : ill(`has not worked for ${late} s`, 'start a retrainer; see its log');
  },
  incidents: async ({ pool }) => {
    const { rows } = await pool.query<{ model: string; title: string }>(
      'SELECT model, title FROM incident WHERE closed_at IS NULL ORDER BY opened_at DESC LIMIT 5',
    );
    const undelivered = await pool.query<{ n: number }>(
      `SELECT count(*)::int AS n FROM incident_delivery WHERE delivered_at IS NULL AND attempts > 3`,
    );
    const late = undelivered.rows[0]?.n ?? 0;
    if (late > 0)
      return ill(
        `${late} notices could not be delivered`,
        'see monitor.notify and the column last_error of incident_delivery',
      );
    return rows.length === 0
      ? well('none open')
      : ill(
          rows.map(({ model, title }) => `${model}: ${title}`).join('; '),
          'docs/runbooks.md says what to do about each signal',
        );
  },
};
