import type { RestoreBody, RestoreKey } from '@grapevine/contract'
import { openCluster, openNodeOrCluster } from '../cluster-access.ts'
import type { Call, Command } from '../command.ts'
import { CommandError, EXIT, type ExitCode } from '../exit-code.ts'
import { FinishedFile } from '../finished-file.ts'
import { inputOf } from '../input-file.ts'
import { countText, plural } from '../output/numbers.ts'
import { printDocument, tell } from '../output/print.ts'
import { Progress } from '../output/progress.ts'
import { checkSnapshot, type CheckedSnapshot } from '../read-snapshot-file.ts'
import { loadServer } from '../server-module.ts'
import { UsageError } from '../usage-error.ts'
import { visible } from '../output/table.ts'

/** More of them say nothing new on a terminal. The report has them all. */
const KEYS_SHOWN_MAX = 20

export const snapshot: Command = {
  name: 'snapshot',
  summary: 'Save a moment of everything, check it, take it in again',
  usage: 'snapshot save FILE [NODE | --from DIR] | check FILE | restore FILE [--as-new]',
  details:
    'save: all that one node holds at one moment, checked while it comes; the file is there as a whole or not at all. Exit code 6,\nas of check, when the node could not read some of it.\n' +
    'save --from DIR: what is in a data directory that no process uses, as one that was set aside.\n' +
    'check: reads a file to its end, without any node.\n' +
    'restore: takes it into the running cluster. What was deleted since stays deleted. What the cluster has never seen, and is\nolder than what it promises to its members, is left out and named; --as-new --quarantined writes that anew.\n' +
    'restore --as-new: writes what had a value anew, deleted or not. A cluster that is lost altogether begins again with\n`grapevine server --found --restore FILE`.',
  flags: {
    from: { type: 'string', value: 'DIR', help: 'save: from this directory on this machine, and not from a node' },
    'as-new': { type: 'boolean', help: 'Write entries anew, as fresh versions' },
    quarantined: { type: 'boolean', help: 'With --as-new: only what can be taken in no other way, after all else was' },
    bucket: { type: 'string', value: 'B', help: 'With --as-new: only in this bucket' },
    prefix: { type: 'string', value: 'P', help: 'With --as-new: only keys that begin so' },
    absent: { type: 'boolean', help: 'With --as-new: only keys that have no value now' },
    'of-cluster': { type: 'string', value: 'ID', help: 'Also a snapshot of this cluster, which ours was begun from' },
    report: { type: 'string', value: 'FILE', help: 'Write what was not taken in there, as NDJSON' },
  },
  examples: [
    'grapevine snapshot save backup.snapshot',
    'grapevine snapshot restore backup.snapshot',
    'grapevine snapshot restore backup.snapshot --as-new --bucket carts --prefix 42/',
  ],
  takes: { least: 1, most: 3 },
  async run(call) {
    const [verb = '', file, ...rest] = call.args
    const run = VERBS.get(verb)
    if (run === undefined)
      throw new UsageError(`${JSON.stringify(verb)} is none of save, check and restore: grapevine ${this.usage}`)
    if (file === undefined) throw new UsageError(`Name the file: grapevine snapshot ${verb} FILE`)
    if (rest.length > 0 && verb !== 'save') throw new UsageError(`${JSON.stringify(rest[0])} is one word too many.`)
    return run(call, file)
  },
}

const VERBS: ReadonlyMap<string, (call: Call, file: string) => Promise<ExitCode>> = new Map([
  ['save', save],
  ['check', check],
  ['restore', restore],
])

async function save(call: Call, file: string): Promise<ExitCode> {
  const directory = call.flags.text('from')
  if (directory !== undefined) {
    if (call.args[2] !== undefined) throw new UsageError('Name a node or a directory, and not both.')
    const { snapshotOfDirectory, systemClock, systemHash } = await loadServer()
    return saved(call, file, snapshotOfDirectory(directory, { hash: systemHash, clock: systemClock }))
  }
  await using grapevine = await openNodeOrCluster(call, call.args[2])
  // Awaited here: the client is closed on the way out.
  return await saved(call, file, await grapevine.admin.snapshot({ signal: call.signal }))
}

