import { manifestOf } from '@hotloop/model/testing/manifests.ts';
import { expect, it } from 'vitest';
import { rowColumnsOf, rowRequestOf } from './row-request.ts';

it('sends the bytes of an image as base64, and a text as it is', () => {
  const image = { image: { width: 4, height: 4, channels: 1 as const, fit: 'stretch' as const } };
  const wanted = rowColumnsOf(
    manifestOf({
      features: [
        { name: 'scan', from: 'request.scan', input: 'pixels', transform: [image] },
        { name: 'pages', from: 'request.pages', input: 'pages', missing: 1 },
      ],
    }),
  );
  expect(wanted.images).toBe(true);
  expect(wanted.request.get('scan')).toEqual({ type: 'VARCHAR', isRequired: true });
  const bytes = new Uint8Array([0x89, 0x50, 0x4e, 0x47]);
  const rows = [bytes, 'iVBORw==', null].map((scan, row) => rowRequestOf({ row, scan, pages: 2 }, wanted));
  expect(rows.map(({ request }) => ({ ...request }))).toEqual([
    { scan: 'iVBORw==', pages: 2 },
    { scan: 'iVBORw==', pages: 2 },
    { pages: 2 },
  ]);
});
