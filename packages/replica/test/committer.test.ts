import {
  addressOf,
  bytesOf,
  compareHlc,
  compareVersions,
  etagOf,
  leafOf,
  NO_MEASURES,
  HLC_ZERO,
  partitionOf,
  sealEntry,
  type Admission,
  type Entry,
  type Log,
  type Precondition,
  type Store,
  type WriteName,
} from '@grapevine/core'
import { addDigest, entryDigest, HashTree } from '@grapevine/merkle'
import { LevelStore } from '@grapevine/storage'
import { MemoryLevel } from 'memory-level'
import { array, assert as assertProperty, asyncProperty, boolean, constantFrom, integer, record } from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { LocalOutcome } from '../src/arrival.ts'
import { Committer } from '../src/committer.ts'
import { DiskWatch } from '../src/disk-watch.ts'
import { forgetReceipts } from '../src/receipt-round.ts'
import { membershipChanger } from '../src/membership-change.ts'
import { seededRandom, sha256, valueOf } from './small-cluster.ts'
import { VirtualTime } from './virtual-time.ts'

const SILENT: Log = { info: () => {}, warn: () => {}, error: () => {} }

interface Bench {
  readonly time: VirtualTime
  readonly store: LevelStore
  readonly committer: Committer
  readonly db: MemoryLevel<Buffer, Buffer>
  /** Batches that fail instead of being written, and openings that fail. */
  readonly faults: { batches: number; openings: number; commits: number; kind: string }
  /** Why the replica was told to end. */
  readonly fatal: unknown[]
  /** What a batch waits for before it is written. */
  readonly disk: {
    ready: Promise<void>
    /** What it waits for when it is written, before anybody hears of that. */
    told: Promise<void>
  }
}

async function bench(): Promise<Bench> {
  const db = new MemoryLevel<Buffer, Buffer>({ keyEncoding: 'buffer', valueEncoding: 'buffer' })
  const time = new VirtualTime()
  const faults = { batches: 0, openings: 0, commits: 0, kind: 'No space left on device' }
  const fatal: unknown[] = []
  const disk = { ready: Promise.resolve(), told: Promise.resolve() }
  const store = await LevelStore.open({
    hash: sha256,
    openDatabase: async () => {
      if (faults.openings-- > 0) throw new Error('IO error: No space left on device')
      await db.open()
      return db
    },
  })
  const commit = store.commit.bind(store)
  store.commit = async (batch) => {
    faults.commits++
    return commit(batch)
  }
  const begin = db.batch.bind(db)
  Object.assign(db, {
    batch: () => {
      const rows = begin()
      const write = rows.write.bind(rows)
      rows.write = async (options?: object) => {
        await disk.ready
        if (faults.batches-- > 0) throw new Error(`IO error: ${faults.kind}`)
        await write(options ?? {})
        await disk.told
      }
      return rows
    },
  })
  faults.openings = 0
  faults.batches = 0
  const random = seededRandom(7)
  const committer = new Committer({
    store,
    clock: time,
    timers: time,
    random,
    hash: sha256,
    measures: NO_MEASURES,
    log: SILENT,
    disk: new DiskWatch({ disk: undefined, timers: time, log: SILENT, reserveBytes: 0 }),
    onFatal: (error) => fatal.push(error),
  })
  const identity = {
    cluster: random.hex(16),
    replica: random.hex(8),
    name: 'n1',
    stage: 'member',
    sponsor: '',
    incarnation: 1,
  } as const
  await membershipChanger(committer)(() => ({ identity, roster: { known: [identity.replica], evicted: [] } }))
  faults.commits = 0
  return { time, store, committer, db, faults, fatal, disk }
}

function put(
  { committer }: Bench,
  key: string,
  value: string | undefined,
  precondition?: Precondition,
  name?: WriteName,
): Promise<LocalOutcome> {
  const address = addressOf('things', key)
  return new Promise((settle, fail) => {
    committer.submit({
      kind: 'write',
      address,
      keyHash: sha256.sha256(bytesOf(address)),
      value: value === undefined ? undefined : Buffer.from(value),
      contentType: 'text/plain',
      expiresAtMs: 0,
      precondition,
      name,
      settle,
      fail,
    })
  })
}

