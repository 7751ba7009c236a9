import { isUtf8 } from 'node:buffer'
import type { ByteString } from '@grapevine/core'
import { nearest } from '../config/option-types.ts'
import { ProblemError } from './problem.ts'

/** Parameters by name. The values are byte strings: keys are bytes, and everything else is ASCII. */
export type Query = ReadonlyMap<string, ByteString>

const NONE: Query = new Map()

/**
 * Reads a query string strictly: what is unknown or given twice is refused instead of being half understood, as a
 * misspelt `ttl` would be.
 * @throws {ProblemError} `bad_query`.
 */
export function parseQuery(text: string, known: readonly string[]): Query {
  if (text === '') return NONE
  const query = new Map<string, ByteString>()
  for (const pair of text.split('&')) {
    if (pair === '') continue
    const equals = pair.indexOf('=')
    const name = decode(equals < 0 ? pair : pair.slice(0, equals))
    if (!known.includes(name)) throw badQuery(unknownParameter(name, known))
    if (query.has(name)) throw badQuery(`The parameter ${name} is given twice.`)
    query.set(name, equals < 0 ? '' : decode(pair.slice(equals + 1)))
  }
  return query
}

export function badQuery(detail: string): ProblemError {
  return new ProblemError('bad_query', detail)
}

/** Everything after the question mark, or nothing. */
export function queryOf(url: string): string {
  const mark = url.indexOf('?')
  return mark < 0 ? '' : url.slice(mark + 1)
}

/** A whole number within bounds, or the default when the parameter is not there. */
export function countOf(query: Query, name: string, min: number, max: number, otherwise: number): number {
  const text = query.get(name)
  if (text === undefined) return otherwise
  const number = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
  if (number >= min && number <= max) return number
  throw badQuery(`${name} must be a whole number from ${min} to ${max}.`)
}

/** `name`, `name=true` and `name=1` say yes. */
export function yesOrNo(query: Query, name: string): boolean {
  const text = query.get(name)
  if (text === undefined || text === 'false' || text === '0') return false
  if (text === '' || text === 'true' || text === '1') return true
  throw badQuery(`${name} must be true or false.`)
}

/** Percent-encoded bytes, and `+` for a space, as forms and URLSearchParams write it. */
function decode(text: string): ByteString {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text
  const bytes = percentDecoded(spaced)
  if (bytes === undefined)
    throw badQuery(`The query has "${text.slice(0, 100)}", which is not percent-encoded correctly.`)
  return bytes
}

/** The bytes that a part of a URL stands for, or `undefined` for a percent sign without two digits, or a byte that has to be encoded. */
export function percentDecoded(text: string): ByteString | undefined {
  let decoded = ''
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code !== 0x25) {
      if (code <= 0x1f || code >= 0x7f) return undefined
      decoded += text.charAt(index)
      continue
    }
    const high = hexDigit(text.charCodeAt(index + 1))
    const low = hexDigit(text.charCodeAt(index + 2))
    if (high < 0 || low < 0) return undefined
    decoded += String.fromCharCode((high << 4) | low)
    index += 2
  }
  return decoded
}

export function isUtf8Bytes(bytes: ByteString): boolean {
  return isUtf8(Buffer.from(bytes, 'latin1'))
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  const lower = code | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}

function unknownParameter(name: string, known: readonly string[]): string {
  const near = nearest(name, known)
  const hint =
    near === undefined
      ? known.length === 0
        ? 'None is known here'
        : `Known are ${known.join(', ')}`
      : `Did you mean ${near}`
  const shown = JSON.stringify(name.slice(0, 50))
  return `The parameter ${shown} is not known. ${hint}${near === undefined ? '.' : '?'}`
}
