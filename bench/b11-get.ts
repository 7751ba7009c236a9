// B11: GET over HTTP from one node, the checksum of each value verified.
import { compareServers } from './harness/compare.ts'
import { expectSuccess, HttpAnswers } from './harness/http-answers.ts'
import { runLoad } from './harness/load.ts'
import { RedisAnswers, redisCommand } from './harness/redis-answers.ts'
import { anyOf, eachOf, getRequest, keyName, newValue, putRequest, VALUE_BYTES } from './harness/requests.ts'
import { readSettings } from './harness/settings.ts'
import { startGrapevine } from './peers/grapevine.ts'
import { startBareFastify, startNaiveLevel } from './peers/node-servers.ts'
import { startRedis } from './peers/redis.ts'
import type { Subject } from './peers/subject.ts'

const FILL_SECONDS_MAX = 120

const settings = readSettings()
const { connections, keys, profile } = settings
const names = Array.from({ length: keys }, (_, index) => keyName(index))
const httpReader = () => new HttpAnswers(expectSuccess)
const redisReader = () => new RedisAnswers()
const http = { request: anyOf(names.map(getRequest)), reader: httpReader }
const redis = { request: anyOf(names.map((key) => redisCommand('GET', key))), reader: redisReader }

/** Writes every key once. */
function fill(toRequest: (key: string, value: Buffer) => Buffer, reader: typeof httpReader | typeof redisReader) {
  return async ({ port }: Subject): Promise<void> => {
    const request = eachOf(names.map((key) => toRequest(key, newValue())))
    await runLoad({ port, connections, request, reader, seconds: FILL_SECONDS_MAX, requestsMax: keys })
  }
}
const fillHttp = fill(putRequest, httpReader)
const fillRedis = fill((key, value) => redisCommand('SET', key, value), redisReader)

await compareServers({
  scenario: 'b11-get',
  title: `GET from one node, ${connections} connections, ${VALUE_BYTES} B values`,
  method: [
    `Random keys out of ${keys}, all there. Grapevine and the naive server read from LevelDB, redis from memory.`,
    'Grapevine verifies the SHA-256 of each entry before it answers. The bare route answers with a constant.',
  ],
  counted: 'GET',
  settings,
  product: {
    id: 'grapevine',
    start: (directory) => startGrapevine({ directory, profile }),
    load: http,
    prepare: fillHttp,
  },
  rivals: [
    { id: 'bare', start: startBareFastify, load: http, target: { sense: 'at least', limit: 0.6 } },
    { id: 'naive', start: (directory) => startNaiveLevel(directory, 'async'), load: http, prepare: fillHttp },
    {
      id: 'redis',
      start: startRedis,
      load: redis,
      prepare: fillRedis,
      target: { sense: 'at least', limit: 0.5 },
    },
  ],
})
