import { runCommandLine } from '@grapevine/cli'
import type { ClusterBody, DiffKey, DivergenceBody, StatusNode } from '@grapevine/contract'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { FakeNode, json } from '../../client/test/fake-node.ts'
import { FakeShell, type FakeShellOptions } from './fake-shell.ts'

let node: FakeNode
beforeAll(async () => {
  node = await FakeNode.start()
})
afterAll(() => node.stop())

async function run(line: readonly string[], body: unknown, options: FakeShellOptions = {}) {
  node.seen.length = 0
  node.handler = (_, response) => json(response, body)
  const shell = new FakeShell({ ...options, env: { GRAPEVINE_ENDPOINTS: node.url, ...options.env } })
  const code = await runCommandLine(line, shell)
  return { code, out: shell.stdout.text, err: shell.stderr.text }
}

function statusNode(name: string, more: Partial<StatusNode> = {}): StatusNode {
  return {
    name,
    nodeId: `id-${name}`,
    address: '127.0.0.1:7700',
    state: 'alive',
    zone: '',
    keys: 120_331,
    bytes: 48_200_000,
    tombstones: 12,
    hotRumors: 3,
    lastExchangeMs: 4_000,
    differingPartitions: 0,
    root: 'ab',
    skewMs: -12,
    ...more,
  }
}

const CLUSTER: ClusterBody = {
  clusterId: '0123456789abcdef0123456789abcdef',
  converged: false,
  divergentPartitions: 2,
  divergentForMs: 38_000,
  nodes: [statusNode('n1'), statusNode('n3', { state: 'suspect', lastExchangeMs: null, differingPartitions: 2 })],
}

describe('bucket', () => {
  it('shows a policy, in words or as JSON', async () => {
    expect(await run(['bucket', 'b'], { ttl: '30m' })).toMatchObject({ code: 0, out: expect.stringContaining('30m') })
    expect(await run(['bucket', 'b'], {})).toMatchObject({ code: 0, out: expect.stringContaining('for ever') })
    expect(JSON.parse((await run(['bucket', 'b', '-o', 'json'], { ttl: '30m' })).out)).toEqual({
      bucket: 'b',
      ttl: '30m',
    })
    expect(node.seen).toMatchObject([{ method: 'GET', url: '/v1/buckets/b' }])
  })

  it.each([
    [['--ttl', '30m'], '{"ttl":"30m"}'],
    [['--no-ttl'], '{"ttl":null}'],
  ])('sets it with %j', async (flags, body) => {
    expect(await run(['bucket', 'b', ...flags], {})).toMatchObject({ code: 0 })
    expect(node.seen).toMatchObject([{ method: 'PUT', url: expect.stringContaining('/v1/buckets/b') }])
    expect(node.seen[0]?.body.toString()).toBe(body)
  })
})

describe('status', () => {
  it('says whose clock is far off', async () => {
    const nodes = [statusNode('n1', { skewMs: null }), statusNode('n3', { skewMs: -61_040 })]
    const { out } = await run(['status'], { ...CLUSTER, nodes })
    expect(out).toContain('\nClocks differ from that of the node that answers: n3 -61.0 s\n')
  })

  it('says who is there and whether they agree', async () => {
    const { code, out } = await run(['status'], CLUSTER)
    expect(code).toBe(0)
    expect(out).toBe(
      [
        'Cluster 01234567  2 nodes  1 alive  converged: NO (2 of 256 partitions differ, since 38 s)',
        'STATE    NODE  ADDRESS         ZONE  KEYS     SIZE     TOMBSTONES  RUMORS  LAST EXCHANGE  DIFFERS',
        'alive    n1    127.0.0.1:7700  -     120 331  48.2 MB  12          3       4 s ago        0',
        'suspect  n3    127.0.0.1:7700  -     120 331  48.2 MB  12          3       never          2',
        'Next: grapevine divergence',
        '',
      ].join('\n'),
    )
  })

  it('names who cannot be asked', async () => {
    const away = statusNode('n2', { state: 'dead', root: null, keys: null, bytes: null, lastExchangeMs: null })
    const { out } = await run(['status'], { ...CLUSTER, divergentPartitions: 0, nodes: [statusNode('n1'), away] })
    expect(out).toContain('converged: NO (n2 cannot be asked)')
    expect(out).toMatch(/^dead .* \? .*\?.*\?/m)
    expect(out).toContain('Next: start n2 again')
  })

  it('is the body for programs, on one line if they like', async () => {
    expect(JSON.parse((await run(['status', '-o', 'json'], CLUSTER)).out)).toEqual(CLUSTER)
    expect((await run(['status', '-o', 'ndjson'], CLUSTER)).out).toBe(`${JSON.stringify(CLUSTER)}\n`)
  })

  it('has colours on a terminal only, and only where they are wanted', async () => {
    const escape = '\u001b['
    expect((await run(['status'], CLUSTER, { isTTY: true })).out).toContain(escape)
    expect((await run(['status'], CLUSTER, { isTTY: true, env: { NO_COLOR: '1' } })).out).not.toContain(escape)
    expect((await run(['status'], CLUSTER)).out).not.toContain(escape)
  })

  it('goes on until it is interrupted', async () => {
    node.handler = (_, response) => json(response, CLUSTER)
    const shell = new FakeShell({ env: { GRAPEVINE_ENDPOINTS: node.url } })
    const watching = runCommandLine(['status', '--watch', '-o', 'ndjson'], shell)
    await expect.poll(() => shell.stdout.text.split('\n').length, { timeout: 5_000 }).toBeGreaterThan(2)
    shell.interrupt.abort()
    expect(await watching).toBe(130)
  })
})

