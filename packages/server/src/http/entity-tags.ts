import { etagOf, type Precondition, type Version } from '@grapevine/core'
import { ProblemError } from './problem.ts'

/** What `If-Match` and `If-None-Match` hold. */
export type TagList = '*' | readonly EntityTag[]

export interface EntityTag {
  readonly weak: boolean
  /** Without the quotes. */
  readonly text: string
}

/** RFC 9110 §8.8.3: visible characters but the quote, and bytes beyond ASCII; in a list also a comma ends one. */
const TAG = /[\t ,]*(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"[\t ]*(?=,|$)/y
const NO_MORE_TAGS = /^[\t ,]*$/

/** @throws {ProblemError} `bad_header`. */
export function parseTagList(header: string, name: string): TagList {
  if (header.trim() === '*') return '*'
  const tags: EntityTag[] = []
  let read = 0
  for (;;) {
    TAG.lastIndex = read
    const match = TAG.exec(header)
    if (match === null) break
    read = TAG.lastIndex
    tags.push({ weak: match[1] !== undefined, text: match[2] ?? '' })
  }
  if (tags.length === 0 || !NO_MORE_TAGS.test(header.slice(read)))
    throw new ProblemError(
      'bad_header',
      `${name} must be * or a list of entity tags in double quotes, as they came in ETag.`,
    )
  return tags
}

/** The condition of a write, or `undefined` for none. */
export function preconditionOf(ifMatch: string | undefined, ifNoneMatch: string | undefined): Precondition | undefined {
  if (ifNoneMatch !== undefined) {
    if (ifMatch !== undefined)
      throw new ProblemError(
        'bad_header',
        'If-Match and If-None-Match exclude each other: a key cannot be both there and not.',
      )
    if (parseTagList(ifNoneMatch, 'If-None-Match') !== '*')
      throw new ProblemError('bad_header', 'If-None-Match of a write can only be *: write only if nothing is there.')
    return { kind: 'absent' }
  }
  if (ifMatch === undefined) return undefined
  const tags = parseTagList(ifMatch, 'If-Match')
  if (tags === '*') return { kind: 'present' }
  // If-Match compares strongly, and a weak tag is strongly equal to nothing.
  return { kind: 'one-of', etags: tags.filter(({ weak }) => !weak).map(({ text }) => text) }
}

/** Why a write, or a read, was not done. @param scope of the condition of a write; a read's is what the read has found. */
export function unmetIn(scope: 'node' | 'quorum' | undefined): string {
  const where = scope === 'quorum' ? 'as the newest of what a majority of the members holds' : 'on this node'
  return `The key does not hold, ${where}, what the condition asks for.`
}

/** Whether a reader that has one of these has what is held. If-None-Match compares weakly. */
export function isMatchedWeakly(header: string, version: Version): boolean {
  const etag = etagOf(version)
  if (header === `"${etag}"`) return true
  const tags = parseTagList(header, 'If-None-Match')
  return tags === '*' || tags.some(({ text }) => text === etag)
}

export function isMatchedStrongly(header: string, version: Version): boolean {
  const tags = parseTagList(header, 'If-Match')
  return tags === '*' || tags.some(({ weak, text }) => !weak && text === etagOf(version))
}

/** The same for an answer that is no entry. */
export function isMatchedText(header: string, etag: string): boolean {
  const tags = parseTagList(header, 'If-None-Match')
  return tags === '*' || tags.some(({ text }) => `"${text}"` === etag)
}
