import type { SqlConnection, SqlParameter, SqlStatement } from '@hotloop/platform/duckdb/sql-database.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { SqlEngine, SqlRights } from '../sql-engine.ts';
import { sqlErrorOf } from '../sql-error.ts';
import { splitStatements } from '../sql-scan.ts';
import { MessageReader } from './message-reader.ts';
import { sessionStatement } from './session-statements.ts';
import { commandTag, typedParameter, withNulls } from './typed-parameters.ts';
import { WireError } from './wire-error.ts';
import {
  dataRow,
  errorMessage,
  int16,
  int32,
  message,
  oidOf,
  parameterText,
  rowDescription,
} from './wire-messages.ts';

interface Prepared {
  readonly sql: string;
  readonly statement: SqlStatement | null;
  readonly oids: readonly number[];
}

interface Portal {
  readonly prepared: Prepared;
  readonly values: readonly SqlParameter[];
  readonly formats: readonly number[];
  rows?: AsyncGenerator<(string | null)[][], number>;
  /** Rows that were read but not sent yet, because the client asked for fewer. */
  left: (string | null)[][];
  sent: number;
}

export interface WireSessionOptions {
  readonly rights: SqlRights;
  readonly statementTimeoutMs: number;
  /** Writes, and resolves when more may be written. */
  readonly write: (bytes: Buffer) => Promise<void>;
}

/** The session of one connected client: answers its messages after the start-up phase, one at a time, in order. */
export class WireSession implements Disposable {
  readonly #engine: SqlEngine;
  readonly #connection: SqlConnection;
  readonly #options: WireSessionOptions;
  readonly #prepared = new Map<string, Prepared>();
  readonly #portals = new Map<string, Portal>();
  #transaction: 'I' | 'T' | 'E' = 'I';
  #failed = false;
  #timeoutMs: number;
  #running: { readonly stop: AbortController; why: string } | undefined;

  constructor(engine: SqlEngine, connection: SqlConnection, options: WireSessionOptions) {
    this.#engine = engine;
    this.#connection = connection;
    this.#options = options;
    this.#timeoutMs = options.statementTimeoutMs;
  }

