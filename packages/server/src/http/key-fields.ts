import { isUtf8 } from 'node:buffer'
import type { KeyFields } from '@grapevine/contract'
import type { ByteString } from '@grapevine/core'

/** A key as JSON shows it. What the contract's helper does, with the platform's decoders: lists call it for each row. */
export function keyFields(key: ByteString): KeyFields {
  const bytes = Buffer.from(key, 'latin1')
  return isUtf8(bytes)
    ? { key: bytes.toString('utf8') }
    : { key: bytes.toString('base64url'), keyEncoding: 'base64url' }
}
