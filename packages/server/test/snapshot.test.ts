import { addressOf, type Entry } from '@grapevine/core'
import { describe, expect, it } from 'vitest'
import { MalformedSnapshotError, readSnapshot, systemHash, type SnapshotEnd } from '../src/index.ts'
import { testServer } from './serve.ts'

async function* inPieces(bytes: Uint8Array, size: number): AsyncIterable<Uint8Array> {
  for (let from = 0; from < bytes.length; from += size) {
    await Promise.resolve()
    yield bytes.subarray(from, from + size)
  }
}

async function read(bytes: Uint8Array, size = 1_000) {
  const entries: Entry[] = []
  let manifest: unknown
  const end: SnapshotEnd = await readSnapshot(
    inPieces(bytes, size),
    { manifest: (found) => (manifest = found), entry: (entry) => void entries.push(entry) },
    systemHash,
  )
  return { entries, end, manifest }
}

async function snapshot(): Promise<{ bytes: Buffer; entries: Entry[] }> {
  const { app, replica } = testServer()
  const entries = [
    replica.put({ address: addressOf('z', 'last'), value: Buffer.alloc(100_000, 7) }),
    replica.put({ address: addressOf('a', 'deleted'), value: undefined }),
    replica.put({ address: addressOf('a', '\u00ff'), value: Buffer.of() }),
    replica.put({ address: addressOf('a', 'expired'), value: Buffer.of(1), expiresAtMs: 1 }),
  ].toSorted((a, b) => (a.address < b.address ? -1 : 1))
  replica.corrupt.add(addressOf('a', 'rotten'))
  const answer = await app.inject('/v1/admin/snapshot')
  expect(answer.statusCode).toBe(200)
  expect(answer.headers['content-type']).toBe('application/vnd.grapevine.snapshot')
  expect(replica.openViews).toBe(0)
  return { bytes: answer.rawPayload, entries }
}

describe('a snapshot', () => {
  it.each([1, 7, 1_000, 1_000_000])('reads back what the node held, in pieces of %i', async (size) => {
    const { bytes, entries } = await snapshot()
    const found = await read(bytes, size)
    // An envelope is all of its entry.
    const envelopes = (of: readonly Entry[]): string[] =>
      of.map(({ envelope }) => Buffer.from(envelope).toString('hex'))
    expect(envelopes(found.entries)).toEqual(envelopes(entries))
    expect(found.end).toEqual({ entries: 4, corrupt: 1 })
    expect(found.manifest).toEqual({
      clusterId: '0123456789abcdef0123456789abcdef',
      nodeId: '00000000000000a1',
      name: 'n1',
      takenAt: '2026-01-01T00:00:00.000Z',
    })
  })

  it('shows what it is to whoever opens it', async () => {
    const { bytes } = await snapshot()
    expect(bytes.toString('latin1')).toMatch(/^grapevine snapshot 1\n\{"clusterId":/)
  })

  it('notices any flipped bit, and any missing or added byte', async () => {
    const { bytes } = await snapshot()
    const small = bytes
    for (let at = 0; at < small.length; at += at < 2_000 || at > small.length - 300 ? 1 : 997) {
      const altered = Buffer.from(small)
      altered[at] = (altered[at] ?? 0) ^ (1 << (at % 8))
      await expect(read(altered, 1_000_000)).rejects.toThrow(MalformedSnapshotError)
    }
    for (const length of [0, 1, 20, 21, 200, small.length - 33, small.length - 1])
      await expect(read(small.subarray(0, length))).rejects.toThrow(MalformedSnapshotError)
    await expect(read(Buffer.concat([small, Buffer.of(0)]))).rejects.toThrow(MalformedSnapshotError)
  })
})
