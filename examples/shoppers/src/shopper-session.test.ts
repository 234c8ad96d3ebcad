import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { PARTS, readSessions, sessionsOf } from './shopper-session.ts';

const FILE = join(import.meta.dirname, '../../../../shared/data/online_shoppers_intention.csv');

const HEADER =
  'Administrative,Administrative_Duration,Informational,Informational_Duration,ProductRelated,ProductRelated_Duration,' +
  'BounceRates,ExitRates,PageValues,SpecialDay,Month,OperatingSystems,Browser,Region,TrafficType,VisitorType,Weekend,Revenue';
const line = (month: string, revenue: string, administrative = '0') =>
  `${administrative},0,0,0,1,12.5,0.2,0.2,0,0,${month},1,1,1,1,New_Visitor,FALSE,${revenue}`;

describe('readSessions', () => {
  it('reads sessions in the order of the year, without the month as a feature', () => {
    const sessions = readSessions(
      [HEADER, line('Nov', 'TRUE'), line('Feb', 'FALSE'), line('Mar', 'FALSE')].join('\n'),
    );
    expect(sessions.map(({ key, month, revenue }) => [key, month, revenue])).toEqual([
      ['line-3', 'Feb', false],
      ['line-4', 'Mar', false],
      ['line-2', 'Nov', true],
    ]);
    expect(sessions[0]!.request).toEqual({
      Administrative: 0,
      Administrative_Duration: 0,
      Informational: 0,
      Informational_Duration: 0,
      ProductRelated: 1,
      ProductRelated_Duration: 12.5,
      BounceRates: 0.2,
      ExitRates: 0.2,
      PageValues: 0,
      SpecialDay: 0,
      VisitorType: 'New_Visitor',
      Weekend: false,
    });
  });

  for (const [what, csv, message] of [
    [
      'columns that are not there',
      `${HEADER.replace('PageValues,', '').replace(',Revenue', '')}\n`,
      'no column PageValues, Revenue',
    ],
    ['a first line alone', HEADER, 'no sessions'],
    ['an empty file', '', 'no column'],
    ['a month of no year', [HEADER, line('Febuary', 'TRUE')].join('\n'), 'line 2, column Month'],
    ['an outcome that is neither', [HEADER, line('Feb', 'maybe')].join('\n'), 'line 2, column Revenue'],
    [
      'a count that is no number',
      [HEADER, line('Feb', 'TRUE'), line('Feb', 'TRUE', 'many')].join('\n'),
      'line 3, column Administrative',
    ],
    ['a line cut short', [HEADER, '0,0,0'].join('\n'), 'line 2, column Informational_Duration'],
  ] as const)
    it(`refuses ${what}, naming the place`, () => {
      expect(() => readSessions(csv)).toThrow(message);
    });

  it('reads the real file', (context) => {
    if (!existsSync(FILE)) context.skip('the sessions of the UCI repository are not beside this checkout');
    const sessions = readSessions(readFileSync(FILE, 'utf8'));
    const counts = Object.values(PARTS).map((months) => sessionsOf(sessions, months).length);
    expect([sessions.length, ...counts]).toEqual([12_330, 2091, 8512, 1727]);
  });
});
