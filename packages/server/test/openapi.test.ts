import { readFileSync, writeFileSync } from 'node:fs'
import type * as contract from '@grapevine/contract'
import { MEDIA_TYPES, PROBLEMS } from '@grapevine/contract'
import { addressOf } from '@grapevine/core'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { Static } from 'typebox'
import { Value } from 'typebox/value'
import { openApiDocument, OPERATIONS, type Operation } from '../src/index.ts'
import { HttpMeters } from '../src/metrics/http-meters.ts'
import * as schemas from '../src/openapi/schemas.ts'
import type { GetPeerBody, InitBody } from '../src/routes/gossip.ts'
import { OTHER_ID } from './fake-replica.ts'
import { testServer } from './serve.ts'

const COPY = new URL('../../../docs/openapi.json', import.meta.url)

type Frozen<T> = T extends object ? { readonly [Name in keyof T]: Frozen<T[Name]> } : T
/** `true` when each of the two types can stand for the other. */
type Same<A, B> = [Frozen<A>] extends [Frozen<B>] ? ([Frozen<B>] extends [Frozen<A>] ? true : 'wider') : 'other'

/** The compiler refuses this table when a schema says something else than the type that clients are built with. */
const SAME: {
  readonly [
    Name in Exclude<keyof typeof schemas, 'NodeState' | 'WriteConcern' | 'BatchOp' | 'InitBody' | 'GetPeerBody'>
  ]: Name extends keyof Contract ? Same<Static<(typeof schemas)[Name]>, Contract[Name]> : never
} & Record<'NodeState' | 'WriteConcern' | 'BatchOp' | 'InitBody' | 'GetPeerBody', true> = {
  NodeState: true satisfies Same<Static<typeof schemas.NodeState>, contract.NodeState>,
  WriteConcern: true satisfies Same<Static<typeof schemas.WriteConcern>, contract.WriteConcern>,
  BatchOp: true satisfies Same<Static<typeof schemas.BatchOp>, contract.BatchOp>,
  InitBody: true satisfies Same<Static<typeof schemas.InitBody>, InitBody>,
  GetPeerBody: true satisfies Same<Static<typeof schemas.GetPeerBody>, GetPeerBody>,
  Acks: true,
  Problem: true,
  ListItem: true,
  ListBody: true,
  BatchRequest: true,
  BatchResult: true,
  BatchBody: true,
  WatchData: true,
  BucketPolicyBody: true,
  SessionRequest: true,
  SessionBody: true,
  VisibilityRequest: true,
  VisibilityBody: true,
  StatusNode: true,
  ClusterBody: true,
  MemberBody: true,
  MembersBody: true,
  RoutingBody: true,
  DivergenceBody: true,
  EntryOutlineBody: true,
  DiffBody: true,
  InspectBody: true,
  AntiEntropyRequest: true,
  ExchangeBody: true,
  ExchangesBody: true,
  ScrubBody: true,
  PauseRequest: true,
  PauseBody: true,
  ConfigBody: true,
  EvictBody: true,
  ReadyBody: true,
  UndecidedKeyBody: true,
  MemberValueBody: true,
  GossipStateBody: true,
  GossipEventData: true,
  LeaveBody: true,
  RestoreBody: true,
  MomentBody: true,
  AcknowledgementBody: true,
  TombstonesBody: true,
  TombstoneExplainBody: true,
}

interface Contract {
  Acks: contract.Acks
  Problem: contract.Problem
  ListItem: contract.ListItem
  ListBody: contract.ListBody
  BatchRequest: contract.BatchRequest
  BatchResult: contract.BatchResult
  BatchBody: contract.BatchBody
  WatchData: contract.WatchData
  BucketPolicyBody: contract.BucketPolicyBody
  SessionRequest: contract.SessionRequest
  SessionBody: contract.SessionBody
  VisibilityRequest: contract.VisibilityRequest
  VisibilityBody: contract.VisibilityBody
  StatusNode: contract.StatusNode
  ClusterBody: contract.ClusterBody
  MemberBody: contract.MemberBody
  MembersBody: contract.MembersBody
  RoutingBody: contract.RoutingBody
  DivergenceBody: contract.DivergenceBody
  EntryOutlineBody: contract.EntryOutlineBody
  DiffBody: contract.DiffBody
  InspectBody: contract.InspectBody
  AntiEntropyRequest: contract.AntiEntropyRequest
  ExchangeBody: contract.ExchangeBody
  ExchangesBody: contract.ExchangesBody
  ScrubBody: contract.ScrubBody
  PauseRequest: contract.PauseRequest
  PauseBody: contract.PauseBody
  ConfigBody: contract.ConfigBody
  EvictBody: contract.EvictBody
  ReadyBody: contract.ReadyBody
  UndecidedKeyBody: contract.UndecidedKeyBody
  MemberValueBody: contract.MemberValueBody
  GossipStateBody: contract.GossipStateBody
  GossipEventData: contract.GossipEventData
  LeaveBody: contract.LeaveBody
  RestoreBody: contract.RestoreBody
  MomentBody: contract.MomentBody
  AcknowledgementBody: contract.AcknowledgementBody
  TombstonesBody: contract.TombstonesBody
  TombstoneExplainBody: contract.TombstoneExplainBody
}

