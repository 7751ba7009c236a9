import { MEDIA_TYPES } from '@grapevine/contract'
import { openCluster } from '../cluster-access.ts'
import type { Call, Command } from '../command.ts'
import { EXIT } from '../exit-code.ts'
import { inputOf } from '../input-file.ts'
import { keyOf, KEY_FLAGS } from '../key-argument.ts'
import { formatOf } from '../output/format.ts'
import { printDocument, tell } from '../output/print.ts'
import { visible } from '../output/table.ts'
import { readAll } from '../read-all.ts'
import { UsageError } from '../usage-error.ts'
import { WRITE_FLAGS, writeOptionsOf } from '../write-flags.ts'

export const put: Command = {
  name: 'put',
  summary: 'Write a value',
  usage: 'put BUCKET KEY [VALUE | - | --file FILE]',
  details: 'The value is the third word, a file, or stdin for -. An empty value is a value.',
  flags: {
    file: { type: 'string', short: 'f', value: 'FILE', help: 'Take the value from a file' },
    'content-type': { type: 'string', value: 'TYPE', help: 'What the value is (text for a word, else by the file)' },
    ttl: { type: 'string', value: 'DURATION', help: 'How long it lives: 30s, 15m, 12h, 7d; none against the policy' },
    ...WRITE_FLAGS,
    ...KEY_FLAGS,
  },
  examples: [
    'grapevine put carts 42 \'{"items":3}\' --content-type application/json',
    'date | grapevine put demo now -',
  ],
  takes: { least: 2, most: 3 },
  async run(call) {
    const [bucket = '', keyText = ''] = call.args
    const key = keyOf(call, keyText)
    const { value, contentType } = await valueOf(call)
    await using grapevine = await openCluster(call)
    const options = { ...writeOptionsOf(call), ttl: call.flags.text('ttl'), contentType }
    const { etag, acks, servedBy } = await grapevine.bucket(bucket, { codec: 'bytes' }).put(key, value, options)
    const where = visible(`${bucket}/${keyText}`)
    if (formatOf(call.flags) === 'table') await tell(call, `${where} is on ${acks.count} of ${acks.of} nodes.`)
    else await printDocument(call, { bucket, key: keyText, etag, acks, servedBy }, () => '')
    return EXIT.good
  },
}

async function valueOf(call: Call): Promise<{ readonly value: Uint8Array; readonly contentType: string }> {
  const { args, flags, shell } = call
  const word = args[2]
  const file = flags.text('file') ?? (word === '-' ? word : undefined)
  const contentType = flags.text('content-type')
  if (flags.text('file') !== undefined && word !== undefined)
    throw new UsageError('There are two values: give a word or --file, not both.')
  if (file !== undefined) {
    const value = await readAll(inputOf(file, shell), file === '-' ? 'stdin' : file)
    return { value, contentType: contentType ?? typeOfFile(file) }
  }
  if (word === undefined)
    throw new UsageError('The value is missing: give it as a word, as --file FILE, or - for stdin.')
  return { value: new TextEncoder().encode(word), contentType: contentType ?? 'text/plain; charset=utf-8' }
}

/** Only what is certain from the name; everything else is bytes. */
function typeOfFile(file: string): string {
  if (file.endsWith('.json')) return MEDIA_TYPES.json
  return file.endsWith('.txt') ? 'text/plain; charset=utf-8' : MEDIA_TYPES.bytes
}
