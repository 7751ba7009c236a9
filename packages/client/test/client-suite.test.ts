import { connect } from '@grapevine/client'
import { memory } from '@grapevine/client/memory'
import { connect as connectNode } from '@grapevine/client/node'
import { testClient, type Opened } from './client-suite.ts'
import { HttpNode } from './http-node.ts'

testClient('in memory', async () => {
  const grapevine = memory()
  return { grapevine, node: grapevine.node, close: () => grapevine.close() }
})

testClient('for every platform', () => overHttp(connect))

testClient('for Node', () => overHttp(connectNode))

async function overHttp(connectTo: typeof connect): Promise<Opened> {
  const http = await HttpNode.start()
  const grapevine = await connectTo(http.url)
  return {
    grapevine,
    node: http.node,
    async close() {
      await grapevine.close()
      await http.stop()
    },
  }
}
