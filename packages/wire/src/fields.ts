import {
  byteStringOf,
  bytesOf,
  COUNTER_MAX,
  isClusterId,
  isId,
  MalformedMessageError,
  WALL_MS_MAX,
  type ByteString,
  type Hlc,
  type Version,
} from '@grapevine/core'

/** One part of a message: to what msgpack knows, and back with every doubt. */
export interface Codec<T> {
  readonly encode: (value: T) => unknown
  /** @throws {MalformedMessageError} for anything that `encode` would not have made. */
  readonly decode: (row: unknown) => T
}

export function malformed(what: string): MalformedMessageError {
  return new MalformedMessageError(`malformed message: ${what}`)
}

/** An object as an array of its fields, in this order. */
export function fields<T extends object>(codecs: { readonly [Field in keyof T]: Codec<T[Field]> }): Codec<T> {
  const names = Object.keys(codecs) as (keyof T & string)[]
  return {
    encode: (value) => names.map((name) => codecs[name].encode(value[name])),
    decode: (row) => {
      if (!Array.isArray(row) || row.length !== names.length) throw malformed(`not ${names.length} fields`)
      const decoded: Partial<T> = {}
      for (const [index, name] of names.entries()) decoded[name] = codecs[name].decode(row[index])
      return decoded as T
    },
  }
}

export function list<T>(item: Codec<T>, max: number): Codec<readonly T[]> {
  return {
    encode: (values) => values.map(item.encode),
    decode: (row) => {
      if (!Array.isArray(row) || row.length > max) throw malformed(`not a list of up to ${max}`)
      return row.map(item.decode)
    },
  }
}

export function pair<A, B>(first: Codec<A>, second: Codec<B>): Codec<readonly [A, B]> {
  return {
    encode: ([a, b]) => [first.encode(a), second.encode(b)],
    decode: (row) => {
      if (!Array.isArray(row) || row.length !== 2) throw malformed('not a pair')
      return [first.decode(row[0]), second.decode(row[1])]
    },
  }
}

/** A whole number from 0. */
export function count(max: number = Number.MAX_SAFE_INTEGER): Codec<number> {
  return {
    encode: (value) => value,
    decode: (row) => {
      // Whole numbers above 32 bits travel as floats or 64-bit integers, as msgpackr likes.
      const value = typeof row === 'bigint' ? Number(row) : row
      if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0 || value > max)
        throw malformed(`not a number from 0 to ${max}`)
      return value
    },
  }
}

/** A whole number from −1, which stands for none. */
export const countOrNone: Codec<number> = {
  encode: (value) => value + 1,
  decode: (row) => count().decode(row) - 1,
}

export const flag: Codec<boolean> = {
  encode: (value) => value,
  decode: (row) => {
    if (typeof row !== 'boolean') throw malformed('not a flag')
    return row
  },
}

/** At most so many characters. */
export function text(max: number): Codec<string> {
  return {
    encode: (value) => value,
    decode: (row) => {
      if (typeof row !== 'string' || row.length > max) throw malformed(`not a text of up to ${max}`)
      return row
    },
  }
}

export function oneOf<T extends string>(...values: readonly T[]): Codec<T> {
  return {
    encode: (value) => values.indexOf(value),
    decode: (row) => {
      const value = typeof row === 'number' ? values[row] : undefined
      if (value === undefined) throw malformed(`none of ${values.join(', ')}`)
      return value
    },
  }
}

export const bytes: Codec<Uint8Array> = {
  encode: (value) => value,
  decode: (row) => {
    if (!(row instanceof Uint8Array)) throw malformed('not bytes')
    return row
  },
}

/** Bytes that are a byte string in memory: hashes and addresses. */
export function byteString(min: number, max: number = min): Codec<ByteString> {
  return {
    encode: bytesOf,
    decode: (row) => {
      const decoded = bytes.decode(row)
      if (decoded.length < min || decoded.length > max) throw malformed(`not ${min} to ${max} bytes`)
      return byteStringOf(decoded)
    },
  }
}

function hexId(isValid: (text: string) => boolean): Codec<string> {
  return {
    encode: (value) => Buffer.from(value, 'hex'),
    decode: (row) => {
      const hex = Buffer.from(bytes.decode(row)).toString('hex')
      if (!isValid(hex)) throw malformed('not an id')
      return hex
    },
  }
}

export const id: Codec<string> = hexId(isId)
export const clusterId: Codec<string> = hexId(isClusterId)
/** Where an id may be empty, as in a question of somebody who has none yet. */
export const idOrNone: Codec<string> = hexId((hex) => hex === '' || isId(hex))
export const clusterIdOrNone: Codec<string> = hexId((hex) => hex === '' || isClusterId(hex))

export const hlc: Codec<Hlc> = fields<Hlc>({ wallMs: count(WALL_MS_MAX), counter: count(COUNTER_MAX) })
export const version: Codec<Version> = fields<Version>({ hlc, replica: id })
