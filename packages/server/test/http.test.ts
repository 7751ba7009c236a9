import { connect } from 'node:net'
import { once } from 'node:events'
import { addressOf } from '@grapevine/core'
import { describe, expect, it } from 'vitest'
import { rawExchange, type RawAnswer } from './raw-http.ts'
import { send } from './send.ts'
import { listening, testServer, type TestServerOptions } from './serve.ts'

async function serverPort(options?: TestServerOptions) {
  const server = testServer(options)
  return { ...server, port: await listening(server.app) }
}

function expectProblem(answer: RawAnswer, status: number, code: string): void {
  expect(answer.text).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
  expect(answer.headers.get('content-type')).toBe('application/problem+json')
  expect(answer.headers.get('connection')).toBe('close')
  expect(JSON.parse(answer.body)).toMatchObject({ code, status, outcome: 'not-applied' })
}

describe('a value', () => {
  const argv = ['--value-max', '1KiB']

  it('at the limit is taken, one byte more is not', async () => {
    const { port, replica } = await serverPort({ argv })
    expect((await send(port, 'PUT', '/v1/kv/b/k', { body: 'x'.repeat(1024) })).status).toBe(204)
    const over = await send(port, 'PUT', '/v1/kv/b/over', { body: 'x'.repeat(1025) })
    expect(over.status).toBe(413)
    expect(JSON.parse(over.body.toString())).toMatchObject({ code: 'too_large', outcome: 'not-applied' })
    expect(replica.rows.size).toBe(1)
  })

  it('of unknown length is counted as it comes', async () => {
    const { port, replica } = await serverPort({ argv })
    const chunked = (sizes: readonly number[]) =>
      rawExchange(port, [
        'PUT /v1/kv/b/k HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n',
        ...sizes.map((size) => `${size.toString(16)}\r\n${'x'.repeat(size)}\r\n`),
        '0\r\n\r\n',
      ])
    expect((await chunked([1000, 24])).status).toBe(204)
    expect(replica.read(addressOf('b', 'k'))).toMatchObject({ value: { length: 1024 } })
    expectProblem(await chunked([1000, 25]), 413, 'too_large')
  })

  it('that is far too large is refused without being read into memory', async () => {
    const { port } = await serverPort({ argv })
    const answer = await rawExchange(port, [
      'PUT /v1/kv/b/k HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000000\r\n\r\n',
      'x'.repeat(100_000),
    ])
    expectProblem(answer, 413, 'too_large')
  })

  it('that is announced by an expectation is refused before it is sent', async () => {
    const { port } = await serverPort({ argv: [] })
    const refused = await rawExchange(port, [
      'PUT /v1/kv/b/k HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 10000000\r\n\r\n',
    ])
    expectProblem(refused, 413, 'too_large')
    const taken = await rawExchange(port, [
      'PUT /v1/kv/b/k HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n',
      'x',
    ])
    expect(taken.text).toMatch(/^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 204 /)
  })

  it('in many pieces is put together', async () => {
    const { port, replica } = await serverPort()
    const body = Buffer.from(Array.from({ length: 500_000 }, (_, index) => index % 251))
    expect((await send(port, 'PUT', '/v1/kv/b/k', { body })).status).toBe(204)
    expect(body.equals(replica.rows.get(addressOf('b', 'k'))?.value ?? Buffer.of())).toBe(true)
  })

  it('has to wait while too many others arrive', async () => {
    const { port, replica } = await serverPort({ argv: ['--value-max', '16MiB'] })
    const beginnings = await Promise.all(
      Array.from({ length: 9 }, async () => {
        const socket = connect(port, '127.0.0.1')
        socket.on('error', () => {})
        await once(socket, 'connect')
        socket.write('PUT /v1/kv/b/slow HTTP/1.1\r\nHost: x\r\nContent-Length: 16000001\r\n\r\n')
        socket.write(Buffer.alloc(16_000_000))
        return socket
      }),
    )
    // One of them was one too many.
    const received = await Promise.any(beginnings.map(async (socket) => String((await once(socket, 'data'))[0])))
    expect(received).toMatch(/^HTTP\/1.1 503 /)
    expect(received).toContain('"code":"overloaded"')
    for (const socket of beginnings) socket.destroy()
    await expect
      .poll(async () => (await send(port, 'PUT', '/v1/kv/b/k', { body: Buffer.alloc(1_000_000) })).status)
      .toBe(204)
    expect(replica.writes).toBe(1)
  })

  it('that breaks off is not written', async () => {
    const { port, replica } = await serverPort()
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    socket.end('PUT /v1/kv/b/k HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf')
    socket.resume()
    await once(socket, 'close')
    expect(replica.writes).toBe(0)
  })
})

