// What one writes first: fastify in front of LevelDB, one put or get a request. No versions, no hash tree, no checksum, no
// index, no replication. Batches are one chained batch.
//
//   node naive-level-server.ts PORT DIRECTORY sync|async
import { ClassicLevel } from 'classic-level'
import { fastify } from 'fastify'
import { unpack } from 'msgpackr'

const [port, directory = '', durability] = process.argv.slice(2)
const sync = durability === 'sync'
const options = { keyEncoding: 'utf8', valueEncoding: 'buffer' } as const
const db = new ClassicLevel<string, Buffer>(directory, options)
await db.open({ writeBufferSize: 32 * 1024 * 1024 })

interface KeyRoute {
  readonly Params: { readonly key: string }
}

const app = fastify({ bodyLimit: 16 * 1024 * 1024 })
app.removeAllContentTypeParsers()
app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
app.put<KeyRoute & { readonly Body: Buffer }>('/v1/kv/:bucket/:key', async (request, reply) => {
  await db.put(request.params.key, request.body, { sync })
  return reply.code(204).send()
})
app.get<KeyRoute>('/v1/kv/:bucket/:key', async (request, reply) => {
  const value = await db.get(request.params.key)
  return value === undefined ? reply.code(404).send() : reply.type('application/octet-stream').send(value)
})
app.post<{ readonly Body: Buffer }>('/v1/batch', async (request, reply) => {
  const { ops } = unpack(request.body) as { readonly ops: readonly { readonly key: string; readonly value: Buffer }[] }
  const batch = db.batch()
  for (const { key, value } of ops) batch.put(key, value, options)
  await batch.write({ sync })
  return reply.code(204).send()
})
await app.listen({ host: '127.0.0.1', port: Number(port) })
process.on('SIGTERM', () => void app.close().then(() => db.close()))
