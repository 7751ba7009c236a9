// A fastify server that does nothing: it reads a body and answers. What HTTP itself costs on this stack.
//
//   node bare-fastify-server.ts PORT
import { fastify } from 'fastify'
import { VALUE_BYTES } from '../harness/requests.ts'

const app = fastify()
const value = Buffer.alloc(VALUE_BYTES, 1)
app.removeAllContentTypeParsers()
app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
app.put('/v1/kv/:bucket/:key', (_request, reply) => reply.code(204).send())
app.get('/v1/kv/:bucket/:key', (_request, reply) => reply.type('application/octet-stream').send(value))
await app.listen({ host: '127.0.0.1', port: Number(process.argv[2]) })
process.on('SIGTERM', () => void app.close())
