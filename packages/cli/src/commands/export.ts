import { createWriteStream } from 'node:fs'
import { once } from 'node:events'
import { finished } from 'node:stream/promises'
import { encodeUtf8 } from '@grapevine/contract'
import { openCluster } from '../cluster-access.ts'
import type { Call, Command } from '../command.ts'
import { CommandError, EXIT } from '../exit-code.ts'
import { Progress } from '../output/progress.ts'
import { tell } from '../output/print.ts'
import { formatRecord } from '../record-line.ts'

export const exportCommand: Command = {
  name: 'export',
  summary: 'Write the entries of a bucket as NDJSON',
  usage: 'export BUCKET [FILE]',
  details:
    'One line for each key, to stdout without a file, as `grapevine import` takes them. Pages are of one moment each,\nthe whole is not: for that there is `grapevine snapshot`.',
  flags: { prefix: { type: 'string', value: 'P', help: 'Only keys that begin so' } },
  examples: ['grapevine export carts carts.ndjson', 'grapevine export carts --prefix user: | gzip > users.ndjson.gz'],
  takes: { least: 1, most: 2 },
  async run(call) {
    const [bucket = '', file = '-'] = call.args
    const progress = new Progress(call, 'exporting')
    await using grapevine = await openCluster(call, { discover: true })
    const options = { prefix: call.flags.text('prefix'), signal: call.signal }
    const sink = await openSink(file, call)
    try {
      for await (const entry of grapevine.bucket(bucket, { codec: 'bytes' }).list(options)) {
        const key = typeof entry.key === 'string' ? (encodeUtf8(entry.key) ?? new Uint8Array()) : entry.key
        await sink.write(`${formatRecord({ ...entry, key }, Date.now())}\n`)
        await progress.add(1, entry.value.length)
      }
    } finally {
      await progress.clear()
      await sink.close()
    }
    await tell(call, `Exported ${progress.summary()}.`)
    return EXIT.good
  },
}

interface Sink {
  write(text: string): Promise<void>
  close(): Promise<void>
}

async function openSink(file: string, { shell }: Call): Promise<Sink> {
  if (file === '-') return { write: (text) => shell.stdout.write(text), close: async () => {} }
  const stream = createWriteStream(file)
  const end = finished(stream)
  // Heard of when the sink is closed, at the latest.
  end.catch(() => {})
  await once(stream, 'open').catch((cause: unknown) => {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new CommandError(`${file} cannot be written: ${why}.`, {
      next: 'name another file, or none for stdout',
      cause,
    })
  })
  return {
    async write(text) {
      if (!stream.write(text)) await Promise.race([once(stream, 'drain'), end])
    },
    async close() {
      stream.end()
      await end
    },
  }
}
