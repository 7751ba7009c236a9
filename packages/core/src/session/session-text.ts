import { compareHlc, HLC_ZERO, hlcText, parseHlc } from '../clock/hlc.ts'
import { partitionOf } from '../placement/partition.ts'
import { areSeqRanges } from '../vector/version-vector.ts'
import { isClusterId, SEQ_MAX, type ClusterId, type ReplicaId, type WriterId } from '../version/version.ts'
import { SessionToken, type SessionView, type Sighting } from './session-token.ts'

/**
 * What fits into a header beside everything else. A request may have 16 KiB of headers, and proxies pass on no more than
 * 8 KiB in one.
 */
export const SESSION_TOKEN_CHARS_MAX = 8_192
/** From here on dots are gathered into ranges, while there is still room for many sessions to stay exact. */
const BRIDGED_FROM_CHARS = 4_096

/** A text that {@link sessionText} never made. */
export class MalformedSessionError extends Error {
  override readonly name = 'MalformedSessionError'
}

/*
 * The text of a token, fields between dots:
 *
 *     1 . cluster . hlc . floor . writers . partitions . check
 *
 * floor is empty, or an hlc and the replicas where it is reached. writers are ids, each with the id of its replica, or zeros
 * where that is not known. A partition is two hexadecimal digits, then for each writer its place among the writers as
 * capital letters, and its ranges in base 36: `a3A1-9_cB2`; partitions are parted by `~`. check is of the rest: a token
 * that was cut off or edited by mistake must not pass for another one. It keeps no secret and stops nobody who means it:
 * a token can only make its own session wait.
 */
const TOKEN =
  /^1\.([0-9a-f]{32})\.([0-9a-f]{16})\.((?:[0-9a-f]{16})*)\.((?:[0-9a-f]{32})*)\.([0-9a-zA-Z_~-]*)\.([0-9a-f]{8})$/
const UNKNOWN_REPLICA: ReplicaId = '0'.repeat(16)

export function sessionText(token: SessionToken): string {
  const floor = token.floor === undefined ? '' : hlcText(token.floor.hlc) + token.floor.reachedAt.join('')
  const places = new Map<WriterId, string>()
  let writers = ''
  let partitions = ''
  for (const partition of token.partitions) {
    const rows = token.rows(partition)
    if (rows.length === 0) continue
    if (partitions !== '') partitions += '~'
    partitions += partition.toString(16).padStart(2, '0')
    for (const [writer, ranges] of rows) {
      let place = places.get(writer)
      if (place === undefined) {
        places.set(writer, (place = placeText(places.size)))
        writers += writer + (token.replicaOf(writer) ?? UNKNOWN_REPLICA)
      }
      partitions += place
      for (let index = 0; index < ranges.length; index += 2) {
        const [from = 0, to = 0] = [ranges[index], ranges[index + 1]]
        if (index > 0) partitions += '_'
        partitions += from === to ? from.toString(36) : `${from.toString(36)}-${to.toString(36)}`
      }
    }
  }
  const text = `1.${token.cluster}.${hlcText(token.hlc)}.${floor}.${writers}.${partitions}`
  return `${text}.${checkOf(text)}`
}

/** @throws {MalformedSessionError} */
export function parseSessionText(text: string): SessionToken {
  const fields = text.length <= SESSION_TOKEN_CHARS_MAX ? TOKEN.exec(text) : null
  const [, cluster = '', hlc = '', floor = '', writers = '', partitions = '', check = ''] = fields ?? []
  if (fields === null || !isClusterId(cluster)) throw new MalformedSessionError('this is no session token')
  if (checkOf(text.slice(0, -check.length - 1)) !== check)
    throw new MalformedSessionError('the session token was changed')
  const token = new SessionToken(cluster)
  token.raise(parseHlc(hlc) ?? HLC_ZERO)
  if (floor !== '') {
    const [at = '', ...reachedAt] = idsIn(floor)
    token.liftFloor({ hlc: parseHlc(at) ?? HLC_ZERO, reachedAt })
  }
  const owners: WriterId[] = []
  const ids = idsIn(writers)
  for (let index = 0; index < ids.length; index += 2) {
    const [writer = '', replica = ''] = [ids[index], ids[index + 1]]
    owners.push(writer)
    if (replica !== UNKNOWN_REPLICA) token.own(writer, replica)
  }
  readPartitions(partitions, owners, token)
  return token
}

/**
 * The text for an answer, made shorter where it has to be.
 * @param view of the replica that answers; `undefined` for a mere join of tokens.
 */
