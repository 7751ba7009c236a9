import { addressOf, HLC_ZERO, policyAddress, type Entry } from '@grapevine/core'
import { assert, asyncProperty, nat } from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import {
  MalformedSnapshotError,
  readSnapshot,
  systemHash,
  type PartitionVectors,
  type SnapshotManifest,
  type SnapshotSummary,
} from '../src/index.ts'
import { CLUSTER_ID, NODE_ID } from './fake-replica.ts'
import { testServer } from './serve.ts'

vi.setConfig({ testTimeout: 60_000 })

async function* inPieces(bytes: Uint8Array, size: number): AsyncIterable<Uint8Array> {
  for (let from = 0; from < bytes.length; from += size) {
    await Promise.resolve()
    yield bytes.subarray(from, from + size)
  }
}

async function read(bytes: Uint8Array, size = 100_000) {
  const entries: Entry[] = []
  const vectors: PartitionVectors[number][] = []
  let manifest: SnapshotManifest | undefined
  let end: SnapshotSummary | undefined
  for await (const part of readSnapshot(inPieces(bytes, size), systemHash)) {
    if (part.kind === 'manifest') manifest = part.manifest
    else if (part.kind === 'vectors') vectors.push(...part.vectors)
    else if (part.kind === 'entries') entries.push(...part.entries)
    else end = part.end
  }
  return { entries, end, manifest, vectors }
}

async function snapshot(isDamaged = false): Promise<{ bytes: Buffer; entries: Entry[] }> {
  const { app, replica } = testServer()
  const entries = [
    replica.put({ address: addressOf('z', 'last'), value: Buffer.alloc(100_000, 7) }),
    replica.put({ address: addressOf('a', 'deleted'), value: undefined }),
    replica.put({ address: addressOf('a', '\u00ff'), value: Buffer.of() }),
    replica.put({ address: addressOf('a', 'expired'), value: Buffer.of(1), expiresAtMs: 1 }),
    replica.put({ address: policyAddress('a'), value: Buffer.from('{}') }),
  ].toSorted((a, b) => (a.address < b.address ? -1 : 1))
  if (isDamaged) replica.corrupt.add(addressOf('a', 'rotten'))
  const answer = await app.inject('/v1/admin/snapshot')
  expect(answer.statusCode).toBe(200)
  expect(answer.headers['content-type']).toBe('application/vnd.grapevine.snapshot')
  expect(replica.openViews).toBe(0)
  return { bytes: answer.rawPayload, entries }
}

describe('a snapshot', () => {
  it.each([1, 7, 1_000, 1_000_000])('reads back what the node was, in pieces of %i', async (size) => {
    const { bytes, entries } = await snapshot()
    const found = await read(bytes, size)
    // An envelope is all of its entry.
    const envelopes = (of: readonly Entry[]): string[] =>
      of.map(({ envelope }) => Buffer.from(envelope).toString('hex'))
    expect(envelopes(found.entries)).toEqual(envelopes(entries))
    expect(found.end).toEqual({ entries: 5, corrupt: 0, isWhole: true })
    const last = entries.find(({ address }) => address === policyAddress('a'))?.version.hlc
    expect(found.manifest).toMatchObject({
      clusterId: CLUSTER_ID,
      nodeId: NODE_ID,
      name: 'n1',
      takenAt: '2026-01-01T00:00:00.000Z',
      promise: last,
      clock: last,
      frontier: HLC_ZERO,
      folded: ['00000000000000f0'],
    })
    expect(found.vectors).toEqual(Array.from({ length: 256 }, (_, partition) => [partition, [[NODE_ID, [1, 5]]]]))
  })

  it('shows what it is to whoever opens it', async () => {
    const { bytes } = await snapshot()
    expect(bytes.toString('latin1')).toMatch(/^grapevine snapshot 2\nM[^]{4}\{"/)
  })

  it('says when the node could not read all of its rows', async () => {
    const { bytes } = await snapshot(true)
    expect((await read(bytes)).end).toEqual({ entries: 5, corrupt: 1, isWhole: false })
  })

  it('is not whole when the node had lost a row without knowing', async () => {
    const { app, replica } = testServer()
    replica.put({ address: addressOf('a', 'a'), value: Buffer.of() })
    replica.put({ address: addressOf('a', 'b'), value: Buffer.of() })
    const { root } = await replica.moment()
    replica.rows.delete(addressOf('a', 'b'))
    const moment = replica.moment.bind(replica)
    replica.moment = async () => ({ ...(await moment()), root })
    const { rawPayload } = await app.inject('/v1/admin/snapshot')
    expect((await read(rawPayload)).end).toEqual({ entries: 1, corrupt: 0, isWhole: false })
  })

  it('notices any flipped bit', async () => {
    const { bytes } = await snapshot()
    const law = asyncProperty(nat(bytes.length - 1), nat(7), async (at, bit) => {
      const altered = Buffer.from(bytes)
      altered[at] = (altered[at] ?? 0) ^ (1 << bit)
      await expect(read(altered)).rejects.toThrow(MalformedSnapshotError)
    })
    await assert(law, { numRuns: 200 })
    for (const at of [0, 20, 21, 22, 25, 26, bytes.length - 33, bytes.length - 1]) {
      const altered = Buffer.from(bytes)
      altered[at] = (altered[at] ?? 0) ^ 1
      await expect(read(altered)).rejects.toThrow(MalformedSnapshotError)
    }
  })

  it('notices where it is cut off, and what is appended', async () => {
    const { bytes } = await snapshot()
    const law = asyncProperty(nat(bytes.length - 1), async (length) => {
      await expect(read(bytes.subarray(0, length))).rejects.toThrow(length === 0 ? /no snapshot/ : /cut off/)
    })
    await assert(law, { numRuns: 100 })
    await expect(read(Buffer.concat([bytes, Buffer.of(0)]))).rejects.toThrow(MalformedSnapshotError)
    await expect(read(Buffer.concat([bytes, bytes]))).rejects.toThrow(MalformedSnapshotError)
  })

  it.each([
    [
      'another format',
      'grapevine snapshot 3\nM....',
      'this is a snapshot of format 3, and only format 2 can be read here',
    ],
    ['an export', '{"key":"a","value":"b"}\n'.repeat(40), 'this is no snapshot of Grapevine'],
    [
      'a huge frame',
      'grapevine snapshot 2\nM\u00ff\u00ff\u00ff\u00ff',
      'the snapshot is damaged: frame 1 fails its checksum',
    ],
    ['an unknown frame', 'grapevine snapshot 2\nX\0\0\0\0', 'the snapshot is damaged: frame 1 fails its checksum'],
  ])('refuses %s and says so', async (_, text, message) => {
    await expect(read(Buffer.from(text, 'latin1'))).rejects.toThrow(new MalformedSnapshotError(message))
  })
})
