import { formatDuration, parseDuration } from '@grapevine/contract'

/** Why a text is no value of an option; the sentence goes on after the option's name. */
export interface Mistaken {
  readonly mistake: string
  readonly hint: string
}

/** How one kind of option is written, in flags, environment and file alike. */
export interface OptionType<Value> {
  /** For the documentation. */
  readonly name: string
  /** For the JSON Schema of the configuration file. */
  readonly schema: Readonly<Record<string, unknown>>
  /** Flags of this type need no value. */
  readonly valueless?: true
  /** Given several times it grows, instead of being a mistake. */
  readonly repeatable?: true
  parse(text: string): { readonly value: Value } | Mistaken
  /** The text that {@link parse} reads back. */
  format(value: Value): string
}

export function duration(minMs: number, maxMs: number): OptionType<number> {
  const range = `from ${formatDuration(minMs)} to ${formatDuration(maxMs)}`
  return {
    name: 'duration',
    schema: { type: 'string', pattern: '^\\d+(ms|s|m|h|d)$', description: `A duration ${range}` },
    parse(text) {
      const ms = parseDuration(text)
      if (ms === undefined) return { mistake: 'is no duration', hint: 'write a number and a unit, as 500ms, 2s or 15m' }
      if (ms < minMs || ms > maxMs) return { mistake: 'is out of range', hint: `choose one ${range}` }
      return { value: ms }
    },
    format: formatDuration,
  }
}

const SIZE = /^(\d+)(B|KiB|MiB|GiB)?$/
const BYTES_PER: Readonly<Record<string, number>> = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 }

export function size(minBytes: number, maxBytes: number): OptionType<number> {
  const range = `from ${formatSize(minBytes)} to ${formatSize(maxBytes)}`
  return {
    name: 'size',
    schema: { type: ['string', 'integer'], pattern: SIZE.source, description: `A size ${range}` },
    parse(text) {
      const match = SIZE.exec(text)
      if (match === null) return { mistake: 'is no size', hint: 'write bytes, or a number and KiB, MiB or GiB' }
      const bytes = Number(match[1]) * (BYTES_PER[match[2] ?? 'B'] ?? 1)
      if (bytes < minBytes || bytes > maxBytes) return { mistake: 'is out of range', hint: `choose one ${range}` }
      return { value: bytes }
    },
    format: formatSize,
  }
}

function formatSize(bytes: number): string {
  for (const unit of ['GiB', 'MiB', 'KiB']) {
    const step = BYTES_PER[unit] ?? 1
    if (bytes >= step && bytes % step === 0) return `${bytes / step}${unit}`
  }
  return `${bytes}B`
}

/** Any text, or such as fits the pattern. */
export function textLike(pattern?: RegExp, hint = ''): OptionType<string> {
  return {
    name: 'text',
    schema: pattern === undefined ? { type: 'string' } : { type: 'string', pattern: pattern.source },
    parse: (value) => (pattern === undefined || pattern.test(value) ? { value } : { mistake: 'is not allowed', hint }),
    format: (value) => value,
  }
}

export function count(min: number, max: number): OptionType<number> {
  return {
    name: 'number',
    schema: { type: 'integer', minimum: min, maximum: max },
    parse(value) {
      const number = /^\d+$/.test(value) ? Number(value) : Number.NaN
      if (number >= min && number <= max) return { value: number }
      return { mistake: 'is out of range', hint: `write a whole number from ${min} to ${max}` }
    },
    format: String,
  }
}

/** A part of a whole: 0 to 1, with a point. */
export function share(): OptionType<number> {
  return {
    name: 'share',
    schema: { type: 'number', minimum: 0, maximum: 1 },
    parse(value) {
      const part = /^\d+(\.\d{1,6})?$/.test(value) ? Number(value) : Number.NaN
      if (part >= 0 && part <= 1) return { value: part }
      return { mistake: 'is no share', hint: 'write a number from 0 to 1, as 0.5' }
    },
    format: String,
  }
}

export const YES_OR_NO: OptionType<boolean> = {
  name: 'yes or no',
  schema: { type: 'boolean' },
  valueless: true,
  parse(value) {
    if (value === 'true' || value === '1' || value === 'yes') return { value: true }
    if (value === 'false' || value === '0' || value === 'no') return { value: false }
    return { mistake: 'is neither yes nor no', hint: 'write true or false' }
  },
  format: String,
}

export function choice<Value extends string>(...values: readonly Value[]): OptionType<Value> {
  return {
    name: values.join(' | '),
    schema: { type: 'string', enum: values },
    parse(given) {
      const value = values.find((candidate) => candidate === given)
      if (value !== undefined) return { value }
      const near = nearest(given, values)
      const hint = near === undefined ? `choose one of ${values.join(', ')}` : `did you mean ${near}?`
      return { mistake: 'is not one of the choices', hint }
    },
    format: (value) => value,
  }
}

const HOST_PORT = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?):(\d{1,5})$/

export interface HostPort {
  readonly host: string
  readonly port: number
}

/** `HOST:PORT`, with IPv6 addresses in brackets. The host comes without them. */
export function parseHostPort(value: string): HostPort | undefined {
  const match = HOST_PORT.exec(value)
  const port = Number(match?.[2])
  if (match === null || port > 65_535) return undefined
  return { host: (match[1] ?? '').replace(/^\[|\]$/g, ''), port }
}

export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** Kept as text, since it is shown, gossiped and resolved again and again in this form. */
export const HOST_AND_PORT: OptionType<string> = {
  name: 'host:port',
  schema: { type: 'string', pattern: HOST_PORT.source },
  parse(value) {
    if (parseHostPort(value) !== undefined) return { value }
    return { mistake: 'is no host and port', hint: 'write HOST:PORT, as 10.0.0.1:7700 or [::1]:7700' }
  },
  format: (value) => value,
}

/** The type itself, or nothing at all. */
export function optional(type: OptionType<string>): OptionType<string> {
  return { ...type, parse: (value) => (value === '' ? { value } : type.parse(value)) }
}

/** Comma-separated in one text; a list in the file; a flag for each. */
export function list(type: OptionType<string>): OptionType<readonly string[]> {
  return {
    name: `list of ${type.name}`,
    schema: { type: 'array', items: type.schema },
    repeatable: true,
    parse(value) {
      const values: string[] = []
      for (const part of value.split(',')) {
        if (part.trim() === '') continue
        const parsed = type.parse(part.trim())
        if ('mistake' in parsed)
          return { ...parsed, mistake: `has ${JSON.stringify(part.trim())}, which ${parsed.mistake}` }
        values.push(parsed.value)
      }
      return { value: values }
    },
    format: (values) => values.join(','),
  }
}

/** The one of `candidates` that `given` is a beginning of, or a typing mistake away from. */
export function nearest(given: string, candidates: readonly string[]): string | undefined {
  const begun = given.length >= 4 ? candidates.filter((candidate) => candidate.startsWith(given)) : []
  if (begun.length === 1) return begun[0]
  let best: string | undefined
  let least = Math.max(2, Math.floor(given.length / 3)) + 1
  for (const candidate of candidates) {
    const edits = editDistance(given.toLowerCase(), candidate.toLowerCase())
    if (edits < least) {
      least = edits
      best = candidate
    }
  }
  return best
}

/** Levenshtein's distance, row by row. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      row.push(Math.min(replaced, (previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1))
    }
    previous = row
  }
  return previous[b.length] ?? 0
}