describe('what is not one request', () => {
  it.each([
    ['both lengths', 'Content-Length: 3\r\nTransfer-Encoding: chunked', 400],
    ['two lengths', 'Content-Length: 3\r\nContent-Length: 4', 400],
    ['the same length twice', 'Content-Length: 3\r\nContent-Length: 3', 400],
    ['a length that is none', 'Content-Length: 3x', 400],
    ['an unknown coding', 'Transfer-Encoding: gzip', 400],
    ['chunked twice removed', 'Transfer-Encoding: chunked, identity', 400],
    ['a space before the colon', 'Content-Length : 3', 400],
  ])('%s is refused, and what follows is never read as another', async (_name, headers, status) => {
    const { port, replica } = await serverPort()
    const answer = await rawExchange(port, [
      `PUT /v1/kv/b/k HTTP/1.1\r\nHost: x\r\n${headers}\r\n\r\nabc`,
      'PUT /v1/kv/b/smuggled HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n',
    ])
    expectProblem(answer, status, 'bad_request')
    expect(answer.text.match(/^HTTP\/1\.1 /gm)).toHaveLength(1)
    expect(replica.writes).toBe(0)
  })

  it('has no host, or two', async () => {
    const { port, replica } = await serverPort()
    const two = await rawExchange(port, ['PUT /v1/kv/b/k HTTP/1.1\r\nHost: x\r\nHost: y\r\nContent-Length: 0\r\n\r\n'])
    expectProblem(two, 400, 'bad_request')
    expect(replica.writes).toBe(0)
    expectProblem(await rawExchange(port, ['PUT /v1/kv/b/k HTTP/1.1\r\nContent-Length: 0\r\n\r\n']), 400, 'bad_request')
  })

  it('is no HTTP', async () => {
    const { port } = await serverPort()
    expectProblem(await rawExchange(port, ['\u0016\u0003\u0001 hello\r\n\r\n']), 400, 'bad_request')
  })

  it('has too many headers, or too long a URL', async () => {
    const { port } = await serverPort()
    const headers = await rawExchange(port, [`GET / HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(17 * 1024)}\r\n\r\n`])
    expectProblem(headers, 431, 'headers_too_large')
    const url = await rawExchange(port, [`GET /${'y'.repeat(17 * 1024)} HTTP/1.1\r\nHost: x\r\n\r\n`])
    expectProblem(url, 414, 'uri_too_long')
  })

  it('expects what nobody can meet', async () => {
    const { port } = await serverPort()
    const answer = await rawExchange(port, ['PUT /v1/kv/b/k HTTP/1.1\r\nHost: x\r\nExpect: magic\r\n\r\n'])
    expect(answer.status).toBe(417)
    expect(JSON.parse(answer.body)).toMatchObject({ code: 'expectation_failed' })
  })

  it('is not taken for the answer to the one before', async () => {
    const { port, replica } = await serverPort()
    const gate = Promise.withResolvers<void>()
    const write = replica.write.bind(replica)
    replica.write = async (request) => {
      await gate.promise
      return write(request)
    }
    const socket = connect(port, '127.0.0.1')
    const received: Buffer[] = []
    socket.on('data', (chunk) => received.push(chunk))
    await once(socket, 'connect')
    socket.write('PUT /v1/kv/b/k HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx')
    socket.write('this is no request\r\n\r\n')
    await once(socket, 'close')
    gate.resolve()
    // A 400 here would say "not applied" of a write that may well be.
    expect(Buffer.concat(received).toString()).toBe('')
  })
})

