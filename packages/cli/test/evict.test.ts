import { runCommandLine } from '@grapevine/cli'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { FakeNode, json } from '../../client/test/fake-node.ts'
import { FakeShell, type FakeShellOptions } from './fake-shell.ts'

let node: FakeNode
beforeAll(async () => {
  node = await FakeNode.start()
})
beforeEach(() => {
  node.seen.length = 0
})
afterAll(() => node.stop())

async function run(line: readonly string[], options: FakeShellOptions = {}) {
  const shell = new FakeShell({ env: { GRAPEVINE_ENDPOINTS: node.url }, ...options })
  const code = await runCommandLine(line, shell)
  return { code, out: shell.stdout.text, err: shell.stderr.text }
}

const asked = () => node.seen.map(({ method, url }) => `${method} ${url}`)

describe('grapevine evict', () => {
  const evicted = (changed: boolean) => ({ name: 'n3', nodeId: 'c3', changed, warning: 'What only it had is lost.' })
  const members = [
    { name: 'n3', nodeId: 'c3', state: 'dead' },
    { name: 'n2', nodeId: 'b2', state: 'alive' },
  ]

  it('asks nobody before it is told that this is meant, and then says what is lost', async () => {
    node.handler = (request, response) => json(response, request.method === 'GET' ? { members } : evicted(true))
    const unsure = await run(['evict', 'n3'])
    expect(unsure).toMatchObject({ code: 2, out: '', err: expect.stringContaining('grapevine evict n3 --yes') })
    expect(asked()).toEqual([])
    const { code, out } = await run(['evict', 'n3', '--yes'])
    expect({ code, out }).toEqual({ code: 0, out: 'n3 is evicted.\nWhat only it had is lost.\n' })
    // By its id: asking again must not end the one that comes back under the name.
    expect(asked()).toEqual(['GET /v1/cluster/members', 'POST /v1/admin/evict/c3'])
  })

  it('says when that had been done before, also of one whose name nobody remembers', async () => {
    node.handler = (request, response) => json(response, request.method === 'GET' ? { members: [] } : evicted(false))
    expect((await run(['evict', 'c3', '--yes'])).out).toMatch(/^n3 had been evicted before/)
    expect(asked()).toContain('POST /v1/admin/evict/c3')
  })

  it('asks at a terminal, and takes nothing but yes', async () => {
    node.handler = (request, response) => json(response, request.method === 'GET' ? { members } : evicted(true))
    for (const stdin of ['no\n', 'y\n', '', '\n']) {
      const { code, err } = await run(['evict', 'n3'], { isTTY: true, stdin })
      expect(code).toBe(1)
      expect(err).toContain('What only n3 holds is lost')
      expect(err).toContain('Nothing was done')
    }
    expect(asked()).toEqual([])
    expect((await run(['evict', 'n3'], { isTTY: true, stdin: 'yes\n' })).code).toBe(0)
    expect(asked()).toContain('POST /v1/admin/evict/c3')
  })
})

describe('grapevine leave', () => {
  const left = { name: 'n3', nodeId: 'c3', coveredBy: 'n1', told: ['n1', 'n2'], dataDir: '/data/n3' }

  it('is asked of one node, which must be named when there are several, and is meant', async () => {
    node.handler = (_, response) => json(response, left)
    expect(await run(['leave'])).toMatchObject({ code: 2, err: expect.stringContaining('grapevine leave --yes') })
    const many = { env: { GRAPEVINE_ENDPOINTS: `${node.url},http://127.0.0.1:1` } }
    expect(await run(['leave', '--yes'], many)).toMatchObject({ code: 2, err: expect.stringContaining('Say which') })
    expect(asked()).toEqual([])
  })

  it('says who holds everything, and where the data is', async () => {
    node.handler = (_, response) => json(response, left)
    const { code, out, err } = await run(['leave', '--yes', '--within', '2s'])
    expect({ code, out }).toEqual({
      code: 0,
      out: 'n3 has left: n1 holds all that it held. Its data is still in /data/n3 there.\nTold: n1, n2.\n',
    })
    expect(err).toContain('Waiting until another member holds all')
    expect(asked()).toEqual(['POST /v1/admin/leave?timeout=2000ms'])
    expect(JSON.parse((await run(['leave', '--yes', '-o', 'json'])).out)).toEqual(left)
  })

  it('says why not', async () => {
    const problem = { code: 'conflict', title: 'No', detail: 'this is the last member', retryable: false, status: 409 }
    node.handler = (_, response) => {
      response.writeHead(409, { 'content-type': 'application/problem+json' })
      response.end(JSON.stringify(problem))
    }
    const { code, err } = await run(['leave', '--yes'])
    expect(code).not.toBe(0)
    expect(err).toContain('this is the last member')
  })
})
