import { addressOf, RefusalError, UnreachableError, WriteError } from '@grapevine/core'
import type { DiffBody, DivergenceBody, InspectBody } from '@grapevine/contract'
import { LeaveError } from '@grapevine/replica'
import { describe, expect, it } from 'vitest'
import { memberView, NODE_ID, OTHER_ID, outlineOf } from './fake-replica.ts'
import { testServer } from './serve.ts'

describe('the cluster', () => {
  it('is summed up from what its members say', async () => {
    const { app, replica } = testServer()
    replica.memberViews.push(memberView('n3', '00000000000000c3', { state: 'dead' }))
    const { report } = replica.status()
    const [n1, n2, n3] = replica.memberViews
    if (n1 === undefined || n2 === undefined || n3 === undefined) throw new Error('three members')
    replica.divergenceReport = {
      converged: false,
      replicas: [
        { member: n1, report },
        { member: n2, report: { ...report, lastExchangeMs: 1_500.4 } },
        { member: n3, report: undefined },
      ],
      pairs: [
        { a: 'n1', b: 'n2', compared: true, partitions: [3, 7], leaves: 2, estimatedKeys: 2 },
        { a: 'n1', b: 'n3', compared: false, partitions: [], leaves: 0, estimatedKeys: 0 },
      ],
    }
    const answer = await app.inject('/v1/cluster')
    expect(answer.json()).toMatchObject({
      clusterId: '0123456789abcdef0123456789abcdef',
      converged: false,
      divergentPartitions: 2,
      divergentForMs: 0,
      nodes: [
        { name: 'n1', nodeId: NODE_ID, address: '127.0.0.1:7700', state: 'alive', keys: 0, lastExchangeMs: null },
        { name: 'n2', nodeId: OTHER_ID, differingPartitions: 2, lastExchangeMs: 1_500, root: '01'.repeat(32) },
        { name: 'n3', state: 'dead', keys: null, root: null, differingPartitions: null },
      ],
    })
  })

  it('has members', async () => {
    const { app } = testServer()
    expect((await app.inject('/v1/cluster/members')).json()).toEqual({
      members: [
        {
          name: 'n1',
          nodeId: NODE_ID,
          address: '127.0.0.1:7700',
          peerAddress: '127.0.0.1:7701',
          url: 'http://127.0.0.1:7700',
          state: 'alive',
          incarnation: 1,
          zone: '',
          version: '0.1.0',
          rttMs: null,
          skewMs: null,
          skewErrorMs: null,
          self: true,
        },
        expect.objectContaining({ name: 'n2', rttMs: 0.5, skewMs: -1_500.1, skewErrorMs: 2.4, self: false }),
      ],
    })
  })

  it('has a routing table that is sent only when it changed', async () => {
    const { app, replica } = testServer()
    const get = (headers = {}) => app.inject({ url: '/v1/cluster/routing', headers })
    const first = await get()
    expect(first.json()).toMatchObject({
      epoch: 1,
      nodes: [
        { name: 'n1', rank: 0 },
        { name: 'n2', rank: 1 },
      ],
    })
    const etag = String(first.headers.etag)
    expect((await get({ 'if-none-match': etag })).statusCode).toBe(304)
    // Another run counts from one again.
    expect((await testServer().app.inject('/v1/cluster/routing')).headers.etag).not.toBe(etag)
    replica.memberViews = replica.memberViews.map((member) => (member.isSelf ? member : { ...member, state: 'dead' }))
    const second = await get({ 'if-none-match': etag })
    expect(second.statusCode).toBe(200)
    expect(second.json()).toMatchObject({ epoch: 2 })
  })
})

it('says of itself that it is no member yet, and not that another node refused', async () => {
  const { app, replica } = testServer()
  replica.divergence = () => Promise.reject(new RefusalError('not-founded', 'this node belongs to no cluster yet'))
  const answer = await app.inject('/v1/cluster')
  expect(answer.statusCode).toBe(503)
  expect(answer.json()).toMatchObject({ code: 'not_ready', detail: 'This node belongs to no cluster yet.' })
})