describe('slow clients', () => {
  const limits = { headersMs: 100, requestMs: 200, checkMs: 20 }

  it('that do not end their headers are cut off', async () => {
    const { port } = await serverPort({ limits })
    const answer = await rawExchange(port, ['PUT /v1/kv/b/k HTTP/1.1\r\nHost: x\r\n'])
    expectProblem(answer, 408, 'request_timeout')
  })

  it('that do not send their body are too', async () => {
    const { port, replica } = await serverPort({ limits })
    const answer = await rawExchange(port, ['PUT /v1/kv/b/k HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n', 'half'])
    expectProblem(answer, 408, 'request_timeout')
    expect(replica.writes).toBe(0)
  })

  it('that read nothing for long are too', async () => {
    const { app, port, replica } = await serverPort({ limits: { idleMs: 200 } })
    replica.put({ address: addressOf('b', 'large'), value: Buffer.alloc(16 * 1024 * 1024) })
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    socket.pause()
    await once(socket, 'connect')
    const served = once(app.server, 'request')
    socket.write('GET /v1/kv/b/large HTTP/1.1\r\nHost: x\r\n\r\n')
    const [request] = (await served) as [{ readonly socket: NodeJS.EventEmitter }]
    await once(request.socket, 'close', { signal: AbortSignal.timeout(10_000) })
    socket.destroy()
  })
})

describe('too many connections', () => {
  it('are closed at once', async () => {
    const { port } = await serverPort({ argv: ['--max-connections', '1'] })
    const first = connect(port, '127.0.0.1')
    await once(first, 'connect')
    expect((await rawExchange(port, ['GET /livez HTTP/1.1\r\nHost: x\r\n\r\n'])).text).toBe('')
    first.destroy()
  })
})

describe('paths', () => {
  it('that lead nowhere are problems', async () => {
    const { app } = testServer()
    for (const url of ['/', '/v1', '/v1/kv', '/v2/kv/b/k', '/favicon.ico']) {
      const answer = await app.inject(url)
      expect(answer.statusCode).toBe(404)
      expect(answer.json()).toMatchObject({ code: 'not_found', status: 404 })
    }
  })

  it('that are malformed are too', async () => {
    const { port } = await serverPort()
    const answer = await send(port, 'GET', '/v1/%zz')
    expect(answer.status).toBe(400)
    expect(JSON.parse(answer.body.toString())).toMatchObject({ code: 'bad_request' })
  })

  it('tell what may be asked there', async () => {
    const { app } = testServer()
    const allow = async (method: 'POST' | 'PATCH' | 'DELETE', url: string) => {
      const answer = await app.inject({ method, url, payload: 'x' })
      expect(answer.statusCode).toBe(405)
      expect(answer.json()).toMatchObject({ code: 'method_not_allowed', outcome: 'not-applied' })
      return answer.headers.allow
    }
    expect(await allow('POST', '/v1/kv/b/k')).toBe('DELETE, GET, HEAD, PUT')
    expect(await allow('PATCH', '/v1/kv/b/a/b')).toBe('DELETE, GET, HEAD, PUT')
    expect(await allow('DELETE', '/v1/kv/b')).toBe('GET')
    expect(await allow('DELETE', '/v1/batch')).toBe('POST')
    const options = await app.inject({ method: 'OPTIONS', url: '/v1/kv/b/k' })
    expect(options.statusCode).toBe(204)
    expect(options.headers.allow).toBe('DELETE, GET, HEAD, PUT')
  })

  it('in absolute form are the same', async () => {
    const { port, replica } = await serverPort()
    await send(port, 'PUT', `http://127.0.0.1:${port}/v1/kv/b/a%2Fb`, { body: 'x' })
    expect([...replica.rows.keys()]).toEqual([addressOf('b', 'a/b')])
  })

  it('means the same in absolute form, whatever the route', async () => {
    const { port } = await serverPort()
    const at = (path: string): string => `http://127.0.0.1:${port}${path}`
    await send(port, 'PUT', at('/v1/gossip/state/foo'), { body: 'x' })
    expect((await send(port, 'GET', '/v1/gossip/state/foo')).body.toString()).toBe('x')
    const refused = await send(port, 'POST', at('/v1/admin/evict/zzz'))
    expect(refused.body.toString()).toContain('zzz')
    expect((await send(port, 'GET', at(''))).status).toBe(404)
    expect((await send(port, 'DELETE', at('/v1/cluster'))).headers.allow).toBe('GET, HEAD')
  })

  it('of a write says that nothing was done when it is refused for what it asks', async () => {
    const { app } = testServer()
    for (const [method, url] of [
      ['POST', '/v1/batch?x=1'],
      ['PUT', '/v1/buckets/b?x=1'],
      ['POST', '/v1/admin/restore?bucket=b'],
    ] as const) {
      const answer = await app.inject({ method, url, payload: '{}' })
      expect(answer.json()).toMatchObject({ code: 'bad_query', outcome: 'not-applied' })
    }
    expect((await app.inject('/v1/kv/b/k?x=1')).json()).not.toHaveProperty('outcome')
  })
})