async function saved(call: Call, file: string, stream: AsyncIterable<Uint8Array>): Promise<ExitCode> {
  const checked = await (file === '-' ? saveTo(call, stream, call.shell.stdout) : saveFile(call, stream, file))
  if (file !== '-') await printSnapshot(call, file, checked)
  if (checked.summary.isWhole) return EXIT.good
  await warnIncomplete(call, checked)
  return EXIT.divergence
}

async function saveFile(call: Call, stream: AsyncIterable<Uint8Array>, file: string): Promise<CheckedSnapshot> {
  await using sink = await FinishedFile.begin(file)
  const checked = await saveTo(call, stream, sink)
  await sink.finish()
  return checked
}

/** Checked while it is written: what broke off on the way does not become a file. */
async function saveTo(
  call: Call,
  stream: AsyncIterable<Uint8Array>,
  sink: { write(bytes: Uint8Array): Promise<void> },
): Promise<CheckedSnapshot> {
  async function* written(): AsyncGenerator<Uint8Array, void, void> {
    for await (const chunk of stream) {
      await sink.write(chunk)
      yield chunk
    }
  }
  const checked = await withProgress(call, 'saving', (onProgress) => checkSnapshot(written(), 'the answer', onProgress))
  return checked
}

async function check(call: Call, file: string): Promise<ExitCode> {
  const checked = await withProgress(call, 'checking', (onProgress) =>
    checkSnapshot(inputOf(file, call.shell), file, onProgress),
  )
  await printSnapshot(call, file, checked)
  if (checked.summary.isWhole) return EXIT.good
  await warnIncomplete(call, checked)
  return EXIT.divergence
}

async function restore(call: Call, file: string): Promise<ExitCode> {
  const { flags, signal } = call
  const asNew = flags.has('as-new')
  if (flags.text('from') !== undefined) throw new UsageError('--from says what is saved: restore takes a file.')
  for (const name of ['bucket', 'prefix'])
    if (flags.text(name) !== undefined && !asNew)
      throw new UsageError(`--${name} says what is written anew: add --as-new.`)
  for (const name of ['quarantined', 'absent'])
    if (flags.has(name) && !asNew) throw new UsageError(`--${name} says what is written anew: add --as-new.`)
  // A file is checked to its end before anything of it is sent. What comes through a pipe is checked on its way.
  if (file !== '-')
    await withProgress(call, 'checking', (onProgress) => checkSnapshot(inputOf(file, call.shell), file, onProgress))
  await using grapevine = await openCluster(call)
  const body = await withProgress(call, 'restoring', (onProgress) =>
    grapevine.admin.restore(() => sent(inputOf(file, call.shell), onProgress), {
      signal,
      asNew,
      quarantined: flags.has('quarantined'),
      absent: flags.has('absent'),
      bucket: flags.text('bucket'),
      prefix: flags.text('prefix'),
      cluster: flags.text('of-cluster'),
    }),
  )
  const report = flags.text('report')
  if (report !== undefined) await writeReport(report, body.keys)
  await printDocument(call, body, () => restoreText(body, report))
  return left(body) > 0 ? EXIT.divergence : EXIT.good
}

function sent(
  source: AsyncIterable<Uint8Array>,
  onProgress: (entries: number, bytes: number) => Promise<void>,
): ReadableStream<Uint8Array> {
  async function* counted(): AsyncGenerator<Uint8Array, void, void> {
    for await (const chunk of source) {
      await onProgress(0, chunk.length)
      yield chunk
    }
  }
  return ReadableStream.from(counted())
}

