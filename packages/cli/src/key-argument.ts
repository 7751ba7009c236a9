import type { Key } from '@grapevine/client'
import { decodeBase64Url } from '@grapevine/contract'
import type { Call, FlagSpec } from './command.ts'
import { UsageError } from './usage-error.ts'

export const KEY_FLAGS: Readonly<Record<string, FlagSpec>> = {
  base64url: { type: 'boolean', help: 'Keys are base64url, for those that are not text' },
}

/** A key as it stands on the command line. */
export function keyOf({ flags }: Call, text: string): Key {
  if (!flags.has('base64url')) return text
  const bytes = decodeBase64Url(text)
  if (bytes === undefined) throw new UsageError(`${JSON.stringify(text)} is not base64url in its canonical form.`)
  return bytes
}