describe('peer sampling', () => {
  it('gives the peers of the start and a live one at random', async () => {
    const { app, replica } = testServer()
    const views = replica.memberViews
    replica.memberViews = views.slice(0, 1)
    expect((await app.inject('/v1/gossip/init')).json()).toEqual({ peers: [] })
    // A replica knows its members only once it has started.
    replica.memberViews = views
    expect((await app.inject('/v1/gossip/init')).json()).toMatchObject({ peers: [{ name: 'n2' }] })
    replica.memberViews.push(memberView('n3', '00000000000000c3', { state: 'suspect' }))
    expect((await app.inject('/v1/gossip/init')).json()).toMatchObject({ peers: [{ name: 'n2' }] })
    expect((await app.inject('/v1/gossip/get-peer')).json()).toMatchObject({ peer: { name: 'n2' } })
    replica.memberViews = replica.memberViews.slice(0, 1)
    expect((await app.inject('/v1/gossip/get-peer')).json()).toEqual({ peer: null })
  })
})

describe('divergence', () => {
  it('names partitions, or what lies above them', async () => {
    const { app, replica } = testServer()
    const { report } = replica.status()
    const [n1, n2] = replica.memberViews
    if (n1 === undefined || n2 === undefined) throw new Error('two members')
    replica.divergenceReport = {
      converged: false,
      replicas: [
        { member: n1, report },
        { member: n2, report: undefined },
      ],
      pairs: [{ a: 'n1', b: 'n2', compared: true, partitions: [0, 1, 255], leaves: 3, estimatedKeys: 4 }],
    }
    const get = async (query: string) => (await app.inject(`/v1/admin/divergence${query}`)).json<DivergenceBody>()
    expect(await get('')).toMatchObject({ converged: false, unreachable: ['n2'], pairs: [{ partitions: [0, 1, 255] }] })
    expect((await get('?depth=4')).pairs[0]?.partitions).toEqual([0, 15])
    expect((await get('?depth=0')).pairs[0]?.partitions).toEqual([0])
    expect((await app.inject('/v1/admin/divergence?depth=9')).statusCode).toBe(400)
  })
})

describe('the difference to another node', () => {
  it('comes in pages, and the other may be called by any of its names', async () => {
    const { app, replica } = testServer()
    const outline = outlineOf(replica.put({ address: addressOf('b', 'k'), value: Buffer.of(1), contentType: 'x/y' }))
    const root = 'ab'.repeat(32)
    const sides = { a: { name: 'n1', root }, b: { name: 'n2', root } }
    replica.diffPages.push(
      { ...sides, keys: [{ address: outline.address, a: outline, b: null, newer: 'a' }], nextLeaf: 700 },
      { ...sides, keys: [], nextLeaf: 65_536 },
    )
    const first = (await app.inject('/v1/admin/diff?with=n2&limit=10')).json<DiffBody>()
    expect(first).toMatchObject({
      a: { name: 'n1', root },
      keys: [{ bucket: 'b', key: 'k', a: { state: 'value', size: 1, contentType: 'x/y' }, b: null, newer: 'a' }],
    })
    const second = await app.inject(`/v1/admin/diff?with=127.0.0.1:7710&cursor=${first.cursor}`)
    expect(second.json()).toMatchObject({ cursor: null })
    for (const other of [OTHER_ID, 'http://127.0.0.1:7710', 'http://127.0.0.1:7710/', '127.0.0.1:7711'])
      expect((await app.inject(`/v1/admin/diff?with=${encodeURIComponent(other)}`)).statusCode).toBe(200)
    expect(replica.diffCalls.slice(0, 3)).toEqual([
      [OTHER_ID, 0, 10],
      [OTHER_ID, 700, 100],
      [OTHER_ID, 0, 100],
    ])
  })

  it('needs another that is there', async () => {
    const { app, replica } = testServer()
    expect((await app.inject('/v1/admin/diff')).json()).toMatchObject({ code: 'bad_query' })
    expect((await app.inject('/v1/admin/diff?with=n1')).json()).toMatchObject({ code: 'bad_query' })
    expect((await app.inject('/v1/admin/diff?with=n9')).json()).toMatchObject({ code: 'not_found' })
    expect((await app.inject('/v1/admin/diff?with=n2&cursor=x')).json()).toMatchObject({ code: 'bad_query' })
    replica.diff = () => Promise.reject(new UnreachableError('timeout', 'n2 did not answer'))
    const answer = await app.inject('/v1/admin/diff?with=n2')
    expect(answer.statusCode).toBe(503)
    expect(answer.json()).toMatchObject({ code: 'peer_unreachable', detail: 'N2 did not answer.' })
  })
})

