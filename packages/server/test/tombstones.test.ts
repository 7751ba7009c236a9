import type { TombstoneExplainBody, TombstonesBody } from '@grapevine/contract'
import { addressOf, type Hlc } from '@grapevine/core'
import type { TombstoneExplanation } from '@grapevine/replica'
import { describe, expect, it } from 'vitest'
import { FakeReplica, memberView, NODE_ID, OTHER_ID } from './fake-replica.ts'
import { testServer, type TestServer } from './serve.ts'

const NOON = Date.UTC(2026, 0, 1, 12)
const NOON_TEXT = '2026-01-01T12:00:00.000Z'
const hlc = (ms: number, counter = 0): Hlc => ({ wallMs: NOON + ms, counter })
const N1 = memberView('n1', NODE_ID, { isSelf: true })
const N2 = memberView('n2', OTHER_ID, { state: 'dead' })
const ETAG_1 = `${NOON.toString(16).padStart(12, '0')}0003-${NODE_ID}`

function serverAt(ms: number, more: Partial<FakeReplica>): TestServer {
  const replica = Object.assign(new FakeReplica(), { wallMs: NOON + ms, memberViews: [N1, N2], ...more })
  return testServer({ replica })
}

const UNKNOWN: TombstoneExplanation = {
  state: 'unknown',
  looked: true,
  frontier: { wallMs: 0, counter: 0 },
  held: undefined,
  purgeableAt: undefined,
  acknowledgements: [],
  purged: undefined,
  grounds: undefined,
  keys: [],
  rememberedSinceMs: undefined,
}

describe('the report on tombstones', () => {
  it('shows the frontier, every node, and who holds it back', async () => {
    const { app } = serverAt(60_000, {
      tombstoneReport: {
        looked: true,
        frontier: hlc(0, 7),
        raisedAtMs: NOON + 10_000,
        oldest: hlc(20_000),
        members: [
          {
            member: N1,
            answer: {
              totals: { values: 2, tombstones: 1, bytes: 900, tombstoneBytes: 300 },
              oldest: hlc(20_000),
              frontier: hlc(0, 7),
            },
          },
          { member: N2, answer: undefined },
        ],
        waits: [{ member: N2, promise: hlc(1_000), lacks: 4, waits: 'lacks-entries', heldForMs: 38_000 }],
        isPilingUp: true,
      },
    })
    const answer = await app.inject('/v1/admin/tombstones')
    expect(answer.json<TombstonesBody>()).toEqual({
      looked: true,
      frontier: { hlc: `${NOON.toString(16).padStart(12, '0')}0007`, at: NOON_TEXT },
      frontierAgeMs: 60_000,
      raisedMs: 50_000,
      nodes: [
        {
          name: 'n1',
          nodeId: NODE_ID,
          state: 'alive',
          keys: 2,
          tombstones: 1,
          tombstoneBytes: 300,
          ratio: 0.333,
          oldestMs: 40_000,
          frontier: { hlc: `${NOON.toString(16).padStart(12, '0')}0007`, at: NOON_TEXT },
        },
        {
          name: 'n2',
          nodeId: OTHER_ID,
          state: 'dead',
          keys: null,
          tombstones: null,
          tombstoneBytes: null,
          ratio: null,
          oldestMs: null,
          frontier: null,
        },
      ],
      holds: [
        {
          name: 'n2',
          nodeId: OTHER_ID,
          state: 'dead',
          promise: { hlc: expect.stringMatching(/^[0-9a-f]{12}0000$/), at: '2026-01-01T12:00:01.000Z' },
          lacks: 4,
          waits: 'lacks-entries',
          heldForMs: 38_000,
        },
      ],
      warning: true,
    })
    expect((await app.inject('/v1/admin/tombstones?all=1')).statusCode).toBe(400)
  })

  it('has no frontier before the first purge', async () => {
    const nothing = { totals: { values: 0, tombstones: 0, bytes: 0, tombstoneBytes: 0 }, oldest: UNKNOWN.frontier }
    const { app } = serverAt(0, {
      tombstoneReport: {
        looked: false,
        frontier: UNKNOWN.frontier,
        raisedAtMs: undefined,
        oldest: undefined,
        members: [{ member: N1, answer: { ...nothing, frontier: UNKNOWN.frontier } }],
        waits: [],
        isPilingUp: false,
      },
    })
    expect((await app.inject('/v1/admin/tombstones')).json()).toMatchObject({
      looked: false,
      frontier: null,
      frontierAgeMs: null,
      raisedMs: null,
      nodes: [{ ratio: 0, oldestMs: null, frontier: null }],
      holds: [],
      warning: false,
    })
  })

  it('is pointed at by the summary when they pile up', async () => {
    const { app } = serverAt(0, { tombstonesPileUp: true })
    expect((await app.inject('/v1/cluster')).json()).toMatchObject({ tombstonesPileUp: true })
    expect((await app.inject('/metrics')).body).toContain('\ngrapevine_tombstones_pile_up 1\n')
    const quiet = testServer().app
    expect((await quiet.inject('/v1/cluster')).json()).not.toHaveProperty('tombstonesPileUp')
  })

  it('is measured: how long each member has been waited for', async () => {
    const { body } = await testServer().app.inject('/metrics')
    expect(body).toContain('\ngrapevine_stable_frontier_lag_seconds{replica="n1"} 0\n')
    expect(body).toContain('\ngrapevine_stable_frontier_lag_seconds{replica="n2"} 38\n')
  })
})

