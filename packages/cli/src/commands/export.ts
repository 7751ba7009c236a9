import { encodeUtf8 } from '@grapevine/contract'
import { openCluster } from '../cluster-access.ts'
import type { Command } from '../command.ts'
import { EXIT } from '../exit-code.ts'
import { FinishedFile } from '../finished-file.ts'
import { plural } from '../output/numbers.ts'
import { Progress } from '../output/progress.ts'
import { tell } from '../output/print.ts'
import { formatRecord } from '../record-line.ts'

export const exportCommand: Command = {
  name: 'export',
  summary: 'Write the entries of a bucket as NDJSON',
  usage: 'export BUCKET [FILE]',
  details:
    'One line for each key, to stdout without a file, as `grapevine import` takes them. The file is there as a whole or not at\nall. Pages are of one moment each, the whole is not: for that there is `grapevine snapshot`. Exit code 6 when the value of\nsome key could not be read.',
  flags: { prefix: { type: 'string', value: 'P', help: 'Only keys that begin so' } },
  examples: ['grapevine export carts carts.ndjson', 'grapevine export carts --prefix user: | gzip > users.ndjson.gz'],
  takes: { least: 1, most: 2 },
  async run(call) {
    const [bucket = '', file = '-'] = call.args
    const progress = new Progress(call, 'exporting')
    await using grapevine = await openCluster(call, { discover: true })
    let unreadable = 0
    const options = {
      prefix: call.flags.text('prefix'),
      signal: call.signal,
      onUnreadable: (rows: number) => void (unreadable += rows),
    }
    await using target = file === '-' ? undefined : await FinishedFile.begin(file)
    const sink = target ?? call.shell.stdout
    try {
      for await (const entry of grapevine.bucket(bucket, { codec: 'bytes' }).list(options)) {
        const key = typeof entry.key === 'string' ? (encodeUtf8(entry.key) ?? new Uint8Array()) : entry.key
        await sink.write(`${formatRecord({ ...entry, key }, Date.now())}\n`)
        await progress.add(1, entry.value.length)
      }
      await target?.finish()
    } finally {
      await progress.clear()
    }
    await tell(call, `Exported ${progress.summary()}.`)
    if (unreadable === 0) return EXIT.good
    await tell(call, `${plural(unreadable, 'key')} could not be read, neither by the node nor by another: left out.`)
    await tell(call, 'Next: grapevine scrub')
    return EXIT.divergence
  },
}
