import { openCluster } from '../cluster-access.ts'
import type { Call, Command } from '../command.ts'
import { EXIT } from '../exit-code.ts'
import { importRecords, type NumberedRecord } from '../import-batches.ts'
import { inputOf } from '../input-file.ts'
import { linesOf } from '../lines.ts'
import { formatOf } from '../output/format.ts'
import { plural } from '../output/numbers.ts'
import { printDocument, tell } from '../output/print.ts'
import { Progress } from '../output/progress.ts'
import { BadLineError, parseRecord } from '../record-line.ts'

/** More of them say nothing new. They are counted all the same. */
const MISTAKES_SHOWN_MAX = 20
const PATIENCE_MS = 30_000

export const importCommand: Command = {
  name: 'import',
  summary: 'Write entries from NDJSON',
  usage: 'import BUCKET [FILE]',
  details:
    'Lines are { "key", "value", "contentType"?, "ttl"? }. A "value" that is a string stands for its text, any other for\nits JSON; bytes go as "base64" instead. Stdin without a file. Lines that are wrong are named and counted, the others are\nwritten. Of two lines with one key the later one wins. After an interruption simply run it again.',
  flags: {
    patience: { type: 'string', value: 'DURATION', help: 'How long to go on trying while nobody takes it (30s)' },
  },
  examples: ['grapevine import carts carts.ndjson', 'zcat users.ndjson.gz | grapevine import carts -'],
  takes: { least: 1, most: 2 },
  async run(call) {
    const [bucket = '', file = '-'] = call.args
    const progress = new Progress(call, 'importing')
    const mistakes = new Mistakes(call, progress)
    await using grapevine = await openCluster(call, { discover: true })
    // Found out before the first line is read: a name that is none, and nobody there. Later on we are patient.
    grapevine.bucket(bucket)
    await grapevine.request('/livez', { signal: call.signal })
    try {
      await importRecords(recordsOf(file, call, mistakes), grapevine, {
        bucket,
        patienceMs: call.flags.duration('patience') ?? PATIENCE_MS,
        timeoutMs: call.flags.duration('timeout'),
        signal: call.signal,
        onStored: (records, bytes) => progress.add(records, bytes),
        onRefused: (line, error) => mistakes.add(line, error.message),
      })
    } finally {
      await progress.clear()
      await tell(call, `Imported ${progress.summary()}${mistakes.summary()}.`)
    }
    if (formatOf(call.flags) !== 'table') {
      const { keys: imported, bytes } = progress
      await printDocument(call, { bucket, imported, bytes, failed: mistakes.count }, () => '')
    }
    if (call.signal.aborted) return EXIT.interrupted
    if (mistakes.count === 0) return EXIT.good
    await tell(call, 'Next: correct these lines and import the file again; what is there already does no harm')
    return EXIT.error
  },
}

async function* recordsOf(file: string, call: Call, mistakes: Mistakes): AsyncGenerator<NumberedRecord, void, void> {
  for await (const line of linesOf(inputOf(file, call.shell))) {
    if (call.signal.aborted) return
    try {
      if (line.flaw !== undefined) throw new BadLineError(line.flaw)
      yield { ...parseRecord(line.text), line: line.number }
    } catch (error) {
      if (!(error instanceof BadLineError)) throw error
      await mistakes.add(line.number, error.message)
    }
  }
}

class Mistakes {
  readonly #call: Call
  readonly #progress: Progress
  count = 0

  constructor(call: Call, progress: Progress) {
    this.#call = call
    this.#progress = progress
  }

  async add(line: number, message: string): Promise<void> {
    this.count++
    if (this.count > MISTAKES_SHOWN_MAX) return
    await this.#progress.clear()
    await tell(this.#call, `line ${line}: ${message}`)
    if (this.count === MISTAKES_SHOWN_MAX) await tell(this.#call, 'Further lines are only counted.')
  }

  summary(): string {
    return this.count === 0 ? '' : `; ${plural(this.count, 'line')} failed`
  }
}