describe('the explanation of a tombstone', () => {
  it.each([
    ['/v1/admin/tombstones/explain?bucket=b&key=a%2Fb%C3%BC', 'a/b\u00c3\u00bc'],
    ['/v1/admin/tombstones/explain/b/a%2Fb%C3%BC', 'a/b\u00c3\u00bc'],
    ['/v1/admin/tombstones/explain/b/a/b', 'a/b'],
    ['/v1/admin/tombstones/explain?bucket=b&key=_w&key_encoding=base64url', '\u00ff'],
    ['/v1/admin/tombstones/explain/b/_w?key_encoding=base64url', '\u00ff'],
  ])('is asked by %s', async (url, key) => {
    const replica = Object.assign(new FakeReplica(), { explanation: UNKNOWN })
    const { app } = testServer({ replica })
    const answer = await app.inject(url)
    expect([answer.statusCode, replica.explained]).toEqual([200, [addressOf('b', key)]])
    expect(answer.json()).toMatchObject({ state: 'unknown', purged: null, grounds: null, rememberedSince: null })
  })

  it.each([
    ['?bucket=b', 'bad_query'],
    ['?key=k', 'bad_query'],
    ['?bucket=b&key=', 'bad_query'],
    ['?bucket=B&key=k', 'bad_bucket'],
    ['?bucket=b&key=%FF', 'bad_key'],
    ['?bucket=b&key=A&key_encoding=base64url', 'bad_key'],
    ['?bucket=b&key=k&with=n1', 'bad_query'],
    ['/B/k', 'bad_bucket'],
  ])('refuses %s as %s', async (rest, code) => {
    const answer = await testServer().app.inject(`/v1/admin/tombstones/explain${rest}`)
    expect([answer.statusCode, answer.json<{ code: string }>().code]).toEqual([400, code])
  })

  it('says of one that waits what each member has said', async () => {
    const { app } = serverAt(60_000, {
      explanation: {
        ...UNKNOWN,
        state: 'waiting',
        frontier: hlc(-5_000),
        held: {
          address: addressOf('b', 'k'),
          version: { hlc: hlc(0, 3), replica: NODE_ID },
          hash: '\u0001'.repeat(32),
          tombstone: true,
          expiresAtMs: 0,
          contentType: '',
          size: 0,
        },
        purgeableAt: hlc(0, 3),
        acknowledgements: [
          { member: N1, promise: hlc(50_000), lacks: 0, waits: undefined },
          { member: N2, promise: undefined, lacks: 0, waits: 'silent' },
        ],
        keys: [
          { member: N1, state: 'tombstone', held: undefined, purged: undefined },
          { member: N2, state: 'unreachable', held: undefined, purged: undefined },
        ],
      },
    })
    expect((await app.inject('/v1/admin/tombstones/explain/b/k')).json<TombstoneExplainBody>()).toMatchObject({
      bucket: 'b',
      key: 'k',
      state: 'waiting',
      what: 'tombstone',
      etag: ETAG_1,
      purgeableAt: { at: NOON_TEXT },
      acknowledgements: [
        { name: 'n1', waits: null, lacks: 0, promise: { at: '2026-01-01T12:00:50.000Z' } },
        { name: 'n2', state: 'dead', waits: 'silent', promise: null },
      ],
      replicas: [
        { name: 'n1', state: 'tombstone' },
        { name: 'n2', memberState: 'dead', state: 'unreachable' },
      ],
    })
  })

  it.each([
    ['', 'n2', true],
    [OTHER_ID, 'n2', false],
  ] as const)(
    'says of one that is gone what all had said before, as far as it is known (taken from "%s")',
    async (takenFrom, name, known) => {
      const purged = {
        version: { hlc: hlc(0, 3), replica: NODE_ID },
        expiresAtMs: NOON + 1_000,
        purgedAtMs: NOON + 9_000,
      }
      const { app } = serverAt(60_000, {
        explanation: {
          ...UNKNOWN,
          state: 'purged',
          frontier: hlc(5_000),
          purgeableAt: hlc(1_000),
          purged,
          grounds: {
            decidedBy: known ? N2 : OTHER_ID,
            said: {
              frontier: hlc(5_000),
              atMs: NOON + 8_000,
              takenFrom,
              promises: known ? [[NODE_ID, hlc(5_000)]] : [],
              evicted: ['00000000000000e5'],
              ...(known && { union: { hash: '0123456789abcdef', writes: 12 } }),
            },
          },
          keys: [{ member: N1, state: 'purged', held: undefined, purged }],
          rememberedSinceMs: NOON,
        },
      })
      expect((await app.inject('/v1/admin/tombstones/explain/b/k')).json<TombstoneExplainBody>()).toMatchObject({
        state: 'purged',
        what: 'expired',
        etag: ETAG_1,
        purged: {
          etag: ETAG_1,
          what: 'expired',
          endedAt: '2026-01-01T12:00:01.000Z',
          purgedAt: '2026-01-01T12:00:09.000Z',
        },
        grounds: {
          frontier: { at: '2026-01-01T12:00:05.000Z' },
          at: '2026-01-01T12:00:08.000Z',
          decidedBy: name,
          known,
          promises: known ? [{ name: 'n1', promise: { at: '2026-01-01T12:00:05.000Z' } }] : [],
          covered: known ? { hash: '0123456789abcdef', writes: 12 } : null,
          evicted: ['00000000000000e5'],
        },
        rememberedSince: NOON_TEXT,
        replicas: [{ name: 'n1', state: 'purged', etag: ETAG_1, purgedAt: '2026-01-01T12:00:09.000Z' }],
      })
    },
  )
})