describe('the inspector', () => {
  it('shows a key on every replica', async () => {
    const { app, replica } = testServer()
    const get = async (path: string) => (await app.inject(`/v1/admin/keys/b/${path}`)).json<InspectBody>()
    replica.put({ address: addressOf('b', 'a/b'), value: Buffer.of(1, 2), expiresAtMs: replica.wallMs + 10 })
    replica.wallMs += 5
    expect(await get('a%2Fb')).toMatchObject({
      bucket: 'b',
      key: 'a/b',
      converged: false,
      replicas: [
        { name: 'n1', nodeId: NODE_ID, memberState: 'alive', state: 'value', size: 2, ageMs: 5 },
        { name: 'n2', state: 'unreachable' },
      ],
    })
    replica.wallMs += 5
    expect((await get('a/b')).replicas[0]?.state).toBe('expired')
    replica.put({ address: addressOf('b', 'a/b'), value: undefined })
    expect((await get('a/b')).replicas[0]?.state).toBe('tombstone')
    replica.corrupt.add(addressOf('b', 'a/b'))
    expect((await get('a/b')).replicas[0]).toEqual({
      name: 'n1',
      nodeId: NODE_ID,
      memberState: 'alive',
      state: 'corrupt',
    })
    expect((await get('YQ?key_encoding=base64url')).replicas[0]?.state).toBe('nothing')
    expect((await app.inject('/v1/admin/keys/b/%')).json()).toMatchObject({ code: 'bad_key' })
    expect((await app.inject('/v1/admin/keys/b/')).json()).toMatchObject({ code: 'bad_key' })
  })
})

describe('anti-entropy', () => {
  it('runs when it is asked to, and is remembered', async () => {
    const { app } = testServer()
    const post = (payload?: string) =>
      app.inject({ method: 'POST', url: '/v1/admin/anti-entropy', ...(payload === undefined ? {} : { payload }) })
    const exchange = { with: 'n2', at: '2026-01-01T00:00:00.000Z', result: 'equal', questions: 1 }
    expect((await post()).json()).toMatchObject(exchange)
    expect((await post('{"with":"n2"}')).json()).toMatchObject(exchange)
    expect((await app.inject('/v1/admin/anti-entropy')).json()).toMatchObject({ exchanges: [exchange, exchange] })
    expect((await post('{"with":"n9"}')).statusCode).toBe(404)
    expect((await post('{"with":"n1"}')).json()).toMatchObject({ code: 'bad_body' })
    expect((await post('{"whith":"n2"}')).json()).toMatchObject({ code: 'bad_body' })
    expect((await post('[]')).json()).toMatchObject({ code: 'bad_body' })
    expect((await post('{"with":2}')).json()).toMatchObject({ code: 'bad_body' })
  })
})

describe('a pause', () => {
  it('is made and ended by name', async () => {
    const { app } = testServer()
    const post = async (verb: string, what: unknown) =>
      (
        await app.inject({ method: 'POST', url: `/v1/admin/${verb}`, payload: JSON.stringify({ what }) })
      ).json<unknown>()
    expect(await post('pause', 'rumors')).toEqual({ paused: ['rumors'] })
    expect(await post('pause', 'all')).toEqual({ paused: ['rumors', 'anti-entropy'] })
    expect(await post('resume', 'rumors')).toEqual({ paused: ['anti-entropy'] })
    expect(await post('resume', 'all')).toEqual({ paused: [] })
    expect(await post('pause', 'everything')).toMatchObject({ code: 'bad_body' })
  })
})

