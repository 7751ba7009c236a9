import { Writable } from 'node:stream'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { expect, onTestFinished } from 'vitest'
import {
  buildServer,
  loadServerConfig,
  openLog,
  operationOf,
  ServerMetrics,
  statusesOf,
  systemHash,
  systemRandom,
  type HttpLimits,
} from '../src/index.ts'
import { FakeReplica } from './fake-replica.ts'

export interface TestServer {
  readonly app: FastifyInstance
  readonly replica: FakeReplica
  readonly metrics: ServerMetrics
  /** Lines of the log, parsed. */
  readonly logged: Record<string, unknown>[]
  readonly state: { draining: boolean; left: number }
}

export interface TestServerOptions {
  readonly argv?: readonly string[]
  readonly limits?: Partial<HttpLimits>
  readonly replica?: FakeReplica
}

/** A server on a fake replica, closed when the test ends. */
export function testServer({ argv = [], limits, replica = new FakeReplica() }: TestServerOptions = {}): TestServer {
  const loaded = loadServerConfig({ argv: ['--name', 'n1', ...argv], env: {} })
  const clock = { wallMs: () => replica.wallMs, monotonicMs: () => performance.now() }
  const metrics = new ServerMetrics(clock)
  const logged: Record<string, unknown>[] = []
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      logged.push(JSON.parse(chunk.toString()) as Record<string, unknown>)
      done()
    },
  })
  const undocumented: string[] = []
  const state = { draining: false, left: 0 }
  const app = buildServer({
    replica,
    loaded,
    clock,
    random: systemRandom,
    hash: systemHash,
    log: openLog('info', 'n1', sink),
    metrics,
    draining: () => state.draining,
    left: () => state.left++,
    ...(limits === undefined ? {} : { limits }),
  })
  // Whatever a test asks, the answer's status has to be in the description of the route.
  app.addHook('onResponse', (request, reply, done) => {
    const { statusCode } = reply.raw
    const operation = operationOf(request.method, request.routeOptions.url ?? '')
    if (operation !== undefined && !statusesOf(operation).has(statusCode))
      undocumented.push(`${request.method} ${operation.pattern}: ${statusCode}`)
    done()
  })
  onTestFinished(async () => {
    expect(undocumented).toEqual([])
    app.server.closeAllConnections()
    await app.close()
    metrics.close()
  })
  return { app, replica, metrics, logged, state }
}

/** Listens on a port of its own. */
export async function listening(app: FastifyInstance): Promise<number> {
  await app.listen({ host: '127.0.0.1', port: 0 })
  return (app.server.address() as AddressInfo).port
}
