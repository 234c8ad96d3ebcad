/** Builds messages of the Postgres protocol, version 3 (PostgreSQL documentation, chapter "Frontend/Backend Protocol"). */
export function message(type: string, ...parts: readonly (Buffer | string | number)[]): Buffer {
  const body = Buffer.concat(
    parts.map((part) => {
      if (typeof part === 'string') return Buffer.from(`${part}\0`);
      return typeof part === 'number' ? int32(part) : part;
    }),
  );
  return Buffer.concat([Buffer.from(type), int32(body.length + 4), body]);
}

export function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

export function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

/** Postgres' type numbers by DuckDB's type names. Other types are sent as text. */
const OIDS: Readonly<Record<string, number>> = {
  BOOLEAN: 16,
  TINYINT: 21,
  UTINYINT: 21,
  SMALLINT: 21,
  USMALLINT: 23,
  INTEGER: 23,
  UINTEGER: 20,
  BIGINT: 20,
  UBIGINT: 1700,
  HUGEINT: 1700,
  FLOAT: 700,
  DOUBLE: 701,
  VARCHAR: 25,
  JSON: 114,
  BLOB: 17,
  DATE: 1082,
  TIME: 1083,
  TIMESTAMP: 1114,
  'TIMESTAMP WITH TIME ZONE': 1184,
  INTERVAL: 1186,
  UUID: 2950,
  'DOUBLE[]': 1022,
  'FLOAT[]': 1021,
};

export function oidOf(type: string): number {
  if (type.startsWith('DECIMAL')) return 1700;
  return OIDS[type] ?? 25;
}

const SIZES: Readonly<Record<number, number>> = { 16: 1, 21: 2, 23: 4, 20: 8, 700: 4, 701: 8 };

export function rowDescription(
  columns: readonly { readonly name: string; readonly type: string }[],
  formats: readonly number[],
): Buffer {
  const fields = columns.map(({ name, type }, index) => {
    const oid = oidOf(type);
    return Buffer.concat([
      Buffer.from(`${name}\0`),
      int32(0),
      int16(0),
      int32(oid),
      int16(SIZES[oid] ?? -1),
      int32(-1),
      int16(formatOf(formats, index)),
    ]);
  });
  return message('T', int16(columns.length), ...fields);
}

/** One format for all, one for each, or none, which means text. */
export function formatOf(formats: readonly number[], index: number): number {
  return formats.length === 1 ? (formats[0] ?? 0) : (formats[index] ?? 0);
}

export function dataRow(
  row: readonly (string | null)[],
  columns: readonly { readonly type: string }[],
  formats: readonly number[],
): Buffer {
  const parts: Buffer[] = [int16(row.length)];
  for (const [index, value] of row.entries()) {
    if (value === null) {
      parts.push(int32(-1));
      continue;
    }
    const type = columns[index]?.type ?? '';
    const bytes =
      formatOf(formats, index) === 1 ? binaryOf(value, oidOf(type)) : Buffer.from(asText(value, type));
    parts.push(int32(bytes.length), bytes);
  }
  return message('D', ...parts);
}

/** Lists of numbers are written as arrays in Postgres' notation. */
function asText(value: string, type: string): string {
  return type === 'DOUBLE[]' || type === 'FLOAT[]' ? `{${value.slice(1, -1)}}` : value;
}

/** Encodes the types that drivers request in binary form. */
function binaryOf(value: string, oid: number): Buffer {
  switch (oid) {
    case 16:
      return Buffer.of(value === 't' ? 1 : 0);
    case 21:
      return int16(Number(value));
    case 23:
      return int32(Number(value));
    case 20: {
      const bytes = Buffer.alloc(8);
      bytes.writeBigInt64BE(BigInt(value));
      return bytes;
    }
    case 700: {
      const bytes = Buffer.alloc(4);
      bytes.writeFloatBE(Number(value));
      return bytes;
    }
    case 701: {
      const bytes = Buffer.alloc(8);
      bytes.writeDoubleBE(Number(value));
      return bytes;
    }
    default:
      return Buffer.from(value);
  }
}

/** Decodes a parameter to text; a binary one by its type number. */
export function parameterText(bytes: Buffer, format: number, oid: number): string {
  if (format === 0) return bytes.toString('utf8');
  switch (oid) {
    case 16:
      return bytes[0] === 1 ? 'true' : 'false';
    case 21:
      return String(bytes.readInt16BE());
    case 23:
    case 26:
      return String(bytes.readInt32BE());
    case 20:
      return bytes.readBigInt64BE().toString();
    case 700:
      return String(bytes.readFloatBE());
    case 701:
      return String(bytes.readDoubleBE());
    case 3802:
      // jsonb: a version byte, then the text.
      return bytes.toString('utf8', 1);
    default:
      return bytes.toString('utf8');
  }
}

export function errorMessage(
  error: {
    readonly code: string;
    readonly message: string;
    readonly position?: number;
  },
  severity = 'ERROR',
): Buffer {
  const fields = [`S${severity}`, `V${severity}`, `C${error.code}`, `M${error.message}`];
  if (error.position !== undefined) fields.push(`P${error.position}`);
  return message('E', ...fields, Buffer.of(0));
}