  /** Ends the current statement, and sends the reason to the client. */
  cancel(why = 'canceling statement due to user request'): void {
    if (!this.#running) return;
    this.#running.why = why;
    this.#running.stop.abort();
    this.#connection.interrupt();
  }

  /** Answers one message. False if the client ends the session. */
  async take(type: string, body: Buffer): Promise<boolean> {
    if (type === 'X') return false;
    if (type === 'Q') {
      await this.#simple(body.toString('utf8', 0, body.length - 1));
      await this.#ready();
      return true;
    }
    if (type === 'S') {
      this.#failed = false;
      await this.#ready();
      return true;
    }
    if (this.#failed || type === 'H') return true;
    let sql = '';
    try {
      sql = await this.#extended(type, new MessageReader(body));
    } catch (error) {
      this.#failed = true;
      await this.#fail(error, sql || (error as { sql?: string }).sql || '');
    }
    return true;
  }

  [Symbol.dispose](): void {
    this.cancel();
    for (const { statement } of this.#prepared.values()) statement?.[Symbol.dispose]();
    this.#connection[Symbol.dispose]();
  }

  async #ready(): Promise<void> {
    await this.#options.write(message('Z', Buffer.from(this.#transaction)));
  }

  async #fail(error: unknown, sql: string, offset = 0): Promise<void> {
    if (this.#transaction === 'T') this.#transaction = 'E';
    const known = error instanceof WireError ? error.error : sqlErrorOf(error, sql);
    const position = known.position === undefined ? {} : { position: known.position + offset };
    await this.#options.write(errorMessage({ ...known, ...position }));
  }

  async #simple(text: string): Promise<void> {
    if (text.includes('\0'))
      return await this.#fail(new WireError({ code: '22021', message: 'a statement cannot hold a NUL' }), '');
    const statements = splitStatements(text);
    if (statements.length === 0) await this.#options.write(message('I'));
    for (const { sql, start } of statements) {
      try {
        const prepared = await this.#prepare(sql, []);
        const portal: Portal = { prepared, values: [], formats: [], left: [], sent: 0 };
        try {
          if (prepared.statement?.isQuery)
            await this.#options.write(rowDescription(prepared.statement.columns, []));
          const shown = sessionStatement(sql)?.show;
          if (shown) await this.#options.write(rowDescription([shownColumn(shown)], []));
          await this.#execute(portal, 0);
        } finally {
          prepared.statement?.[Symbol.dispose]();
        }
      } catch (error) {
        await this.#fail(error, sql, start);
        return;
      }
    }
  }

  /** @returns the statement's text, for the position of an error. */
  async #extended(type: string, reader: MessageReader): Promise<string> {
    const { write } = this.#options;
    switch (type) {
      case 'P': {
        const name = reader.text();
        const sql = reader.text();
        const oids = Array.from({ length: reader.int16() }, () => reader.int32());
        this.#prepared.get(name)?.statement?.[Symbol.dispose]();
        this.#prepared.delete(name);
        const trimmed = splitStatements(sql);
        if (trimmed.length > 1)
          throw new WireError({
            code: '42601',
            message: 'cannot insert multiple commands into a prepared statement',
          });
        this.#prepared.set(name, await this.#prepare(trimmed[0]?.sql ?? '', oids));
        await write(message('1'));
        return sql;
      }
      case 'B': {
        const portal = this.#bind(reader);
        this.#portals.set(portal.name, portal.portal);
        await write(message('2'));
        return portal.portal.prepared.sql;
      }
      case 'D': {
        const kind = reader.byte();
        const name = reader.text();
        const prepared = kind === 'S' ? this.#found(name) : this.#portal(name).prepared;
        const { statement } = prepared;
        if (kind === 'S') {
          const types = (statement?.parameterTypes ?? []).map(
            (type, index) => prepared.oids[index] || oidOf(type),
          );
          await write(message('t', int16(types.length), ...types.map(int32)));
        }
        const formats = kind === 'S' ? [] : this.#portal(name).formats;
        const shown = sessionStatement(prepared.sql)?.show;
        const columns = shown ? [shownColumn(shown)] : statement?.isQuery ? statement.columns : undefined;
        await write(columns ? rowDescription(columns, formats) : message('n'));
        return prepared.sql;
      }
      case 'E': {
        const portal = this.#portal(reader.text());
        await this.#execute(portal, reader.int32());
        return portal.prepared.sql;
      }
      case 'C': {
        const kind = reader.byte();
        const name = reader.text();
        if (kind === 'S') {
          this.#prepared.get(name)?.statement?.[Symbol.dispose]();
          this.#prepared.delete(name);
        } else this.#portals.delete(name);
        await write(message('3'));
        return '';
      }
      default:
        throw new WireError({ code: '08P01', message: `message ${JSON.stringify(type)} is not known` });
    }
  }

