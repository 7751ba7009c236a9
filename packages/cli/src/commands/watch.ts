import { GrapevineError, type Change, type KeyChange } from '@grapevine/client'
import { encodeBase64Url } from '@grapevine/contract'
import { openCluster } from '../cluster-access.ts'
import type { Command } from '../command.ts'
import { EXIT } from '../exit-code.ts'
import { keyOf, KEY_FLAGS } from '../key-argument.ts'
import { formatOf } from '../output/format.ts'
import { tell } from '../output/print.ts'
import { visible } from '../output/table.ts'

export const watchCommand: Command = {
  name: 'watch',
  summary: 'Follow the changes of a bucket',
  usage: 'watch BUCKET [--prefix P]',
  details:
    'One line for each change, until it is interrupted. When its node goes away it goes on at another one.\n' +
    'Changes come without values: read the key for the newest.',
  flags: {
    prefix: { type: 'string', value: 'P', help: 'Only keys that begin so' },
    after: { type: 'string', value: 'ID', help: 'Go on from the id of an earlier watch (-o ndjson shows them)' },
    ...KEY_FLAGS,
  },
  examples: ['grapevine watch carts --prefix user:', 'grapevine watch carts -o ndjson | jq .key'],
  takes: { least: 1, most: 1 },
  async run(call) {
    const [bucket = ''] = call.args
    const prefix = call.flags.text('prefix')
    const lineOf = formatOf(call.flags) === 'table' ? textOf : jsonOf
    await using grapevine = await openCluster(call, { discover: true })
    const changes = grapevine.bucket(bucket, { codec: 'bytes' }).watch({
      prefix: prefix === undefined ? undefined : keyOf(call, prefix),
      after: call.flags.text('after'),
      timeoutMs: call.flags.duration('timeout'),
      signal: call.signal,
    })
    try {
      for await (const change of changes) {
        if (change.type === 'resync')
          await tell(call, `Something may have been missed here. See what there is: grapevine list ${bucket}`)
        await call.shell.stdout.write(`${lineOf(change)}\n`)
      }
    } catch (error) {
      if (!(error instanceof GrapevineError) || error.code !== 'aborted') throw error
    }
    return EXIT.interrupted
  },
}

/** A line for people. What a key has been is as long as the longest word of it. */
function textOf(change: Change): string {
  if (change.type === 'resync') return 'resync'
  const { type, origin, via, lagMs } = change
  return `${type.padEnd(6)}  ${shown(change)}  from ${origin}, ${via}, ${lagMs} ms`
}

function shown({ key }: KeyChange): string {
  return typeof key === 'string' ? visible(key) : `base64url:${encodeBase64Url(key)}`
}

function jsonOf(change: Change): string {
  if (change.type === 'resync' || typeof change.key === 'string') return JSON.stringify(change)
  return JSON.stringify({ ...change, key: encodeBase64Url(change.key), keyEncoding: 'base64url' })
}
