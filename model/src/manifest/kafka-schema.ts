import { z } from 'zod';

const TOPIC = /^[A-Za-z0-9._-]{1,200}$/;
const topicSchema = z.string().regex(TOPIC, 'must be the name of a topic: letters, digits, ., _ and -');

/** Predictions from a topic. Answers go to `replies`, or each to the topic of its label. */
export const kafkaSchema = z
  .strictObject({
    requests: topicSchema.describe('Topic of requests: JSON as for POST /v1/models/{model}/predict'),
    replies: topicSchema.optional().describe('Topic of all answers'),
    replies_by_label: z
      .string()
      .regex(/^[A-Za-z0-9._-]*\{label\}[A-Za-z0-9._-]*$/, 'must contain {label}, such as desk.{label}')
      .max(100)
      .optional()
      .describe('Topic of the answers of one label, such as desk.{label}'),
  })
  .refine(({ replies, replies_by_label }) => (replies === undefined) !== (replies_by_label === undefined), {
    message: 'set either replies or replies_by_label',
  })
  .refine(({ requests, replies }) => requests !== replies, {
    message: 'requests and replies must be two topics',
  });

export type KafkaSpec = z.output<typeof kafkaSchema>;

/** The topic of an answer. Characters of the label that a topic name cannot contain become `_`. */
export function replyTopic(spec: KafkaSpec, label: string): string {
  if (spec.replies !== undefined) return spec.replies;
  return (spec.replies_by_label ?? '').replace(
    '{label}',
    label.replaceAll(/[^A-Za-z0-9._-]/g, '_').slice(0, 100),
  );
}