/** A request that each described route with JSON in its answer takes. */
const SAMPLES: Readonly<Record<string, { readonly url: string; readonly body?: unknown }>> = {
  'GET /v1/kv/:bucket': { url: '/v1/kv/b?include=value' },
  'POST /v1/batch': {
    url: '/v1/batch',
    body: {
      ops: [
        { op: 'put', bucket: 'b', key: 'k2', value: 'AA==', ttl: '1h' },
        { op: 'get', bucket: 'b', key: 'k' },
        { op: 'get', bucket: 'b', key: 'nothing' },
        { op: 'delete', bucket: 'b', key: 'k2', ifMatch: 'x' },
      ],
    },
  },
  'POST /v1/session': { url: '/v1/session', body: { tokens: [] } },
  'GET /v1/buckets/:bucket': { url: '/v1/buckets/b' },
  'GET /v1/cluster': { url: '/v1/cluster' },
  'GET /v1/cluster/members': { url: '/v1/cluster/members' },
  'GET /v1/cluster/routing': { url: '/v1/cluster/routing' },
  'GET /v1/gossip/init': { url: '/v1/gossip/init' },
  'GET /v1/gossip/state': { url: '/v1/gossip/state' },
  'GET /v1/gossip/get-peer': { url: '/v1/gossip/get-peer' },
  'GET /v1/admin/divergence': { url: '/v1/admin/divergence?depth=8' },
  'GET /v1/admin/diff': { url: `/v1/admin/diff?with=n2` },
  'GET /v1/admin/keys/:bucket/*': { url: '/v1/admin/keys/b/k' },
  'GET /v1/admin/anti-entropy': { url: '/v1/admin/anti-entropy' },
  'POST /v1/admin/anti-entropy': { url: '/v1/admin/anti-entropy', body: { with: 'n2' } },
  'POST /v1/admin/leave': { url: '/v1/admin/leave' },
  'GET /v1/admin/scrub': { url: '/v1/admin/scrub' },
  'POST /v1/admin/scrub': { url: '/v1/admin/scrub' },
  'POST /v1/admin/pause': { url: '/v1/admin/pause', body: { what: 'all' } },
  'POST /v1/admin/resume': { url: '/v1/admin/resume', body: { what: 'rumors' } },
  'POST /v1/admin/evict/:node': { url: `/v1/admin/evict/${OTHER_ID}?alone=1` },
  'GET /v1/admin/config': { url: '/v1/admin/config' },
  'GET /readyz': { url: '/readyz?verbose' },
  'GET /openapi.json': { url: '/openapi.json' },
}