async function applied(outcome: Promise<LocalOutcome>): Promise<Entry> {
  const settled = await outcome
  if (settled.kind !== 'applied') throw new Error('the write was not applied')
  return settled.entry
}

/** Lets the disk be busy until the returned function is called, and lets all that can be planned meanwhile be planned. */
function busyDisk({ disk }: Bench): { planned: () => Promise<void>; free: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  disk.ready = promise
  return {
    planned: async () => {
      for (let turn = 0; turn < 20; turn++) await Promise.resolve()
    },
    free: () => {
      disk.ready = Promise.resolve()
      resolve()
    },
  }
}

/** The root that the entries in the store make from scratch. */
async function rootOf(store: Store): Promise<string> {
  const tree = new HashTree(sha256)
  const view = store.view()
  for await (const row of view.scan({ from: '\0', below: '\u00ff' })) {
    if ('corrupt' in row) continue
    const sum = tree.sum(leafOf(row.keyHash)).slice()
    addDigest(sum, entryDigest(row, sha256))
    tree.setSum(leafOf(row.keyHash), sum)
  }
  await view.close()
  return tree.root()
}

it('commits what came in one turn as one batch, each as if it came alone', async () => {
  const b = await bench()
  const outcomes = await Promise.all([
    put(b, 'a', 'one'),
    put(b, 'a', 'two'),
    put(b, 'a', 'never', { kind: 'absent' }),
    put(b, 'b', 'three', { kind: 'absent' }),
    put(b, 'b', undefined),
    put(b, 'b', 'four', { kind: 'absent' }),
  ])
  expect(b.faults.commits).toBe(1)
  expect(outcomes.map(({ kind }) => kind)).toEqual([
    'applied',
    'applied',
    'precondition-failed',
    'applied',
    'applied',
    'applied',
  ])
  expect(valueOf(b.store.read(addressOf('things', 'a')))).toBe('two')
  expect(valueOf(b.store.read(addressOf('things', 'b')))).toBe('four')
  expect(b.committer.state.totals).toMatchObject({ values: 2, tombstones: 0 })
  const partition = partitionOf(sha256.sha256(bytesOf(addressOf('things', 'b'))))
  expect(b.committer.state.vector(partition).contiguous(b.committer.state.writer)).toBeGreaterThanOrEqual(3)
  expect(b.committer.state.tree.root()).toBe(await rootOf(b.store))
})

it('gives each write of a key a greater version, whatever the wall clock does', async () => {
  const b = await bench()
  let last = await applied(put(b, 'k', 'v'))
  for (const jumpMs of [3_600_000, -7_200_000, 0, -1, 1]) {
    b.time.wallOffsetMs += jumpMs
    const next = await applied(put(b, 'k', String(jumpMs)))
    expect(compareVersions(next.version, last.version)).toBeGreaterThan(0)
    last = next
  }
})

it('calls a write of a failed batch unknown, and goes on as another writer after opening again', async () => {
  const b = await bench()
  const before = await applied(put(b, 'k', 'before'))
  b.faults.batches = 1
  await expect(put(b, 'k', 'lost')).rejects.toMatchObject({ outcome: 'unknown' })
  const after = await applied(put(b, 'k', 'after'))
  expect(after.dot.writer).not.toBe(before.dot.writer)
  expect(compareVersions(after.version, before.version)).toBeGreaterThan(0)
  expect(valueOf(b.store.read(before.address))).toBe('after')
  expect(b.committer.state.tree.root()).toBe(await rootOf(b.store))
})

