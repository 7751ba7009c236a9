// Two servers of one site, each beside its own node, behind a load balancer that sends a browser to either.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { connect, GrapevineError, type Grapevine } from '@grapevine/client/node'

//#region handler
const COOKIE = /(?:^|; )seen=([^;]*)/

/** What this browser has seen goes along in a cookie, so that whichever server it comes to shows no less. */
export function siteOn(grapevine: Grapevine): Server {
  return createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      // The node is too far behind for this browser and could not catch up in time: another one may do better.
      response.writeHead(error instanceof GrapevineError && error.code === 'behind' ? 503 : 500).end()
    })
  })

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const session = grapevine.session(COOKIE.exec(request.headers.cookie ?? '')?.[1])
    const profiles = session.bucket('profiles', { codec: 'text' })
    const user = request.url ?? '/'
    let text = ''
    if (request.method === 'PUT') {
      for await (const chunk of request) text += String(chunk)
      await profiles.put(user, text)
    } else text = (await profiles.get(user)) ?? 'nobody'
    response.setHeader('set-cookie', `seen=${session.sessionToken ?? ''}; Path=/; HttpOnly; SameSite=Lax`)
    response.end(text)
  }
}
//#endregion

/** Writes to one server and reads from the other, many times. @returns how often the write was not there. */
export async function main(endpoints: readonly string[]): Promise<number> {
  const sites = await Promise.all(
    endpoints.slice(0, 2).map(async (endpoint) => {
      const grapevine = await connect(endpoint, { discover: false, session: false })
      const server = siteOn(grapevine)
      await new Promise<void>((listening) => {
        server.listen(0, '127.0.0.1', listening)
      })
      const address = server.address()
      const port = typeof address === 'object' && address !== null ? address.port : 0
      return { grapevine, server, url: `http://127.0.0.1:${port}/ann` }
    }),
  )
  const [first, second] = sites
  if (first === undefined || second === undefined) throw new Error('it takes two nodes')
  let stale = 0
  let cookie = ''
  for (let round = 0; round < 50; round++) {
    const written = await fetch(first.url, { method: 'PUT', body: `Ann ${round}`, headers: { cookie } })
    cookie = written.headers.getSetCookie()[0]?.split(';')[0] ?? ''
    const read = await fetch(second.url, { headers: { cookie } })
    if ((await read.text()) !== `Ann ${round}`) stale += 1
    cookie = read.headers.getSetCookie()[0]?.split(';')[0] ?? ''
  }
  for (const { grapevine, server } of sites) {
    server.close()
    server.closeAllConnections()
    await grapevine.close()
  }
  return stale
}
