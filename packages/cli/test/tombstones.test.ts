import { runCommandLine } from '@grapevine/cli'
import type { AcknowledgementBody, TombstoneExplainBody, TombstonesBody } from '@grapevine/contract'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { FakeNode, json } from '../../client/test/fake-node.ts'
import { FakeShell } from './fake-shell.ts'

let node: FakeNode
beforeAll(async () => {
  node = await FakeNode.start()
})
afterAll(() => node.stop())

async function run(line: readonly string[], body: unknown) {
  node.seen.length = 0
  node.handler = (_, response) => json(response, body)
  const shell = new FakeShell({ env: { GRAPEVINE_ENDPOINTS: node.url } })
  const code = await runCommandLine(line, shell)
  return { code, out: shell.stdout.text, err: shell.stderr.text }
}

const AT = { hlc: '019b794e80000003', at: '2026-01-01T12:00:00.000Z' }
const member = (name: string, more: Partial<AcknowledgementBody> = {}): AcknowledgementBody => ({
  name,
  nodeId: `id-${name}`,
  state: 'alive',
  promise: AT,
  lacks: 0,
  waits: null,
  ...more,
})
const QUIET: TombstonesBody = {
  looked: true,
  frontier: AT,
  frontierAgeMs: 12_000,
  raisedMs: 9_000,
  nodes: [
    {
      name: 'n1',
      nodeId: 'id-n1',
      state: 'alive',
      keys: 3_000,
      tombstones: 0,
      tombstoneBytes: 0,
      ratio: 0,
      oldestMs: null,
      frontier: AT,
    },
  ],
  holds: [],
  warning: false,
}
const GONE = { name: 'n3', nodeId: 'id-n3', state: 'dead', oldestMs: null, frontier: null } as const
const WAITING: TombstonesBody = {
  ...QUIET,
  nodes: [
    { ...QUIET.nodes[0]!, tombstones: 1_000, tombstoneBytes: 64_000, ratio: 0.25, oldestMs: 45_000 },
    { ...GONE, keys: null, tombstones: null, tombstoneBytes: null, ratio: null },
  ],
  holds: [{ ...member('n3', { state: 'dead', lacks: 1_000 }), waits: 'lacks-entries', heldForMs: 38_000 }],
}

describe('grapevine tombstones', () => {
  it('is good while nothing waits', async () => {
    const { code, out } = await run(['tombstones'], QUIET)
    expect({ code, out }).toEqual({
      code: 0,
      out: [
        'The frontier is 12 s behind the clock, and was raised 9 s ago; nothing waits to be purged.',
        '',
        'STATE  NODE  KEYS   TOMBSTONES  SIZE  SHARE  OLDEST  FRONTIER',
        'alive  n1    3 000  0           0 B   0 %    -       2026-01-01T12:00:00.000Z',
        '',
      ].join('\n'),
    })
    expect(node.seen.map(({ method, url }) => [method, url])).toEqual([['GET', '/v1/admin/tombstones']])
  })

  it('names the node that is away, since when, and what to do, and exits 6', async () => {
    const { code, out } = await run(['tombstones'], WAITING)
    expect(code).toBe(6)
    expect(out).toContain('n3 holds the frontier back since 38 s: it is dead; start it, or: grapevine evict n3\n')
    expect(out).toMatch(/^alive {2}n1 +3 000 +1 000 +64\.0 kB +25 % +45 s/m)
    expect(out).toMatch(/^dead {3}n3 +\? +\? +\? +\? +\? +\?$/m)
    expect(JSON.parse((await run(['tombstones', '-o', 'json'], WAITING)).out)).toEqual(WAITING)
  })

  it.each([
    ['left', 'lacks-entries', 6, 'it was stopped; start it, or: grapevine evict n3'],
    ['suspect', 'silent', 6, 'it is not heard;'],
    ['alive', 'lacks-entries', 0, 'it lacks 1 000 writes that another node has, and pulls them by itself'],
    ['alive', 'silent', 0, 'it was not heard yet since the node that answers started'],
    ['alive', 'unaware-of-eviction', 0, 'it does not know of an eviction yet'],
    [
      'alive',
      'unacquainted',
      0,
      'it was started again, and promises nothing before it has heard from every other node',
    ],
    ['alive', 'promised-less', 0, 'its clock has not passed that moment yet'],
  ] as const)('says of a node that is %s, %s, what it is about and exits %i', async (state, reason, exit, sentence) => {
    const [hold] = WAITING.holds
    const { code, out } = await run(['tombstones'], { ...WAITING, holds: [{ ...hold, state, waits: reason }] })
    expect(code).toBe(exit)
    expect(out).toContain(sentence)
  })

  it('exits 6 when they pile up, and says when it could not look', async () => {
    const { code, out } = await run(['tombstones'], { ...QUIET, frontier: null, warning: true, looked: false })
    expect(code).toBe(6)
    expect(out).toContain('Nothing was purged here yet; nothing waits to be purged.\n')
    expect(out).toContain('Tombstones are a large share of all that is stored')
    expect(out).toContain('Paused: of the other nodes is told what they had said before.')
  })

  it('is pointed at by status', async () => {
    const cluster = { clusterId: 'c', converged: true, divergentPartitions: 0, nodes: [], tombstonesPileUp: true }
    expect((await run(['status'], cluster)).out).toContain('Tombstones pile up and do not go: grapevine tombstones')
    expect((await run(['status'], { ...cluster, tombstonesPileUp: undefined })).out).not.toContain('Tombstones pile')
  })

  it.each([[['tombstones', 'purge']], [['tombstones', 'explain']], [['tombstones', 'explain', 'b']]])(
    'refuses %j',
    async (line) => {
      expect(await run(line, QUIET)).toMatchObject({
        code: 2,
        out: '',
        err: expect.stringContaining('tombstones --help'),
      })
      expect(node.seen).toEqual([])
    },
  )

  it('has two examples in its help', async () => {
    const { code, out } = await run(['tombstones', '--help'], undefined)
    expect(code).toBe(0)
    expect(out).toContain('  grapevine tombstones\n  grapevine tombstones explain carts 42 -o json\n')
  })
})