it('calls writes not applied that wait while the database cannot be opened, and recovers by itself', async () => {
  const b = await bench()
  b.faults.batches = 1
  b.faults.openings = 2
  const first = put(b, 'a', 'one')
  await expect(first).rejects.toMatchObject({ outcome: 'unknown' })
  const second = put(b, 'b', 'two')
  second.catch(() => {})
  await b.time.advance(1_500)
  await expect(second).rejects.toMatchObject({ outcome: 'not-applied' })
  await b.time.advance(1_500)
  expect(b.committer.isReopening).toBe(false)
  expect((await applied(put(b, 'b', 'three'))).dot.seq).toBe(1)
  expect(b.store.read(addressOf('things', 'a'))).toBeUndefined()
})

it('opens the store once after a disk that failed, and ends the second time', async () => {
  const b = await bench()
  b.faults.batches = 1
  b.faults.kind = 'Input/output error'
  await expect(put(b, 'a', 'one')).rejects.toMatchObject({ outcome: 'unknown' })
  await put(b, 'a', 'two')
  expect(b.fatal).toEqual([])
  b.faults.batches = 1
  await expect(put(b, 'a', 'three')).rejects.toMatchObject({ outcome: 'unknown' })
  expect(b.fatal).toMatchObject([{ code: 'io_error' }])
  await expect(put(b, 'a', 'four')).rejects.toMatchObject({ outcome: 'not-applied' })
})

it('overwrites an entry that cannot be read, and recomputes its leaf alone', async () => {
  const b = await bench()
  for (let key = 0; key < 200; key++) await put(b, `k${key}`, 'v')
  const address = addressOf('things', 'k7')
  await b.db.put(Buffer.from(`e${address}`, 'latin1'), Buffer.from('nonsense'))
  expect(b.store.read(address)).toBe('corrupt')
  await put(b, 'k7', 'new')
  expect(valueOf(b.store.read(address))).toBe('new')
  expect(b.committer.state.rebuilds).toBe(1)
  expect(b.committer.state.tree.root()).toBe(await rootOf(b.store))
  await b.store.reopen()
  expect(b.store.state.rebuilds).toBe(1)
})

it('starts from checkpoints with the same tree and vectors as from the journal', async () => {
  const b = await bench()
  Object.defineProperty(b.store, 'wantsCheckpoint', { get: () => b.faults.commits % 5 === 0 })
  for (let key = 0; key < 60; key++) await put(b, `k${key % 23}`, key % 7 === 0 ? undefined : `v${key}`)
  const root = b.committer.state.tree.root()
  const vectors = b.committer.state.partitionVectorHashes()
  await b.store.reopen()
  expect(b.store.state.replayedBatches).toBeLessThan(6)
  const again = new Committer({
    store: b.store,
    clock: b.time,
    timers: b.time,
    random: seededRandom(8),
    hash: sha256,
    measures: NO_MEASURES,
    log: SILENT,
    disk: new DiskWatch({ disk: undefined, timers: b.time, log: SILENT, reserveBytes: 0 }),
    onFatal: (error) => expect.unreachable(String(error)),
  })
  expect(again.state.tree.root()).toBe(root)
  expect(again.state.partitionVectorHashes()).toEqual(vectors)
  expect(await rootOf(b.store)).toBe(root)
})

it('takes nothing more once it is closed, and answers what it took before', async () => {
  const b = await bench()
  const before = put(b, 'a', 'one')
  const closing = b.committer.close()
  await expect(put(b, 'b', 'two')).rejects.toMatchObject({ outcome: 'not-applied' })
  expect(await before).toMatchObject({ kind: 'applied' })
  await closing
})

