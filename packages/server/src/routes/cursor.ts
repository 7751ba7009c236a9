import { byteStringOf, bytesOf, type ByteString, type Hash } from '@grapevine/core'
import { decodeBase64Url, encodeBase64Url } from '@grapevine/contract'
import { badQuery } from '../http/query.ts'

const FORMAT = '\u0001'
const CHECK_BYTES = 8

/**
 * Where a list goes on, for the client to send back. It carries a check of what was asked for, so that a cursor
 * cannot silently go on with another list, and a typing mistake is a 400 instead of a wrong page.
 */
export function encodeCursor(asked: string, position: ByteString, hash: Hash): string {
  return encodeBase64Url(bytesOf(FORMAT + checkOf(asked, position, hash) + position))
}

/** @throws {ProblemError} `bad_query`. */
export function decodeCursor(asked: string, cursor: string, hash: Hash): ByteString {
  const bytes = decodeBase64Url(cursor)
  const text = bytes === undefined ? '' : byteStringOf(bytes)
  const position = text.slice(1 + CHECK_BYTES)
  if (!text.startsWith(FORMAT) || text.slice(1, 1 + CHECK_BYTES) !== checkOf(asked, position, hash))
    throw badQuery('The cursor is not one that this list gave. It goes only with the same bucket and parameters.')
  return position
}

function checkOf(asked: string, position: ByteString, hash: Hash): ByteString {
  return hash.sha256(Buffer.from(`${asked}\u0000${position}`, 'latin1')).slice(0, CHECK_BYTES)
}
