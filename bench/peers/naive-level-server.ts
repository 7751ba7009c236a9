// What one writes first: fastify in front of LevelDB, one put or get a request. No versions, no hash tree, no checksum, no
// index, no replication. Batches are one chained batch. `/v1/rows` is what LevelDB alone takes on this machine: 1,000 rows,
// made beforehand, in one synced batch a request.
//
//   node naive-level-server.ts PORT DIRECTORY sync|async
import { ClassicLevel } from 'classic-level'
import { fastify } from 'fastify'
import { unpack } from 'msgpackr'
import { keyName, newValue } from '../harness/requests.ts'
import { ROWS_PER_REQUEST } from './level-rows.ts'

const KEYS = 200_000

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
const rows = Array.from({ length: KEYS }, (_, index) => ({ key: keyName(index), value: newValue() }))
app.post('/v1/rows', async (_request, reply) => {
  const batch = db.batch()
  for (let written = 0; written < ROWS_PER_REQUEST; written++) {
    const { key, value } = rows[Math.floor(Math.random() * KEYS)] ?? { key: '', value: Buffer.alloc(0) }
    batch.put(key, value, options)
  }
  await batch.write({ sync: true })
  return reply.code(204).send()
})
await app.listen({ host: '127.0.0.1', port: Number(port) })
process.on('SIGTERM', () => void app.close().then(() => db.close()))