describe('the configuration', () => {
  it('is shown with the source of each value', async () => {
    const { app } = testServer({ argv: ['--value-max', '2MiB', '--seed', 'a:1', '--seed', 'b:2'] })
    const { settings } = (await app.inject('/v1/admin/config')).json<{ settings: { path: string }[] }>()
    const setting = (path: string) => settings.find((candidate) => candidate.path === path)
    expect(setting('valueMax')).toEqual({ path: 'valueMax', value: '2MiB', source: 'flag --value-max' })
    expect(setting('seed')).toEqual({ path: 'seed', value: ['a:1', 'b:2'], source: 'flag --seed' })
    expect(setting('rumor.k')).toEqual({ path: 'rumor.k', value: 3, source: 'default' })
  })
})

describe('what is not built yet', () => {
  it.each([
    ['GET', '/v1/gossip/aggregates'],
    ['GET', '/v1/admin/keys/b/k/explain'],
    ['GET', '/v1/admin/proof/b/k'],
    ['GET', '/v1/admin/divergence/stream'],
    ['GET', '/v1/admin/events'],
    ['GET', '/ui/'],
  ] as const)('%s %s says so', async (method, url) => {
    const answer = await testServer().app.inject({ method, url })
    expect(answer.statusCode).toBe(501)
    expect(answer.json()).toMatchObject({ code: 'not_implemented', retryable: false })
  })
})

describe('an eviction', () => {
  const evict = (app: ReturnType<typeof testServer>['app'], node: string) =>
    app.inject({ method: 'POST', url: `/v1/admin/evict/${node}` })

  it('ends the membership of another node, and says what that costs', async () => {
    const { app, replica } = testServer()
    replica.memberViews.push(memberView('n3', '00000000000000c3', { state: 'dead' }))
    const answer = await evict(app, 'n3')
    expect(answer.statusCode).toBe(200)
    expect(answer.json()).toMatchObject({
      name: 'n3',
      nodeId: '00000000000000c3',
      changed: true,
      warning: expect.stringContaining('lost'),
    })
    expect(replica.evicted).toEqual(['00000000000000c3'])
  })

  it('is refused for the node itself, for a stranger, and for the only other one unless that is meant', async () => {
    const { app, replica } = testServer()
    expect((await evict(app, 'n1')).statusCode).toBe(400)
    expect((await evict(app, 'n9')).statusCode).toBe(404)
    expect((await evict(app, 'n2')).statusCode).toBe(400)
    expect(replica.evicted).toEqual([])
    expect((await evict(app, 'n1')).json().detail).toContain('grapevine leave')
    expect((await evict(app, 'n2?alone=1')).statusCode).toBe(200)
    expect(replica.evicted).toEqual([OTHER_ID])
  })

  it('is the same when it is asked for twice, by the name or the id that the node had', async () => {
    const { app, replica } = testServer()
    const id = '00000000000000c3'
    replica.memberViews.push(memberView('n3', id, { state: 'dead' }))
    expect((await evict(app, id)).json()).toMatchObject({ name: 'n3', changed: true })
    replica.memberViews.pop()
    replica.former.push({ name: 'n3', replica: id })
    for (const node of ['n3', id]) {
      const again = await evict(app, node)
      expect([again.statusCode, again.json()]).toMatchObject([200, { name: 'n3', nodeId: id, changed: false }])
    }
    // After a restart only the id is left of it.
    replica.former.pop()
    expect((await evict(app, id)).json()).toMatchObject({ name: id, changed: false })
    expect((await evict(app, 'n3')).statusCode).toBe(404)
    // Whoever bears the name by then is meant before those who did.
    replica.former.push({ name: 'n3', replica: id })
    replica.memberViews.push(memberView('n3', '00000000000000d4', { state: 'dead' }))
    expect((await evict(app, 'n3')).json()).toMatchObject({ nodeId: '00000000000000d4', changed: true })
  })

  it('takes the id of a member that nobody has ever heard of, and names such', async () => {
    const { app, replica } = testServer()
    replica.unknown = ['00000000000000e5']
    expect((await evict(app, 'n9')).json()).toMatchObject({
      code: 'not_found',
      detail: expect.stringContaining('00000000000000e5'),
    })
    replica.memberViews.push(memberView('n3', '00000000000000c3', { state: 'dead' }))
    expect((await evict(app, '00000000000000e5')).json()).toMatchObject({ changed: true })
    expect(replica.evicted).toEqual(['00000000000000e5'])
  })
})

