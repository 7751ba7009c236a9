import { runCommandLine } from '@grapevine/cli'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { FakeNode, json } from '../../client/test/fake-node.ts'
import { FakeShell } from './fake-shell.ts'

let node: FakeNode
beforeAll(async () => {
  node = await FakeNode.start()
})
afterAll(() => node.stop())

async function run(line: readonly string[]) {
  const shell = new FakeShell({ env: { GRAPEVINE_ENDPOINTS: node.url } })
  const code = await runCommandLine(line, shell)
  return { code, out: shell.stdout.text, err: shell.stderr.text }
}

describe('grapevine evict', () => {
  it('asks nobody before it is told that this is meant, and then says what is lost', async () => {
    const body = { name: 'n3', nodeId: 'c3', changed: true, warning: 'What only it had is lost.' }
    node.handler = (_, response) => json(response, body)
    const unsure = await run(['evict', 'n3'])
    expect(unsure).toMatchObject({ code: 2, out: '', err: expect.stringContaining('grapevine evict n3 --yes') })
    expect(node.seen).toEqual([])
    const { code, out } = await run(['evict', 'n3', '--yes'])
    expect({ code, out }).toEqual({ code: 0, out: 'n3 is evicted.\nWhat only it had is lost.\n' })
    expect(node.seen.map(({ method, url }) => [method, url])).toEqual([['POST', '/v1/admin/evict/n3']])
  })
})