export function fittedSessionText(token: SessionToken, view: SessionView | undefined): string {
  const text = sessionText(token)
  if (text.length <= BRIDGED_FROM_CHARS) return text
  // Of all ways the shortest, and it costs nothing when the frontier has passed already.
  const isPassed = view !== undefined && compareHlc(token.hlc, view.frontier) <= 0
  if (!isPassed) {
    const fitted = view !== undefined && token.bridge(view) ? sessionText(token) : text
    if (fitted.length <= SESSION_TOKEN_CHARS_MAX) return fitted
  }
  token.generalise(view)
  return sessionText(token)
}

/**
 * The text of a session that has seen this and nothing else, as nearly every answer without a session has it. It is what
 * {@link sessionText} gives, without a token in between: that would cost as much as the rest of a read.
 */
export function firstSessionText(cluster: ClusterId, { keyHash, version, dot }: Sighting): string {
  const partition = partitionOf(keyHash).toString(16).padStart(2, '0')
  const writer = dot.writer + version.replica
  const text = `1.${cluster}.${hlcText(version.hlc)}..${writer}.${partition}A${dot.seq.toString(36)}`
  return `${text}.${checkOf(text)}`
}

/** Character by character: a large token has more than a thousand dots, and comes with every request of its session. */
function readPartitions(text: string, writers: readonly WriterId[], token: SessionToken): void {
  const cursor = new Cursor(text)
  while (!cursor.isAtEnd) {
    const partition = cursor.hexDigit() * 16 + cursor.hexDigit()
    const rows: [WriterId, number[]][] = []
    do {
      const writer = writers[cursor.place()]
      const ranges = readRanges(cursor)
      if (writer === undefined || !areSeqRanges(ranges) || (ranges.at(-1) ?? 0) > SEQ_MAX) throw damaged()
      rows.push([writer, ranges])
    } while (!cursor.isAtEnd && !cursor.skips(TILDE))
    token.adopt(partition, rows)
  }
  if (text.endsWith('~')) throw damaged()
}

function readRanges(cursor: Cursor): number[] {
  const ranges: number[] = []
  do {
    const from = cursor.seq()
    ranges.push(from, cursor.skips(DASH) ? cursor.seq() : from)
  } while (cursor.skips(UNDERSCORE))
  return ranges
}

const [DASH, UNDERSCORE, TILDE] = [0x2d, 0x5f, 0x7e]

class Cursor {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#text.length
  }

  /** Whether the next character was this one. */
  skips(code: number): boolean {
    if (this.#text.charCodeAt(this.#at) !== code) return false
    this.#at++
    return true
  }

  hexDigit(): number {
    const code = this.#text.charCodeAt(this.#at++)
    if (code >= 0x30 && code <= 0x39) return code - 0x30
    if (code >= 0x61 && code <= 0x66) return code - 0x57
    throw damaged()
  }

  /** Base 26, as digits of capital letters; −1, which is no place, where there is none. */
  place(): number {
    let place = 0
    const start = this.#at
    for (;;) {
      const code = this.#text.charCodeAt(this.#at)
      if (!(code >= 0x41 && code <= 0x5a)) return this.#at === start ? -1 : place
      place = place * 26 + code - 0x41
      this.#at++
    }
  }

  /** Base 36; 0, which is no number of a write, where there is none. */
  seq(): number {
    let seq = 0
    for (;;) {
      const code = this.#text.charCodeAt(this.#at)
      if (code >= 0x30 && code <= 0x39) seq = seq * 36 + code - 0x30
      else if (code >= 0x61 && code <= 0x7a) seq = seq * 36 + code - 0x57
      else return seq
      this.#at++
    }
  }
}

function damaged(): MalformedSessionError {
  return new MalformedSessionError('this is no session token: its dots cannot be read')
}

function idsIn(text: string): string[] {
  return text.match(/.{16}/g) ?? []
}

/** A, B, … Z, BA, BB: base 26, as digits of capital letters. */
function placeText(place: number): string {
  let text = ''
  let left = place
  do {
    text = String.fromCharCode(65 + (left % 26)) + text
    left = Math.floor(left / 26)
  } while (left > 0)
  return text
}

/** FNV-1a of 32 bits: every answer carries a token, and a hash that keeps secrets would cost more than all the rest of it. */
function checkOf(text: string): string {
  let check = 0x811c9dc5
  for (let index = 0; index < text.length; index++) check = Math.imul(check ^ text.charCodeAt(index), 0x01000193)
  return (check >>> 0).toString(16).padStart(8, '0')
}
