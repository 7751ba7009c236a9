// B10: durable PUT over HTTP to one node, every index, fsync before the answer.
import { compareServers } from './harness/compare.ts'
import { expectSuccess, HttpAnswers } from './harness/http-answers.ts'
import { RedisAnswers, redisCommand } from './harness/redis-answers.ts'
import { anyOf, keyName, newValue, putRequest, VALUE_BYTES } from './harness/requests.ts'
import { readSettings } from './harness/settings.ts'
import { startGrapevine } from './peers/grapevine.ts'
import { startBareFastify, startNaiveLevel } from './peers/node-servers.ts'
import { startRedis } from './peers/redis.ts'

const settings = readSettings()
const { connections, keys, profile } = settings
const values = Array.from({ length: keys }, (_, index) => ({ key: keyName(index), value: newValue() }))
const http = {
  request: anyOf(values.map(({ key, value }) => putRequest(key, value))),
  reader: () => new HttpAnswers(expectSuccess),
}
const redis = {
  request: anyOf(values.map(({ key, value }) => redisCommand('SET', key, value))),
  reader: () => new RedisAnswers(),
}

await compareServers({
  scenario: 'b10-put',
  title: `durable PUT to one node, ${connections} connections, ${VALUE_BYTES} B values`,
  method: [
    `Random keys out of ${keys}: written at first, overwritten later. The answer follows the fsync, but where it says so.`,
    'Grapevine writes version, checksum, every index and its sums of the hash tree; the others nothing but the value.',
    'The bare route reads the body and answers; it is what HTTP alone costs.',
  ],
  counted: 'PUT',
  settings,
  product: { id: 'grapevine', start: (directory) => startGrapevine({ directory, profile }), load: http },
  rivals: [
    { id: 'bare', start: startBareFastify, load: http, target: { sense: 'at least', limit: 0.4 } },
    {
      id: 'naive',
      start: (directory) => startNaiveLevel(directory, 'sync'),
      load: http,
      target: { sense: 'at least', limit: 2 },
    },
    { id: 'naive-async', start: (directory) => startNaiveLevel(directory, 'async'), load: http },
    { id: 'redis', start: startRedis, load: redis },
  ],
  p99Target: { sense: 'at most', limit: 15 },
})
