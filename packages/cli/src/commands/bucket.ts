import { parseDuration, type BucketPolicyBody } from '@grapevine/contract'
import { openCluster } from '../cluster-access.ts'
import type { Call, Command } from '../command.ts'
import { EXIT } from '../exit-code.ts'
import { printDocument } from '../output/print.ts'
import { UsageError } from '../usage-error.ts'
import { WRITE_FLAGS, writeOptionsOf } from '../write-flags.ts'

export const bucket: Command = {
  name: 'bucket',
  summary: "A bucket's policy: how long its values live",
  usage: 'bucket BUCKET [--ttl DURATION | --no-ttl]',
  details:
    'Without an option it shows the policy. A policy holds for writes that name no time of their own, from the moment at ' +
    'which the node that takes them has heard of it; values that are there keep the time they have.',
  flags: {
    ttl: { type: 'string', value: 'DURATION', help: 'How long values live: 30s, 15m, 12h, 7d' },
    'no-ttl': { type: 'boolean', help: 'Values live for ever again' },
    w: WRITE_FLAGS.w,
  },
  examples: ['grapevine bucket sessions', 'grapevine bucket sessions --ttl 30m'],
  takes: { least: 1, most: 1 },
  async run(call) {
    const [name = ''] = call.args
    const ttl = wantedTtl(call)
    await using grapevine = await openCluster(call)
    const handle = grapevine.bucket(name)
    const { w: concern, signal } = writeOptionsOf(call)
    if (ttl !== undefined) await handle.setPolicy({ ttl }, { w: concern, signal })
    const policy: BucketPolicyBody = ttl === undefined ? await handle.policy({ signal }) : ttl === null ? {} : { ttl }
    await printDocument(call, { bucket: name, ...policy }, () => sentenceOf(name, policy))
    return EXIT.good
  },
}

/** `undefined` when the policy is only to be shown, `null` when it is to end. */
function wantedTtl({ flags }: Call): string | null | undefined {
  const ttl = flags.text('ttl')
  if (ttl === undefined) return flags.has('no-ttl') ? null : undefined
  if (flags.has('no-ttl')) throw new UsageError('--ttl and --no-ttl exclude each other.')
  if (parseDuration(ttl) === undefined)
    throw new UsageError(`--ttl must be a duration such as 30s, 15m, 12h or 7d, and ${JSON.stringify(ttl)} is none.`)
  return ttl
}

function sentenceOf(name: string, { ttl }: BucketPolicyBody): string {
  return ttl === undefined || ttl === null
    ? `Values in ${name} live for ever, unless their write says otherwise.\n`
    : `Values in ${name} live for ${ttl}, unless their write says otherwise.\n`
}
