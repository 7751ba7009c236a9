import { compareHlc, hlcText, parseHlc, type Hlc } from '../clock/hlc.ts'

/** 64 random bits as 16 hexadecimal digits, drawn when a replica joins with an empty directory. Not an address. */
export type ReplicaId = string
/** 64 random bits as 16 hexadecimal digits, drawn at each start of a replica and each reopening of its store. */
export type WriterId = string
/** 64 random bits as 16 hexadecimal digits, drawn by each process: two of them at once with one replica id are one too many. */
export type RunId = string
/** 64 random bits as 16 hexadecimal digits, drawn by whoever is asked to let a node in. */
export type JoinTicket = string
/** 128 random bits as 32 hexadecimal digits, drawn by the founder of a cluster. */
export type ClusterId = string

/** What decides between two entries of one key: the later hlc, then the greater replica id. */
export interface Version {
  readonly hlc: Hlc
  readonly replica: ReplicaId
}

/**
 * The number of one write: writers count what they coordinate, per partition, from 1 and without gaps. The
 * partition follows from the key, so it is not repeated here. Dots tell what a replica has seen; they never
 * decide who wins.
 */
export interface Dot {
  readonly writer: WriterId
  readonly seq: number
}

export const SEQ_MAX: number = 2 ** 48 - 1

export function compareVersions(a: Version, b: Version): number {
  return compareHlc(a.hlc, b.hlc) || compareText(a.replica, b.replica)
}

/** The version as an entity tag, without the quotes: 16 digits of hlc, a dash, the replica id. */
export function etagOf({ hlc, replica }: Version): string {
  return `${hlcText(hlc)}-${replica}`
}

/** The version that {@link etagOf} wrote, or `undefined` for any other text. */
export function parseEtag(etag: string): Version | undefined {
  const hlc = parseHlc(etag.slice(0, 16))
  const replica = etag.slice(17)
  if (hlc === undefined || etag[16] !== '-' || !isId(replica)) return undefined
  return { hlc, replica }
}

export function isId(text: string): boolean {
  return /^[0-9a-f]{16}$/.test(text)
}

export function isClusterId(text: string): boolean {
  return /^[0-9a-f]{32}$/.test(text)
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