describe('leaving', () => {
  const leave = (app: ReturnType<typeof testServer>['app'], query = '') =>
    app.inject({ method: 'POST', url: `/v1/admin/leave${query}` })

  it('says who holds everything now, and only then is over', async () => {
    const { app, state } = testServer()
    const answer = await leave(app, '?timeout=2s')
    expect([answer.statusCode, answer.json()]).toMatchObject([200, { name: 'n1', coveredBy: 'n2', told: ['n2'] }])
    expect(answer.json().warning).toBeUndefined()
    expect(state.left).toBe(1)
  })

  it('says what is left to do when nobody could be told', async () => {
    const { app, replica } = testServer()
    replica.told = []
    expect((await leave(app)).json()).toMatchObject({ told: [], warning: expect.stringContaining('once more') })
  })

  it.each([
    ['last_member', 409, 'conflict'],
    ['nobody_reachable', 503, 'quorum_not_met'],
    ['not_covered', 504, 'timeout'],
    ['not_member', 503, 'not_ready'],
    ['cloned', 503, 'cloned'],
  ] as const)('is refused, and nothing has happened: %s', async (reason, status, code) => {
    const { app, replica, state } = testServer()
    replica.leaving = new LeaveError(reason, 'because')
    const answer = await leave(app)
    expect(answer.statusCode).toBe(status)
    expect(answer.json()).toMatchObject({ code, outcome: 'not-applied', detail: expect.stringContaining('because') })
    expect(state.left).toBe(0)
    expect((await leave(app, '?timeout=2h')).statusCode).toBe(400)
  })
})

describe('the scrub', () => {
  it('is begun, and tells what it found', async () => {
    const { app } = testServer()
    expect((await app.inject('/v1/admin/scrub')).json()).toMatchObject({ running: false, startedAt: null })
    const begun = await app.inject({ method: 'POST', url: '/v1/admin/scrub' })
    expect(begun.statusCode).toBe(200)
    expect(begun.json()).toMatchObject({ running: false, corrupt: 2, hidden: 1, healed: 3, mendedLeaves: 1 })
    expect(begun.json()).toMatchObject({ undecided: [{ bucket: 'b', key: 'k', heldBy: 'n2', lackedBy: 'n1' }] })
    expect((await app.inject('/v1/admin/scrub')).json()).toEqual(begun.json())
  })
})

describe('health', () => {
  it('is alive whatever happens, and ready when the replica is', async () => {
    const { app, replica, state } = testServer()
    expect((await app.inject('/livez')).statusCode).toBe(200)
    expect((await app.inject('/readyz')).statusCode).toBe(200)
    expect((await app.inject('/readyz?verbose')).json()).toEqual({
      ready: true,
      joined: true,
      writable: true,
      disk: { freeBytes: 5, reserveBytes: 4 },
    })
    replica.isReadOnly = true
    expect((await app.inject('/readyz')).statusCode).toBe(200)
    expect((await app.inject('/readyz?verbose')).json()).toMatchObject({
      ready: true,
      writable: false,
      reason: expect.stringContaining('disk'),
    })
    replica.isReadOnly = false
    replica.stage = 'joining'
    const joining = await app.inject('/readyz')
    expect(joining.statusCode).toBe(503)
    expect(joining.json()).toMatchObject({ code: 'not_ready', retryable: true })
    const verbose = await app.inject('/readyz?verbose')
    expect(verbose.statusCode).toBe(503)
    expect(verbose.json()).toMatchObject({ ready: false, joined: true, writable: false, reason: 'it is joining' })
    replica.stage = 'member'
    replica.reason = 'cloned: another process goes by the id of this node'
    const cloned = await app.inject('/readyz')
    expect(cloned.statusCode).toBe(503)
    expect(cloned.json()).toMatchObject({ code: 'cloned', detail: expect.stringContaining('another process') })
    replica.reason = undefined
    state.draining = true
    expect((await app.inject('/readyz')).json()).toMatchObject({ code: 'draining' })
    expect((await app.inject('/livez')).statusCode).toBe(200)
  })
})