  async #prepare(sql: string, oids: readonly number[]): Promise<Prepared> {
    if (sql === '' || sessionStatement(sql) !== undefined) return { sql, statement: null, oids };
    if (this.#transaction === 'E')
      throw new WireError({
        code: '25P02',
        message: 'current transaction is aborted, commands ignored until end of transaction block',
      });
    const statement = await this.#withinTime(async (signal) => {
      const { rights } = this.#options;
      const first = await this.#engine.prepare(this.#connection, sql, rights, signal);
      // While the types of parameters are unknown, the database does not know those of the columns either.
      if (first.parameterTypes.length === 0 || first.columns.every(({ type }) => type !== '')) return first;
      using described = await this.#engine.prepare(this.#connection, withNulls(sql, oids), rights, signal);
      return { ...first, columns: described.columns };
    }).catch((error: unknown) => {
      throw Object.assign(new WireError(error instanceof WireError ? error.error : sqlErrorOf(error, sql)), {
        sql,
      });
    });
    return { sql, statement, oids };
  }

  #found(name: string): Prepared {
    const prepared = this.#prepared.get(name);
    if (prepared) return prepared;
    throw new WireError({ code: '26000', message: `prepared statement "${name}" does not exist` });
  }

  #portal(name: string): Portal {
    const portal = this.#portals.get(name);
    if (portal) return portal;
    throw new WireError({ code: '34000', message: `portal "${name}" does not exist` });
  }

  #bind(reader: MessageReader): { readonly name: string; readonly portal: Portal } {
    const name = reader.text();
    const prepared = this.#found(reader.text());
    const formats = Array.from({ length: reader.int16() }, () => reader.int16());
    const count = reader.int16();
    const types = prepared.statement?.parameterTypes ?? [];
    if (count !== types.length)
      throw new WireError({
        code: '08P01',
        message: `bind message supplies ${count} parameters, but prepared statement requires ${types.length}`,
      });
    const values = Array.from({ length: count }, (_, index): SqlParameter => {
      const length = reader.int32();
      if (length < 0) return null;
      const oid = prepared.oids[index] ?? 0;
      const format = formats.length === 1 ? (formats[0] ?? 0) : (formats[index] ?? 0);
      return typedParameter(parameterText(reader.bytes(length), format, oid), oid, types[index] ?? '');
    });
    const results = Array.from({ length: reader.int16() }, () => reader.int16());
    return { name, portal: { prepared, values, formats: results, left: [], sent: 0 } };
  }

  async #execute(portal: Portal, most: number): Promise<void> {
    const { write } = this.#options;
    const { statement, sql } = portal.prepared;
    if (sql === '') return write(message('I'));
    if (statement === null) return this.#runSession(sql);
    await this.#withinTime(async () => {
      portal.rows ??= statement.run(portal.values);
      let changed = 0;
      for (let sentNow = 0; ; ) {
        if (portal.left.length === 0) {
          const next = await portal.rows.next();
          if (next.done) {
            changed = next.value;
            break;
          }
          portal.left = next.value;
        }
        const room = most === 0 ? portal.left.length : most - sentNow;
        const batch = portal.left.splice(0, room);
        sentNow += batch.length;
        portal.sent += batch.length;
        await write(Buffer.concat(batch.map((row) => dataRow(row, statement.columns, portal.formats))));
        if (most > 0 && sentNow >= most) return write(message('s'));
      }
      const tag = statement.isQuery ? `SELECT ${portal.sent}` : commandTag(sql, changed);
      return write(message('C', tag));
    });
  }

  /** Statements about the session itself, which are not sent to the database. */
  async #runSession(sql: string): Promise<void> {
    const { write } = this.#options;
    const found = sessionStatement(sql);
    if (!found) throw new HotloopError('INTERNAL', 'not a statement of the session');
    if (found.transaction) this.#transaction = found.transaction;
    if (found.timeoutMs !== undefined) this.#timeoutMs = found.timeoutMs || this.#options.statementTimeoutMs;
    if (found.show) {
      await write(dataRow([found.show.value], [shownColumn(found.show)], []));
    }
    await write(message('C', found.tag));
  }

  async #withinTime<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const running = { stop: new AbortController(), why: '' };
    this.#running = running;
    const timer = setTimeout(
      () => this.cancel('canceling statement due to statement timeout'),
      this.#timeoutMs,
    );
    try {
      return await work(running.stop.signal);
    } catch (error) {
      if (running.stop.signal.aborted) throw new WireError({ code: '57014', message: running.why });
      throw error;
    } finally {
      clearTimeout(timer);
      this.#running = undefined;
    }
  }
}

const shownColumn = ({ name }: { readonly name: string }) => ({ name, type: 'VARCHAR' });
