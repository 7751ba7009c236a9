import { addressOf, bytesOf, NO_MEASURES, sealEntry, type Admission, type Entry, type Log } from '@grapevine/core'
import { expect, it } from 'vitest'
import type { Arrival, RemoteEntries } from '../src/arrival.ts'
import type { Committer } from '../src/committer.ts'
import { Intake } from '../src/intake.ts'
import { sha256 } from './small-cluster.ts'
import { VirtualTime } from './virtual-time.ts'

const SILENT: Log = { info: () => {}, warn: () => {}, error: () => {} }
const DRIFT_MS = 10_000

interface Committed {
  readonly intake: Intake
  readonly time: VirtualTime
  readonly arrivals: RemoteEntries[]
}

/** An intake before a committer that finds everything news. */
function open(): Committed {
  const time = new VirtualTime()
  const arrivals: RemoteEntries[] = []
  const submit = (arrival: Arrival): void => {
    if (arrival.kind !== 'entries') throw new Error('an intake brings entries')
    arrivals.push(arrival)
    arrival.settle(arrival.entries.map((): Admission => 'news'))
  }
  const committer = { submit, state: { roster: { known: [], evicted: [] } } } as unknown as Committer
  const intake = new Intake({
    committer,
    clock: time,
    hash: sha256,
    timers: time,
    measures: NO_MEASURES,
    log: SILENT,
    driftMs: DRIFT_MS,
  })
  return { intake, time, arrivals }
}

function entryAt(key: string, wallMs: number, seq = 1): Entry {
  const address = addressOf('things', key)
  return sealEntry(
    {
      address,
      keyHash: sha256.sha256(bytesOf(address)),
      version: { hlc: { wallMs, counter: 0 }, replica: 'a'.repeat(16) },
      dot: { writer: 'b'.repeat(16), seq },
      expiresAtMs: 0,
      contentType: '',
      value: Buffer.from('v'),
    },
    sha256,
  )
}

it('parks what is stamped beyond the permitted drift, and takes it in when its time has come', async () => {
  const { intake, time, arrivals } = open()
  const now = time.wallMs()
  const fates = await intake.takeIn({
    entries: [entryAt('a', now), entryAt('far', now + DRIFT_MS + 5_000), entryAt('b', now + DRIFT_MS)],
    source: 'rumor',
    from: 'c'.repeat(16),
  })
  expect(fates).toEqual(['news', 'parked', 'news'])
  expect(intake.parked).toBe(1)
  expect(arrivals.flatMap(({ entries }) => entries.map(({ address }) => address))).toEqual(['things\0a', 'things\0b'])
  await time.advance(4_000)
  expect(intake.parked).toBe(1)
  await time.advance(2_000)
  expect(intake.parked).toBe(0)
  expect(arrivals.at(-1)?.entries.map(({ address }) => address)).toEqual(['things\0far'])
  // Whoever sent it may have been evicted meanwhile, so it is still known.
  expect(arrivals.at(-1)?.from).toBe('c'.repeat(16))
})

it('adopts no claim of an answer with a parked entry (R7)', async () => {
  const { intake, time, arrivals } = open()
  const now = time.wallMs()
  const claims = [[3, [['b'.repeat(16), [1, 9]]]]] as const
  await intake.takeIn({ entries: [entryAt('a', now + 60_000)], claims, source: 'pull', from: 'c'.repeat(16) })
  expect(arrivals).toEqual([])
  await intake.takeIn({ entries: [entryAt('a', now)], claims, source: 'pull', from: 'c'.repeat(16) })
  expect(arrivals[0]?.claims).toEqual(claims)
})

it('parks a bounded number, the newest of each key', async () => {
  const { intake, time } = open()
  const later = time.wallMs() + 3_600_000
  for (let from = 0; from < 12_000; from += 1_000) {
    const entries = Array.from({ length: 1_000 }, (_, index) => entryAt(`k${from + index}`, later))
    await intake.takeIn({ entries, source: 'rumor', from: 'c'.repeat(16) })
  }
  expect(intake.parked).toBe(10_000)
  await intake.takeIn({ entries: [entryAt('k1', later + 1)], source: 'rumor', from: 'c'.repeat(16) })
  expect(intake.parked).toBe(10_000)
  intake.stop()
})