describe('metrics', () => {
  it('hold what the node measures, under the names that are promised', async () => {
    const { app, metrics, replica } = testServer()
    const { measures } = metrics
    measures.add('rumor_feedback', 2, 'news')
    measures.add('rumor_updates', 2)
    measures.add('rumor_entries_sent', 5)
    measures.add('antientropy_keys_repaired', 1, 'in')
    measures.observe('commit_seconds', 0.0015)
    measures.observe('rumor_delay_seconds', 0.25)
    measures.observe('rumor_delay_seconds', 0.75)
    replica.memberViews.push(memberView('n"3\\', 'x', {}))
    await app.inject({ method: 'PUT', url: '/v1/kv/b/k', payload: 'x' })
    await app.inject('/v1/kv/b/k')
    await app.inject('/v1/kv/b/other')
    replica.failures.push(new WriteError('overloaded', 'not-applied', 'full'))
    await app.inject({ method: 'PUT', url: '/v1/kv/b/k', payload: 'x' })
    const answer = await app.inject('/metrics')
    expect(answer.headers['content-type']).toContain('text/plain')
    const lines = new Set(answer.body.split('\n'))
    for (const line of [
      'grapevine_rumor_feedback_total{outcome="news"} 2',
      'grapevine_rumor_feedback_total{outcome="known"} 0',
      'grapevine_rumor_traffic_per_update 2.5',
      `grapevine_rumor_residue_ratio ${1 / 3}`,
      'grapevine_rumor_delay_seconds{quantile="avg"} 0.5',
      'grapevine_rumor_delay_seconds{quantile="last"} 0.75',
      'grapevine_antientropy_exchanges_total{result="failed"} 0',
      'grapevine_keys_repaired_total{direction="in"} 1',
      'grapevine_exchange_bytes_total{direction="out"} 0',
      'grapevine_integrity_faults_total 0',
      'grapevine_merkle_rebuilds_total 0',
      'grapevine_divergent_partitions{peer="n2"} 3',
      'grapevine_members{state="alive"} 2',
      'grapevine_commit_seconds_bucket{le="0.001"} 0',
      'grapevine_commit_seconds_bucket{le="0.002"} 1',
      'grapevine_commit_seconds_bucket{le="+Inf"} 1',
      'grapevine_commit_seconds_count 1',
      'grapevine_clock_skew_seconds{peer="n2"} 1.5',
      'grapevine_parked_entries 3',
      'grapevine_parked_entries_from{peer="n2"} 3',
      'grapevine_keys 1',
      'grapevine_tombstones 0',
      'grapevine_http_requests_total{method="PUT",route="/v1/kv/{bucket}/{key}",status="204"} 1',
      'grapevine_http_requests_total{method="PUT",route="/v1/kv/{bucket}/{key}",status="503"} 1',
      'grapevine_http_requests_total{method="GET",route="/v1/kv/{bucket}/{key}",status="200"} 1',
      'grapevine_http_requests_total{method="GET",route="/v1/kv/{bucket}/{key}",status="404"} 1',
      'grapevine_http_request_seconds_count{method="GET",route="/v1/kv/{bucket}/{key}"} 2',
    ])
      expect(lines).toContain(line)
    expect(answer.body).toMatch(/^grapevine_event_loop_delay_seconds\{quantile="0.99"\} /m)
    expect(answer.body).toMatch(/^grapevine_process_cpu_seconds_total /m)
    const named = answer.body.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
    expect(named.filter((line) => !line.startsWith('grapevine_'))).toEqual([])
    const types = answer.body.match(/^# TYPE \S+/gm) ?? []
    expect(new Set(types).size).toBe(types.length)
  })
})