describe('/openapi.json', () => {
  it('is what docs/openapi.json says (`UPDATE_DOCS=1` writes it anew)', async () => {
    const document = openApiDocument()
    if (process.env['UPDATE_DOCS'] === '1') writeFileSync(COPY, `${JSON.stringify(document, null, 2)}\n`)
    else expect(JSON.parse(readFileSync(COPY, 'utf8'))).toEqual(document)
    const { app } = testServer()
    const answer = await app.inject({ url: '/openapi.json' })
    expect(answer.headers['content-type']).toBe('application/json')
    expect(answer.json()).toEqual(document)
  })

  it('has every route, and no other', () => {
    // Each route that is registered is measured.
    const measured = vi.spyOn(HttpMeters.prototype, 'of')
    onTestFinished(() => measured.mockRestore())
    testServer()
    const routes = measured.mock.calls.map(([method, path]) => `${method} ${path}`)
    const described = OPERATIONS.flatMap(({ method, pattern, hasHead }) => [
      ...[method, ...(hasHead ? ['HEAD'] : [])].map(
        (one) => `${one} ${pattern.replaceAll(/:(\w+)/g, '{$1}').replace('*', '{key}')}`,
      ),
    ])
    expect(described.toSorted()).toEqual(routes.toSorted())
  })

  it('has every problem', () => {
    const text = JSON.stringify(openApiDocument())
    const described = Object.keys(PROBLEMS).filter((code) => text.includes(`\`${code}\``))
    // Of tokens there are none yet; a path or a method that is not described answers for itself.
    const elsewhere = ['unauthorized', 'rate_limited', 'method_not_allowed', 'not_acceptable']
    expect([...described, ...elsewhere].toSorted()).toEqual(Object.keys(PROBLEMS).toSorted())
  })

  it('holds together: references lead somewhere, names of operations are one of a kind', () => {
    const document = openApiDocument()
    const text = JSON.stringify(document)
    const references = new Set([...text.matchAll(/"\$ref":"#\/([^"]+)"/g)].map(([, path = '']) => path))
    expect(references.size).toBeGreaterThan(20)
    for (const path of references) {
      let at: unknown = document
      for (const part of path.split('/')) at = (at as Record<string, unknown>)[part]
      expect(at).toBeTypeOf('object')
    }
    const ids = [...text.matchAll(/"operationId":"([^"]+)"/g)].map(([, id]) => id)
    expect(new Set(ids).size).toBe(ids.length)
    expect(text).not.toContain('~')
  })

  it('says of JSON what is true', async () => {
    expect(Object.values(SAME)).not.toContain('other')
    const withJson = OPERATIONS.filter(({ answers }) => JSON.stringify(answers).includes(`"${MEDIA_TYPES.json}"`))
    // The first is not built; the others' tests of their own give them what they need. Their types are compared above.
    const built = withJson.filter(({ pattern }) => !/visibility|restore|tombstones/.test(pattern))
    expect(built.map(nameOf).toSorted()).toEqual(Object.keys(SAMPLES).toSorted())
    for (const operation of built) {
      const { app, replica } = testServer()
      replica.put({ address: addressOf('b', 'k'), value: Buffer.from('v'), expiresAtMs: replica.wallMs + 1_000 })
      const sample = SAMPLES[nameOf(operation)]
      const answer = await app.inject({
        method: operation.method,
        url: sample?.url ?? '',
        ...(sample?.body === undefined
          ? {}
          : { payload: JSON.stringify(sample.body), headers: { 'content-type': MEDIA_TYPES.json } }),
      })
      const schema = operation.answers[answer.statusCode]?.schemas?.[MEDIA_TYPES.json]
      if (schema === undefined) throw new Error(`${nameOf(operation)} answers ${answer.statusCode}: ${answer.body}`)
      const errors = [...Value.Errors(schema, answer.json())]
      expect([nameOf(operation), errors]).toEqual([nameOf(operation), []])
      const asked = operation.body?.schemas[MEDIA_TYPES.json]
      if (asked !== undefined) expect([...Value.Errors(asked, sample?.body)]).toEqual([])
    }
  })

  it.each(OPERATIONS.filter(({ isBuilt }) => isBuilt).map((operation) => [nameOf(operation), operation] as const))(
    'names the parameters that are known: %s',
    async (_, { method, pattern, query }) => {
      const { app } = testServer()
      const path = pattern.replace(':bucket', 'b').replace('*', 'k').replace(':node', 'n2').replace(':name', 'x')
      const answer = await app.inject({ method, url: `${path}?zzzzzzzzz=1` })
      if (pattern === '/livez' || pattern === '/v1/visibility') return
      const names = Object.keys(query)
      const known = names.length === 0 ? 'None is known here' : `Known are ${names.join(', ')}`
      expect(answer.json<contract.Problem>()).toMatchObject({
        code: 'bad_query',
        detail: `The parameter "zzzzzzzzz" is not known. ${known}.`,
      })
    },
  )
})

describe('/docs', () => {
  it('is a page with everything in it, that loads nothing and runs nothing', async () => {
    const { app } = testServer()
    const answer = await app.inject({ url: '/docs' })
    expect(answer.headers['content-type']).toBe('text/html; charset=utf-8')
    expect(answer.headers['content-security-policy']).toContain("default-src 'none'")
    const { body } = answer
    for (const path of Object.keys(openApiDocument()['paths'] as object)) expect(body).toContain(`<code>${path}</code>`)
    for (const code of Object.keys(PROBLEMS)) expect(body).toContain(`<td><code>${code}</code>`)
    for (const name of Object.keys(schemas)) expect(body).toContain(`id="schema-${name}"`)
    expect(body).not.toMatch(/<script|<link|<img|@import|url\(|https?:\/\//)
    const anchors = [...body.matchAll(/href="([^"]+)"/g)].map(([, to = '']) => to)
    for (const to of anchors.filter((anchor) => anchor.startsWith('#'))) expect(body).toContain(`id="${to.slice(1)}"`)
    expect(anchors.filter((to) => !to.startsWith('#'))).toEqual(['/openapi.json'])
  })
})

function nameOf({ method, pattern }: Operation): string {
  return `${method} ${pattern}`
}