describe('while the disk is busy with one group', () => {
  it('plans the next on top of it, as if it were done', async () => {
    const b = await bench()
    const disk = busyDisk(b)
    const first = put(b, 'a', 'one')
    await disk.planned()
    const rest = [put(b, 'a', 'two', { kind: 'absent' }), put(b, 'a', undefined), put(b, 'b', 'three')]
    await disk.planned()
    disk.free()
    const [one, refused, deleted] = await Promise.all([first, ...rest])
    expect(b.faults.commits).toBe(2)
    expect(refused?.kind).toBe('precondition-failed')
    expect(one?.kind === 'applied' && deleted?.kind === 'applied' && deleted.entry.version.hlc).toMatchObject({
      wallMs: expect.any(Number) as number,
    })
    expect(valueOf(b.store.read(addressOf('things', 'a')))).toBeNull()
    expect(b.committer.state.totals).toMatchObject({ values: 1, tombstones: 1 })
    expect(b.committer.state.tree.root()).toBe(await rootOf(b.store))
  })

  it('promises nothing that the next one has versions below', async () => {
    const b = await bench()
    const disk = busyDisk(b)
    const first = put(b, 'a', 'one')
    await disk.planned()
    const second = put(b, 'b', 'two')
    await disk.planned()
    let promised = b.committer.state.promise
    const told = first.then(() => {
      promised = b.committer.state.promise
    })
    disk.free()
    await told
    // The second group may be durable by now, but what was promised when the first was told must be below it.
    const { version } = await applied(second)
    expect(compareHlc(promised, version.hlc)).toBeLessThan(0)
    expect(compareHlc(b.committer.state.promise, version.hlc)).toBeGreaterThanOrEqual(0)
  })

  it('plans the next one again, on what is on disk, when the first fails', async () => {
    const b = await bench()
    const disk = busyDisk(b)
    b.faults.batches = 1
    const first = put(b, 'a', 'one')
    await disk.planned()
    const second = put(b, 'a', 'two', { kind: 'absent' })
    await disk.planned()
    disk.free()
    await expect(first).rejects.toMatchObject({ outcome: 'unknown' })
    const { dot } = await applied(second)
    expect(dot).toEqual({ writer: b.committer.state.writer, seq: 1 })
    expect(b.committer.state.tree.root()).toBe(await rootOf(b.store))
  })

  it('lets a change of the membership wait until nothing is on its way', async () => {
    const b = await bench()
    const disk = busyDisk(b)
    const first = put(b, 'a', 'one')
    await disk.planned()
    const roster = { known: ['00000000000000aa', '00000000000000bb'], evicted: [] }
    const changed = membershipChanger(b.committer)(() => ({ roster }))
    const second = put(b, 'b', 'two')
    await disk.planned()
    disk.free()
    await first
    expect(b.committer.state.roster).not.toEqual(roster)
    await Promise.all([changed, second])
    expect(b.faults.commits).toBe(2)
    expect(b.committer.state.roster).toEqual(roster)
  })

  it('comes to the same tree, totals and versions as one write after the other, whenever the disk is ready', async () => {
    const write = record({
      key: integer({ min: 0, max: 4 }),
      deletes: boolean(),
      precondition: constantFrom(undefined, 'absent' as const),
      disk: constantFrom('busy', 'free', 'as it is'),
      fails: integer({ min: 0, max: 9 }),
    })
    await assertProperty(
      asyncProperty(array(write, { maxLength: 40 }), async (writes) => {
        const b = await bench()
        let disk = busyDisk(b)
        const outcomes: Promise<LocalOutcome | undefined>[] = []
        for (const { key, deletes, precondition, disk: then, fails } of writes) {
          if (fails === 0) b.faults.batches = 1
          const condition = precondition && ({ kind: 'absent' } as const)
          outcomes.push(put(b, `k${key}`, deletes ? undefined : 'v', condition).catch(() => undefined))
          if (then === 'free') disk.free()
          if (then === 'busy') {
            disk.free()
            disk = busyDisk(b)
          }
          await disk.planned()
        }
        disk.free()
        await Promise.all(outcomes)
        // When this one is durable, whatever had to be opened again has been.
        b.faults.batches = 0
        outcomes.push(put(b, 'last', 'v'))
        const entries = (await Promise.all(outcomes)).flatMap((outcome) =>
          outcome?.kind === 'applied' ? [outcome.entry] : [],
        )
        for (const address of new Set(entries.map((entry) => entry.address))) {
          const own = entries.filter((entry) => entry.address === address)
          for (const [index, entry] of own.entries())
            if (index > 0) expect(compareVersions(entry.version, own[index - 1]!.version)).toBeGreaterThan(0)
          // What failed may be there as well, so the row is this one or a later one.
          const held = b.store.read(address)
          expect(typeof held === 'object' && compareVersions(held.version, own.at(-1)!.version)).toBeGreaterThanOrEqual(
            0,
          )
        }
        expect(b.committer.state.tree.root()).toBe(await rootOf(b.store))
        const again = await LevelStore.open({ hash: sha256, openDatabase: () => Promise.resolve(b.db) })
        expect(new HashTree(sha256, again.state.sums).root()).toBe(b.committer.state.tree.root())
        expect(again.state.totals).toEqual(b.committer.state.totals)
      }),
      { numRuns: 10 },
    )
  }, 60_000)
})

