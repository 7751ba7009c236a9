import type { BatchOperation, Grapevine } from '@grapevine/client'
import type { ImportRecord } from './record-line.ts'
import { sleep } from './sleep.ts'

/** Enough that a commit is well filled, few enough that a lost connection repeats little. */
const RECORDS_PER_BATCH = 500
const BYTES_PER_BATCH = 1024 * 1024
/** Enough to keep a node busy while we read on. With the bytes of a batch this bounds what is held. */
const BATCHES_IN_FLIGHT = 4
const RETRY_WAIT_MS_MIN = 100
const RETRY_WAIT_MS_MAX = 2_000

export interface NumberedRecord extends ImportRecord {
  readonly line: number
}

export interface ImportOptions {
  readonly bucket: string
  /** How long a batch is tried again while nobody takes it. */
  readonly patienceMs: number
  readonly timeoutMs: number | undefined
  readonly signal: AbortSignal
  readonly onStored: (records: number, bytes: number) => Promise<void>
  readonly onRefused: (line: number, error: Error) => Promise<void>
}

/**
 * Writes records in batches, a few at once, and in the end as the input has them: of two lines with the same key
 * the later one wins. Writing a batch again does no harm, so what did not arrive for certain is sent again.
 */
export async function importRecords(
  records: AsyncIterable<NumberedRecord>,
  grapevine: Grapevine,
  options: ImportOptions,
): Promise<void> {
  const flight = new Map<Promise<void>, ReadonlySet<string>>()
  let failure: { readonly error: unknown } | undefined
  let batch: NumberedRecord[] = []
  let keys = new Set<string>()
  let bytes = 0

  const launch = async (): Promise<void> => {
    if (batch.length === 0) return
    while (flight.size >= BATCHES_IN_FLIGHT || overlaps(flight, keys)) await Promise.race(flight.keys())
    if (failure !== undefined) throw failure.error
    const sent = sendBatch(batch, grapevine, options)
      .catch((error: unknown) => void (failure ??= { error }))
      .finally(() => flight.delete(sent))
    flight.set(sent, keys)
    batch = []
    keys = new Set()
    bytes = 0
  }

  try {
    for await (const record of records) {
      const name = nameOf(record)
      if (batch.length >= RECORDS_PER_BATCH || bytes + record.value.length > BYTES_PER_BATCH || keys.has(name))
        await launch()
      batch.push(record)
      keys.add(name)
      bytes += record.value.length
    }
    await launch()
  } finally {
    await Promise.all(flight.keys())
  }
  if (failure !== undefined) throw failure.error
}

/** Two batches with one key must not be under way at once: either might come last. */
function overlaps(flight: ReadonlyMap<unknown, ReadonlySet<string>>, keys: ReadonlySet<string>): boolean {
  return [...flight.values()].some((others) => [...keys].some((key) => others.has(key)))
}

async function sendBatch(records: NumberedRecord[], grapevine: Grapevine, options: ImportOptions): Promise<void> {
  const { bucket, patienceMs, timeoutMs, signal, onStored, onRefused } = options
  const deadlineMs = Date.now() + patienceMs
  let left = records
  for (let attempt = 0; left.length > 0; attempt++) {
    const operations = left.map(({ key, value, contentType, ttl }): BatchOperation => {
      return { op: 'put', bucket, key, value, contentType, ttl }
    })
    const outcomes = await grapevine.batch(operations, { timeoutMs, signal })
    const again: NumberedRecord[] = []
    let stored = 0
    let bytes = 0
    for (const [index, record] of left.entries()) {
      const error = outcomes[index]?.error
      if (error === undefined) {
        stored++
        bytes += record.value.length
      } else if (error.code === 'aborted' || error.code === 'closed') {
        throw error
      } else if (error.retryable || error.outcome === 'unknown') {
        // Nobody to be reached for so long, or no way to write: the lines behind would fare the same.
        if (Date.now() > deadlineMs) throw error
        again.push(record)
      } else {
        await onRefused(record.line, error)
      }
    }
    if (stored > 0) await onStored(stored, bytes)
    left = again
    if (left.length > 0) await sleep(Math.min(RETRY_WAIT_MS_MAX, RETRY_WAIT_MS_MIN * 2 ** attempt), signal)
  }
}

function nameOf({ key }: ImportRecord): string {
  return typeof key === 'string' ? key : Buffer.from(key).toString('latin1')
}