describe('grapevine tombstones explain', () => {
  const explained: TombstoneExplainBody = {
    bucket: 'b',
    key: 'k',
    state: 'unknown',
    looked: true,
    frontier: AT,
    acknowledgements: [],
    purged: null,
    grounds: null,
    rememberedSince: '2026-01-01T11:00:00.000Z',
    replicas: [{ name: 'n1', nodeId: 'id-n1', memberState: 'alive', state: 'nothing' }],
  }
  const dead = { etag: 'e1', what: 'tombstone', purgeableAt: AT } as const
  const explain = (body: TombstoneExplainBody) => run(['tombstones', 'explain', 'b', 'k'], body)

  it('says of a key that waits who has said what', async () => {
    const acknowledgements = [member('n1'), member('n3', { state: 'dead', promise: null, waits: 'silent' })]
    const { code, out } = await explain({ ...explained, ...dead, state: 'waiting', acknowledgements })
    expect(code).toBe(0)
    expect(out).toContain('b/k was deleted at 2026-01-01T12:00:00.000Z, as version e1. It goes once all members')
    expect(out).toContain('It waits for n3: it is dead; start it, or: grapevine evict n3\n')
    expect(out).toMatch(/^alive {2}n1 +2026-01-01T12:00:00.000Z {2}0 +-$/m)
    expect(out).toMatch(/^dead {3}n3 +- +\? +silent$/m)
    expect(node.seen[0]?.url).toBe('/v1/admin/tombstones/explain/b/k')
  })

  const purged = { etag: 'e1', what: 'expired', endedAt: AT.at, purgedAt: '2026-01-01T12:00:20.000Z' } as const
  const grounds = {
    frontier: AT,
    at: '2026-01-01T12:00:10.000Z',
    decidedBy: 'n2',
    known: true,
    promises: [{ name: 'n1', nodeId: 'id-n1', promise: AT }],
    covered: { writes: 12, hash: 'abcd' },
    evicted: ['n9'],
  }

  it('says of a purged key what had been said before it went', async () => {
    const { code, out } = await explain({ ...explained, ...dead, state: 'purged', purged, grounds })
    expect(code).toBe(0)
    expect(out).toContain(
      'b/k expired at 2026-01-01T12:00:00.000Z, as version e1, and was purged at 2026-01-01T12:00:20.000Z.',
    )
    expect(out).toContain('That was safe: by 2026-01-01T12:00:10.000Z every member had promised')
    expect(out).toContain('all had seen the same 12 writes (abcd). Decided by n2.\nNot asked, because evicted: n9.\n')
    expect(out).toMatch(/^n1 +2026-01-01T12:00:00.000Z$/m)
  })

  it('says when the grounds are with another node, or forgotten', async () => {
    const elsewhere = { ...grounds, known: false, promises: [], covered: null }
    const { out } = await explain({ ...explained, ...dead, state: 'purged', purged, grounds: elsewhere })
    expect(out).toContain('The frontier was taken over from n2')
    const forgotten = await explain({ ...explained, ...dead, state: 'absent', grounds: null })
    expect(forgotten.out).toContain(
      'Why that was safe is not remembered any more: each node keeps its newest 1 024 raises',
    )
  })

  it('exits 3 when nothing is known, and says how far back it would be', async () => {
    const { code, out } = await explain(explained)
    expect(code).toBe(3)
    expect(out).toContain(
      'it never was here, or it went longer ago. Each node remembers its newest 100 000 purged keys, this one since 2026-01-01T11:00:00.000Z.',
    )
  })

  it('says of a value that it is there', async () => {
    const { code, out } = await explain({ ...explained, state: 'value', what: 'value', etag: 'e2' })
    expect({ code, first: out.split('\n')[0] }).toEqual({ code: 0, first: 'b/k is there, as version e2.' })
  })
})