it('takes nothing from the evicted that came before the mark and waited behind it (R3, R15)', async () => {
  const b = await bench()
  const [evicted, writer] = ['e'.repeat(16), 'f'.repeat(16)]
  const address = addressOf('things', 'late')
  const keyHash = sha256.sha256(bytesOf(address))
  const dot = { writer, seq: 1 }
  const version = { hlc: { wallMs: b.time.wallMs(), counter: 0 }, replica: evicted }
  const entry = sealEntry(
    { address, keyHash, version, dot, expiresAtMs: 0, contentType: '', value: Buffer.from('v') },
    sha256,
  )
  const known = [...b.committer.state.roster.known, evicted]
  const marked = membershipChanger(b.committer)(() => ({ roster: { known, evicted: [evicted] } }))
  const admissions = new Promise<readonly Admission[]>((settle, fail) => {
    const claims = [[partitionOf(keyHash), [[writer, [1, 9]]]]] as const
    const arrived = { entries: [entry], claims, clock: HLC_ZERO, frontier: version.hlc, from: evicted }
    b.committer.submit({ kind: 'entries', source: 'pull', ...arrived, settle, fail })
  })
  await marked
  expect(await admissions).toEqual(['refused'])
  expect(b.committer.state.covers(partitionOf(keyHash), dot)).toBe(false)
  expect(b.committer.state.frontier).toEqual(HLC_ZERO)
})

it('holds an import to what the batch under way lets others be promised (R17)', async () => {
  const b = await bench()
  const busy = busyDisk(b)
  const address = addressOf('things', 'import')
  const keyHash = sha256.sha256(bytesOf(address))
  const imported = (wallMs: number, seq: number): Entry =>
    sealEntry(
      {
        address,
        keyHash,
        version: { hlc: { wallMs, counter: 0 }, replica: 'e'.repeat(16) },
        dot: { writer: 'f'.repeat(16), seq },
        expiresAtMs: 0,
        contentType: '',
        value: Buffer.of(1),
      },
      sha256,
    )
  // Between the promise that is published now and the version of a write that is on its way to the disk.
  const between = imported(b.time.wallMs(), 1)
  await b.time.advance(5)
  const write = put(b, 'written', 'v')
  await b.time.advance(5)
  const fates = new Promise<readonly string[]>((settle, fail) => {
    b.committer.submit({ kind: 'import', entries: [between, imported(b.time.wallMs() + 1, 2)], settle, fail })
  })
  await b.time.advance(5)
  busy.free()
  await b.time.advance(5)
  await write
  expect(await fates).toEqual(['quarantined', 'news'])
})

it('shows a moment of disk and memory together, also when a batch is on disk of which the memory does not know', async () => {
  const b = await bench()
  const { promise: told, resolve: tell } = Promise.withResolvers<void>()
  b.disk.told = told
  const write = applied(put(b, 'a', 'v'))
  await b.time.advance(1)
  expect(valueOf(b.store.read(addressOf('things', 'a')))).toBe('v')
  const later = applied(put(b, 'b', 'v'))
  const seen: unknown[] = []
  b.committer.submit({
    kind: 'look',
    look: (state) => {
      const held = ['a', 'b', 'c'].map((key) => b.store.read(addressOf('things', key)))
      const covered = held.map(
        (entry) => typeof entry === 'object' && state.covers(partitionOf(entry.keyHash), entry.dot),
      )
      seen.push(covered, state.totals.values)
    },
    fail: ({ cause }) => seen.push(cause),
  })
  const latest = applied(put(b, 'c', 'v'))
  await b.time.advance(1)
  expect(seen).toEqual([])
  tell()
  await Promise.all([write, later, latest])
  expect(seen).toEqual([[true, true, false], 2])
})