describe('watch', () => {
  it('tells of each change, for people and for programs, until it is interrupted', async () => {
    const data = (fields: object): string =>
      JSON.stringify({ etag: 'e1', origin: 'n2', via: 'rumor', lagMs: 3, ...fields })
    node.handler = (_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write(`id: i1\n\nevent: put\ndata: ${data({ key: 'k' })}\n\n`)
      response.write(`event: delete\ndata: ${data({ key: '_w', keyEncoding: 'base64url' })}\n\n`)
      response.write('event: resync\nid: i2\ndata: {}\n\n')
    }
    for (const [output, lines] of [
      ['table', ['put     k  from n2, rumor, 3 ms', 'delete  base64url:_w  from n2, rumor, 3 ms', 'resync']],
      [
        'ndjson',
        [
          '{"type":"put","key":"k","etag":"e1","origin":"n2","via":"rumor","lagMs":3,"id":"i1"}',
          '{"type":"delete","key":"_w","etag":"e1","origin":"n2","via":"rumor","lagMs":3,"id":"i1","keyEncoding":"base64url"}',
          '{"type":"resync","id":"i2"}',
        ],
      ],
    ] as const) {
      node.seen.length = 0
      const shell = new FakeShell({ env: { GRAPEVINE_ENDPOINTS: node.url } })
      const watching = runCommandLine(['watch', 'b', '--prefix', 'p', '--after', 'i0', '-o', output], shell)
      await expect.poll(() => shell.stdout.text, { timeout: 5_000 }).toContain('resync')
      shell.interrupt.abort()
      expect(await watching).toBe(130)
      expect(shell.stdout.text).toBe(`${lines.join('\n')}\n`)
      expect(shell.stderr.text).toContain('grapevine list b')
      const asked = node.seen.find(({ url }) => url.startsWith('/v1/watch'))
      expect(asked).toMatchObject({ url: '/v1/watch/b?prefix=p', headers: { 'last-event-id': 'i0' } })
    }
  })
})

describe('divergence', () => {
  const replica = (name: string) =>
    ({ name, nodeId: name, state: 'alive', root: 'aa', keys: 1, tombstones: 0 }) as const
  const same: DivergenceBody = {
    converged: true,
    replicas: [replica('n1'), replica('n2')],
    pairs: [{ a: 'n1', b: 'n2', compared: true, partitions: [], leaves: 0, estimatedKeys: 0 }],
    unreachable: [],
  }

  it('is good when all are the same', async () => {
    const { code, out } = await run(['divergence', '--depth', '4'], same)
    expect(code).toBe(0)
    expect(out).toContain('All 2 replicas hold the same.')
    expect(node.seen[0]?.url).toBe('/v1/admin/divergence?depth=4')
  })

  it('exits 6 when they differ, and says where', async () => {
    const pairs = [{ a: 'n1', b: 'n2', compared: true, partitions: [17, 203], leaves: 3, estimatedKeys: 12 }]
    const { code, out } = await run(['divergence'], { ...same, converged: false, pairs })
    expect(code).toBe(6)
    expect(out).toContain('1 pair of replicas differ.')
    expect(out).toMatch(/n1 n2 +2 +3 +12 +17 203/)
    expect(out).toContain('Next: grapevine diff n1 n2')
    const forPrograms = await run(['divergence', '-o', 'json'], { ...same, converged: false, pairs })
    expect(forPrograms.code).toBe(6)
    expect(JSON.parse(forPrograms.out)).toMatchObject({
      converged: false,
      pairs: [{ partitions: [17, 203], leaves: 3 }],
    })
  })

  it('exits 6 when somebody cannot be compared', async () => {
    const pairs = [{ a: 'n1', b: 'n2', compared: false, partitions: [], leaves: 0, estimatedKeys: 0 }]
    const { code, out } = await run(['divergence'], { ...same, converged: false, pairs, unreachable: ['n2'] })
    expect(code).toBe(6)
    expect(out).toContain('Not compared, because not there: n2.')
  })
})