async function withProgress<T>(
  call: Call,
  verb: string,
  run: (onProgress: (entries: number, bytes: number) => Promise<void>) => Promise<T>,
): Promise<T> {
  const progress = new Progress(call, verb)
  try {
    return await run(async (entries, bytes) => {
      call.signal.throwIfAborted()
      await progress.add(entries, bytes)
    })
  } catch (cause) {
    if (call.signal.aborted) throw new CommandError('Interrupted.', { exitCode: EXIT.interrupted, cause })
    throw cause
  } finally {
    await progress.clear()
  }
}

async function printSnapshot(call: Call, file: string, { manifest, summary, bytes }: CheckedSnapshot): Promise<void> {
  const { clusterId, nodeId, name, takenAt, values, tombstones } = manifest
  const root = Buffer.from(manifest.root, 'latin1').toString('hex')
  const document = {
    file,
    clusterId,
    nodeId,
    name,
    takenAt,
    root,
    keys: values,
    tombstones,
    entries: summary.entries,
    corrupt: summary.corrupt,
    whole: summary.isWhole,
    bytes,
  }
  await printDocument(
    call,
    document,
    () =>
      `${file}: ${plural(values, 'key')} and ${plural(tombstones, 'tombstone')} of ${name} in cluster ${clusterId}, ` +
      `${takenAt}, ${countText(bytes)} bytes.\nRoot ${root}\n`,
  )
}

async function warnIncomplete(call: Call, { summary, manifest }: CheckedSnapshot): Promise<void> {
  const why =
    summary.corrupt > 0
      ? `${plural(summary.corrupt, 'row')} could not be read by ${manifest.name} and are missing`
      : `${manifest.name} had lost rows without knowing`
  await tell(call, `The snapshot is readable, and not whole: ${why}.`)
  await tell(call, `Next: grapevine scrub ${manifest.name} --wait, or save a snapshot of another node`)
}

/** Entries that wait for somebody's decision. */
function left({ quarantined, beyondDrift, unreadable, written, kept }: RestoreBody): number {
  return Math.max(0, quarantined - written - kept) + beyondDrift + unreadable
}

function restoreText(body: RestoreBody, report: string | undefined): string {
  const lines = [`${plural(body.entries, 'entry', 'entries')} read.`]
  for (const [count, what] of [
    [body.applied, 'taken in'],
    [body.present, 'were there already'],
    [body.older, 'are older than what is there'],
    [body.deleted, 'were deleted since, and stay so'],
    [body.written, 'written anew'],
    [body.kept, 'have a value, which stays'],
    [body.skipped, 'not asked for, or without a value'],
    [body.quarantined, 'were never seen here, and are older than what was promised: left out'],
    [body.beyondDrift, "are too far ahead of the node's clock: left out"],
    [body.unreadable, 'could not be compared, since the node cannot read what it holds: left out'],
  ] as const)
    if (count > 0) lines.push(`${countText(count).padStart(11)}  ${what}`)
  if (!body.snapshot.whole)
    lines.push(`The snapshot is not whole: ${body.snapshot.name} could not read all of its rows when it was taken.`)
  if (left(body) > 0 && report === undefined) {
    for (const { bucket, key, why } of body.keys.slice(0, KEYS_SHOWN_MAX))
      lines.push(`  ${bucket} ${visible(key)}  ${why}`)
    const more = body.keys.length - KEYS_SHOWN_MAX + body.keysOmitted
    if (more > 0) lines.push(`  and ${countText(more)} more: --report FILE or -o json names up to 10 000`)
  }
  if (body.quarantined > 0 && body.written + body.kept === 0)
    lines.push('Next: grapevine snapshot restore FILE --as-new --quarantined, if they are to come back')
  return `${lines.join('\n')}\n`
}

async function writeReport(file: string, keys: readonly RestoreKey[]): Promise<void> {
  try {
    await using sink = await FinishedFile.begin(file)
    for (const key of keys) await sink.write(`${JSON.stringify(key)}\n`)
    await sink.finish()
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new CommandError(`The snapshot was restored. ${why}`, {
      next: 'the same again with another --report, which does no harm',
      cause,
    })
  }
}