describe('a write with a name', () => {
  const NAME: WriteName = { id: 'i'.repeat(16), fingerprint: 'f'.repeat(8) }
  const OTHER: WriteName = { ...NAME, fingerprint: 'g'.repeat(8) }
  const once = (b: Bench, value = 'v', name = NAME, precondition?: Precondition): Promise<LocalOutcome> =>
    put(b, 'k', value, precondition, name)

  /** The same write, as another node took it. */
  function elsewhere(wallMs: number): Entry {
    const address = addressOf('things', 'k')
    return sealEntry(
      {
        address,
        keyHash: sha256.sha256(bytesOf(address)),
        version: { hlc: { wallMs, counter: 0 }, replica: 'e'.repeat(16) },
        dot: { writer: 'f'.repeat(16), seq: 1 },
        expiresAtMs: 0,
        contentType: 'text/plain',
        value: Buffer.from('v'),
        name: NAME,
      },
      sha256,
    )
  }

  const takeIn = (b: Bench, entry: Entry): Promise<readonly Admission[]> =>
    new Promise((settle, fail) => {
      const arrived = { entries: [entry], claims: [], clock: HLC_ZERO, frontier: HLC_ZERO, from: 'e'.repeat(16) }
      b.committer.submit({ kind: 'entries', source: 'rumor', ...arrived, settle, fail })
    })

  it('is applied once of all that come in one turn', async () => {
    const b = await bench()
    const [first, ...again] = await Promise.all([once(b), once(b), once(b), once(b, 'v', OTHER)])
    if (first?.kind !== 'applied') throw new Error('the first was not applied')
    const { version } = first.entry
    for (const outcome of again.slice(0, 2))
      expect(outcome).toMatchObject({ kind: 'replayed', receipt: { version }, held: { version } })
    expect(again[2]).toEqual({ kind: 'idempotency-mismatch' })
    expect(b.committer.state.totals.values).toBe(1)
    expect(b.faults.commits).toBe(1)
  })

  it('is known while it is on its way to the disk, and its repetition waits for it', async () => {
    const b = await bench()
    const disk = busyDisk(b)
    const outcomes: string[] = []
    const first = once(b).then(({ kind }) => outcomes.push(kind))
    await disk.planned()
    const second = once(b).then(({ kind }) => outcomes.push(kind))
    await disk.planned()
    expect(outcomes).toEqual([])
    disk.free()
    await Promise.all([first, second])
    expect(outcomes).toEqual(['applied', 'replayed'])
  })

  it('is written anew when its first batch failed, also if it was repeated meanwhile', async () => {
    const b = await bench()
    const disk = busyDisk(b)
    b.faults.batches = 1
    const first = once(b)
    await disk.planned()
    const second = once(b)
    await disk.planned()
    disk.free()
    await expect(first).rejects.toMatchObject({ outcome: 'unknown' })
    const entry = await applied(second)
    expect(await once(b)).toMatchObject({ kind: 'replayed', receipt: { version: entry.version } })
  })

  it('is known after another start, after overwrites and after a delete', async () => {
    const b = await bench()
    const { version } = await applied(once(b))
    await put(b, 'k', 'other')
    const last = await applied(put(b, 'k', undefined))
    await b.store.reopen()
    expect(await once(b)).toMatchObject({ kind: 'replayed', receipt: { version }, held: { version: last.version } })
    expect(await once(b, 'v', OTHER)).toEqual({ kind: 'idempotency-mismatch' })
    expect(valueOf(b.store.read(addressOf('things', 'k')))).toBeNull()
  })

  it('is known before its condition is looked at, and has no receipt when that failed', async () => {
    const b = await bench()
    const created = await applied(once(b, 'v', NAME, { kind: 'absent' }))
    expect(await once(b, 'v', NAME, { kind: 'absent' })).toMatchObject({
      kind: 'replayed',
      receipt: { version: created.version },
    })
    const late = { ...NAME, id: 'l'.repeat(16) }
    const condition = { kind: 'one-of', etags: ['of what comes later'] } as const
    expect(await once(b, 'v', late, condition)).toMatchObject({ kind: 'precondition-failed' })
    expect(await applied(once(b, 'v', late))).toBeDefined()
  })

  it('is a new one after a day, and the old receipt no longer goes with its group', async () => {
    const b = await bench()
    await applied(once(b))
    b.time.wallOffsetMs += 86_400_000
    const second = await applied(once(b))
    const forget = () => forgetReceipts({ ...b, clock: b.time, timers: b.time })
    // What was used again belongs to the newer group.
    expect(await withTime(b, forget())).toBe(0)
    expect(await once(b)).toMatchObject({ kind: 'replayed', receipt: { version: second.version } })
    b.time.wallOffsetMs += 86_400_000
    expect(await withTime(b, forget())).toBe(1)
    expect(b.store.receipt(NAME.id)).toBeUndefined()
    for await (const [row] of b.db.iterator()) expect(['i', 'k']).not.toContain(row.toString('latin1', 0, 1))
  })

  it('that came from elsewhere is answered by its receipt, also if it lost', async () => {
    const b = await bench()
    const held = await applied(put(b, 'k', 'newer'))
    const entry = elsewhere(held.version.hlc.wallMs - 1)
    expect(await takeIn(b, entry)).toEqual(['superseded'])
    expect(await once(b)).toMatchObject({
      kind: 'replayed',
      receipt: { version: entry.version },
      held: { version: held.version },
    })
  })

  it('keeps the first receipt when another node took it for a new one', async () => {
    const b = await bench()
    const own = await applied(once(b))
    const theirs = elsewhere(own.version.hlc.wallMs + 1)
    expect(await takeIn(b, theirs)).toEqual(['news'])
    expect(await once(b)).toMatchObject({
      kind: 'replayed',
      receipt: { version: own.version },
      held: { version: theirs.version },
    })
  })

  it('is applied once, whatever the disk does: what is known has a receipt, and what has one is known', async () => {
    const step = record({
      key: constantFrom('a', 'b'),
      id: integer({ min: 0, max: 2 }),
      fails: integer({ min: 0, max: 3 }),
    })
    await assertProperty(
      asyncProperty(array(step, { minLength: 1, maxLength: 25 }), async (steps) => {
        const b = await bench()
        const versions = new Map<string, Set<string>>()
        const outcomes = steps.map(async ({ key, id, fails }, index) => {
          // In small groups, so that some meet in one turn, some on the way to the disk and some behind it.
          for (let turn = 0; turn < index * 2; turn++) await Promise.resolve()
          if (fails === 0) b.faults.batches = 1
          const name = { id: `${key}${id}`.padEnd(16), fingerprint: 'f'.repeat(8) }
          const outcome = await put(b, key, 'v', undefined, name).catch(() => undefined)
          if (outcome?.kind !== 'applied' && outcome?.kind !== 'replayed') return
          const { version } = outcome.kind === 'applied' ? outcome.entry : outcome.receipt
          const seen = versions.get(name.id) ?? new Set()
          versions.set(name.id, seen.add(etagOf(version)))
        })
        await Promise.all(outcomes)
        b.faults.batches = 0
        for (const [id, seen] of versions) {
          expect(seen.size).toBe(1)
          expect(seen).toContain(etagOf(b.store.receipt(id)!.version))
        }
      }),
      { numRuns: 15 },
    )
  }, 60_000)
})

/** Lets no time pass, but those who wait for none. */
async function withTime<T>({ time }: Bench, promise: Promise<T>): Promise<T> {
  let settled = false
  void promise.finally(() => (settled = true))
  await time.advanceUntil(() => settled, 1_000)
  return promise
}