describe('diff', () => {
  const entry = (etag: string) => ({ etag, state: 'value' as const, hash: 'aa', size: 1, contentType: 'text/plain' })
  const keys: DiffKey[] = [
    { bucket: 'b', key: 'x', a: entry('v1'), b: null, newer: 'a' },
    {
      bucket: 'c',
      key: '_w',
      keyEncoding: 'base64url',
      a: entry('v2'),
      b: { ...entry('v3'), state: 'tombstone' },
      newer: 'b',
    },
  ]
  const page = { a: { name: 'n1', root: 'aa' }, b: { name: 'n2', root: 'bb' }, keys, cursor: null }

  async function diff(...more: string[]) {
    node.seen.length = 0
    node.handler = ({ url }, response) => {
      if (url.startsWith('/v1/cluster/members'))
        json(response, { members: [{ name: 'n2', nodeId: 'y', url: node.url, self: true }] })
      else if (url.startsWith('/v1/kv/')) response.writeHead(200, { etag: '"v1"' }).end('value')
      else json(response, url.includes('cursor=') ? { ...page, keys: [] } : { ...page, cursor: 'next' })
    }
    const shell = new FakeShell()
    const code = await runCommandLine(['diff', node.url, node.url, ...more], shell)
    return { code, out: shell.stdout.text, err: shell.stderr.text }
  }

  it('names each key, page by page, and exits 6', async () => {
    const { code, out, err } = await diff()
    expect(code).toBe(6)
    expect(out).toMatch(/^BUCKET +KEY +n1 +n2 +NEWER\n/)
    expect(out).toMatch(/b +x +v1 \(1 B\) +nothing +n1/)
    expect(out).toMatch(/c +base64url:_w +v2 \(1 B\) +v3 \(tombstone\) +n2/)
    expect(err).toBe('2 keys differ.\nNext: grapevine repair\n')
    expect(node.seen.map(({ url }) => url)).toContain('/v1/admin/diff?with=n2&cursor=next&limit=1000')
  })

  it('is one object for each key', async () => {
    expect(JSON.parse((await diff('-o', 'json')).out)).toEqual(keys)
    const { out } = await diff('-o', 'ndjson', '--prefix', 'b/', '--values')
    expect(JSON.parse(out)).toEqual({ ...keys[0], a: { ...entry('v1'), value: 'value' } })
  })
})

describe('inspect', () => {
  const replica = { name: 'n1', nodeId: 'x', memberState: 'alive', state: 'nothing' }
  const body = { bucket: 'b', key: 'k', converged: true, replicas: [replica] }

  it('exits 3 when nobody holds anything', async () => {
    expect((await run(['inspect', 'b', 'k'], body)).code).toBe(3)
  })

  it('shows replicas side by side', async () => {
    const held = { ...replica, name: 'n2', state: 'value', etag: 'v1', hash: 'a'.repeat(64), size: 5, ageMs: 60_000 }
    const { code, out } = await run(['inspect', 'b', 'k'], { ...body, converged: false, replicas: [replica, held] })
    expect(code).toBe(0)
    expect(out).toContain('b/k: not the same on all replicas')
    expect(out).toMatch(/n2 +value +v1 +a{16} +5 B +60 s ago/)
  })
})

describe('repair', () => {
  const exchange = {
    with: 'n2',
    at: '',
    durationMs: 5,
    result: 'repaired',
    questions: 3,
    leaves: 2,
    keysIn: 1,
    keysOut: 4,
    bytesIn: 100,
    bytesOut: 900,
  }

  it('has one exchange with each live member, and waits', async () => {
    let divergences = 0
    node.handler = ({ url }, response) => {
      if (url.startsWith('/v1/cluster/members'))
        json(response, {
          members: [member('n1', true), member('n2', false), { ...member('n3', false), state: 'dead' }],
        })
      else if (url.startsWith('/v1/admin/divergence')) json(response, { converged: ++divergences > 1, unreachable: [] })
      else json(response, exchange)
    }
    const shell = new FakeShell({ env: { GRAPEVINE_ENDPOINTS: node.url } })
    node.seen.length = 0
    expect(await runCommandLine(['repair', '--wait'], shell)).toBe(0)
    const exchanges = node.seen.filter(({ method }) => method === 'POST')
    expect(exchanges.map(({ body }) => String(body))).toEqual(['{"with":"n2"}', '{"with":"n2"}'])
    expect(shell.stdout.text).toMatch(/n2 +repaired +2 +1 +4 +1.0 kB/)
    expect(shell.stderr.text).toMatch(/^All replicas are the same/)
  })

  it('fails when the exchange does', async () => {
    const { code, err } = await run(['repair', '--with', 'n2'], { ...exchange, result: 'failed', error: 'no answer' })
    expect(code).toBe(1)
    expect(err).toContain('n2: no answer')
  })

  function member(name: string, self: boolean) {
    return { name, self, state: 'alive' }
  }
})
