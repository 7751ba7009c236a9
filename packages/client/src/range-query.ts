import { decodeUtf8, encodeBase64Url } from '@grapevine/contract'
import { bytesOfBound, type Key } from './key.ts'

interface Range {
  readonly prefix?: Key | undefined
  readonly start?: Key | undefined
  readonly end?: Key | undefined
  readonly reverse?: boolean | undefined
}

/** Text where all bounds are UTF-8, otherwise all of them as base64url: the encoding is said of all at once. */
export function rangeQuery({ prefix, start, end, reverse }: Range): Record<string, string> {
  const bounds = Object.entries({ prefix, start, end }).flatMap(([name, bound]) =>
    bound === undefined ? [] : [{ name, bytes: bytesOfBound(bound) }],
  )
  const asText = bounds.every(({ bytes }) => decodeUtf8(bytes) !== undefined)
  const query: Record<string, string> = {}
  for (const { name, bytes } of bounds) query[name] = (asText ? decodeUtf8(bytes) : undefined) ?? encodeBase64Url(bytes)
  if (!asText) query['key_encoding'] = 'base64url'
  if (reverse === true) query['reverse'] = 'true'
  return query
}
