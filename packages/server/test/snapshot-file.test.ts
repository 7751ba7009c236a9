import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { addressOf, NO_MEASURES, VALUE_BYTES_MAX_LIMIT, type Log } from '@grapevine/core'
import { FatalError } from '@grapevine/replica'
import { openStore } from '@grapevine/storage'
import { expect, it, onTestFinished, vi } from 'vitest'
import { loadServerConfig, openNode, systemClock, systemHash, systemRandom, systemTimers } from '../src/index.ts'
import { openSnapshotFile } from '../src/snapshot/snapshot-file.ts'
import { FakeReplica, CLUSTER_ID } from './fake-replica.ts'
import { bytesOf } from './snapshot-bytes.ts'

vi.setConfig({ testTimeout: 60_000 })

const SILENT: Log = { info: () => {}, warn: () => {}, error: () => {} }

function source(): FakeReplica {
  const replica = new FakeReplica()
  for (const key of ['a', 'b', 'c']) replica.put({ address: addressOf('b', key), value: Buffer.from(key) })
  replica.put({ address: addressOf('b', 'gone'), value: undefined })
  return replica
}

async function directory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'grapevine-'))
  onTestFinished(() => rm(path, { recursive: true, force: true }))
  return path
}

async function fileOf(bytes: Buffer): Promise<string> {
  const path = join(await directory(), 'a.snapshot')
  await writeFile(path, bytes)
  return path
}

it('gives all that a new cluster begins with', async () => {
  const replica = source()
  const snapshot = await openSnapshotFile(await fileOf(await bytesOf(replica)), systemHash)
  const { vectors, root, promise } = await replica.moment()
  expect(snapshot).toMatchObject({ clusterId: CLUSTER_ID, root, promise, folded: ['00000000000000f0'] })
  expect(snapshot.vectors).toEqual(vectors.map((rows, partition) => [partition, rows]))
  const keys: string[] = []
  for await (const entries of snapshot.entries()) keys.push(...entries.map(({ address }) => address))
  expect(keys).toEqual([...replica.rows.keys()])
})

it('holds the largest value behind any others', async () => {
  const replica = new FakeReplica()
  replica.put({ address: addressOf('b', 'a'), value: Buffer.alloc(65_420) })
  replica.put({ address: addressOf('b', 'b'), value: Buffer.alloc(VALUE_BYTES_MAX_LIMIT) })
  replica.put({ address: addressOf('b', 'c'), value: Buffer.of(1) })
  const snapshot = await openSnapshotFile(await fileOf(await bytesOf(replica)), systemHash)
  const sizes: (number | undefined)[] = []
  for await (const entries of snapshot.entries()) sizes.push(...entries.map(({ value }) => value?.length))
  expect(sizes).toEqual([65_420, VALUE_BYTES_MAX_LIMIT, 1])
})

it.each([
  ['is cut off', /cut off/, (bytes: Buffer) => bytes.subarray(0, bytes.length - 1)],
  ['is none', /no snapshot/, () => Buffer.from('{}')],
])('refuses a file that %s', async (_, message, change) => {
  const path = await fileOf(change(await bytesOf(source())))
  await expect(openSnapshotFile(path, systemHash)).rejects.toThrow(message)
  await expect(openSnapshotFile(path, systemHash)).rejects.toMatchObject({ code: 'bad_snapshot' })
})

it('refuses a file that is not there', async () => {
  await expect(openSnapshotFile('/nonexistent/a.snapshot', systemHash)).rejects.toBeInstanceOf(FatalError)
})

it('refuses what does not hold what its vectors claim, or holds what they do not', async () => {
  const short = await fileOf(await bytesOf(source(), {}, { corrupt: 1 }))
  await expect(openSnapshotFile(short, systemHash)).rejects.toThrow(/had lost rows that its vectors claim/)
  const otherRoot = await fileOf(await bytesOf(source(), { root: '\u0001'.repeat(32) }))
  await expect(openSnapshotFile(otherRoot, systemHash)).rejects.toThrow(/had lost rows that its vectors claim/)
  const partial = await fileOf(await bytesOf(source(), {}, { partitions: 255 }))
  await expect(openSnapshotFile(partial, systemHash)).rejects.toThrow(/one vector for each partition|do not cover/)
  const replica = source()
  const moment = replica.moment.bind(replica)
  replica.moment = async () => ({ ...(await moment()), vectors: Array.from({ length: 256 }, () => []) })
  await expect(openSnapshotFile(await fileOf(await bytesOf(replica)), systemHash)).rejects.toThrow(/do not cover/)
})

it('begins anew where it was broken off, and leaves alone what belongs to somebody', async () => {
  const path = await fileOf(await bytesOf(source()))
  const dataDir = join(await directory(), 'n1')
  await mkdir(dataDir)
  // What a crash leaves behind: rows, and nobody whose they are.
  const store = await openStore({
    directory: dataDir,
    hash: systemHash,
    writeBufferBytes: 1 << 22,
    cacheBytes: 1 << 20,
  })
  const entry = source().rows.get(addressOf('b', 'a'))
  if (entry === undefined) throw new Error('it was put')
  await store.commit({
    atMs: 0,
    changes: [{ after: entry, before: undefined }],
    dots: [{ partition: 0, dot: entry.dot }],
    adopted: [],
    leaves: [],
    totals: { values: 1, tombstones: 0, bytes: 1, tombstoneBytes: 0 },
    rebuilds: 0,
  })
  await store.close()
  await writeFile(join(dataDir, 'lost+found'), '')
  const argv = ['--name', 'n1', '--data-dir', dataDir, '--found', '--restore', path]
  const { config } = loadServerConfig({
    argv: [...argv, '--listen', '127.0.0.1:0', '--peer-listen', '127.0.0.1:0'],
    env: {},
  })
  const ports = {
    clock: systemClock,
    timers: systemTimers,
    random: systemRandom,
    hash: systemHash,
    log: SILENT,
    measures: NO_MEASURES,
  }
  const roots: string[] = []
  const ids: string[] = []
  for (let start = 0; start < 2; start++) {
    const node = await openNode(config, ports)
    await vi.waitUntil(() => node.replica.status().ready, { timeout: 30_000, interval: 20 })
    const { identity, report } = node.replica.status()
    roots.push(report.root)
    ids.push(identity.replica)
    await node.replica.stop()
    await node.close()
  }
  const { root } = await source().moment()
  expect(roots).toEqual([root, root])
  expect(ids[1]).toBe(ids[0])
  expect(await readdir(dataDir)).toContain('lost+found')
})