describe('pages of other origins', () => {
  const headers = { host: 'node:7700', origin: 'https://app.example.org' }

  it('may not call, not even without asking first', async () => {
    const { app, replica } = testServer()
    const put = await app.inject({ method: 'PUT', url: '/v1/kv/b/k', headers, payload: 'x' })
    expect(put.statusCode).toBe(403)
    expect(put.json()).toMatchObject({ code: 'forbidden', outcome: 'not-applied' })
    expect(put.headers).not.toHaveProperty('access-control-allow-origin')
    const options = await app.inject({ method: 'OPTIONS', url: '/v1/kv/b/k', headers })
    expect(options.statusCode).toBe(403)
    expect(replica.writes).toBe(0)
  })

  it('may when they are allowed, and see what they need', async () => {
    const { app } = testServer({ argv: ['--cors', 'https://app.example.org'] })
    const preflight = await app.inject({
      method: 'OPTIONS',
      url: '/v1/kv/b/k',
      headers: { ...headers, 'access-control-request-headers': 'if-match' },
    })
    expect(preflight.statusCode).toBe(204)
    expect(preflight.headers).toMatchObject({
      'access-control-allow-origin': 'https://app.example.org',
      'access-control-allow-headers': 'if-match',
    })
    expect(preflight.headers['access-control-allow-methods']).toContain('PUT')
    const put = await app.inject({ method: 'PUT', url: '/v1/kv/b/k', headers, payload: 'x' })
    expect(put.statusCode).toBe(204)
    expect(put.headers).toMatchObject({ 'access-control-allow-origin': 'https://app.example.org', vary: 'Origin' })
    expect(put.headers['access-control-expose-headers']).toContain('ETag')
    const other = await app.inject({
      method: 'PUT',
      url: '/v1/kv/b/k',
      headers: { ...headers, origin: 'https://other.example.org' },
    })
    expect(other.statusCode).toBe(403)
  })

  it.each([
    ['by its address', 204, '192.0.2.1:7700', 'http://192.0.2.1:7700'],
    ['by its IPv6 address', 204, '[::1]:7700', 'http://[::1]:7700'],
    ['as localhost', 204, 'localhost:7700', 'http://localhost:7700'],
    ['by the name it was given', 204, 'Node:7700', 'http://Node:7700'],
    ['behind what speaks TLS', 204, 'node', 'https://node'],
    // A name that points to the developer's machine once its page is loaded.
    ['by a name that anybody may own', 403, 'evil.example.org:7700', 'http://evil.example.org:7700'],
  ])('are not the node’s own, called %s', async (_, status, host, origin) => {
    const { app } = testServer({ argv: ['--advertise', 'node:7700'] })
    const answer = await app.inject({ method: 'PUT', url: '/v1/kv/b/k', headers: { host, origin } })
    expect(answer.statusCode).toBe(status)
  })
})

describe('closing', () => {
  it('ends with streams open and requests under way', async () => {
    const { app, port, replica } = await serverPort()
    for (let index = 0; index < 50; index++)
      replica.put({ address: addressOf('b', `k${index}`), value: Buffer.alloc(256 * 1024) })
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    socket.pause()
    await once(socket, 'connect')
    const served = once(app.server, 'request')
    socket.write('GET /v1/kv/b?include=value HTTP/1.1\r\nHost: x\r\nAccept: application/x-ndjson\r\n\r\n')
    await served
    await app.close()
    expect(replica.openViews).toBe(0)
    socket.destroy()
  })
})
