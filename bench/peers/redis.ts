import { execFileSync } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Child, freePorts, isListening } from '../harness/child.ts'
import { UnavailableError, type Subject } from './subject.ts'

/**
 * Debian's redis-server on a port of its own, with an append-only file that is synced before each answer. Redis syncs once
 * for all that arrived in one turn of its loop, as Grapevine does; it keeps all data in memory, and no second copy.
 *
 * @throws {UnavailableError} when it is not installed (bench/peers/prepare).
 */
export async function startRedis(directory: string): Promise<Subject> {
  const version = redisVersion()
  await mkdir(directory, { recursive: true })
  const [port = 0] = await freePorts(1)
  const options = {
    bind: '127.0.0.1',
    port: String(port),
    dir: directory,
    appendonly: 'yes',
    appendfsync: 'always',
    // Snapshots and rewrites of the file would cost it time in some turns and not in others.
    save: '',
    'auto-aof-rewrite-percentage': '0',
    daemonize: 'no',
  }
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value])
  const child = Child.start('redis', 'redis-server', args, join(directory, 'redis.log'))
  await child.untilReady(() => isListening(port))
  return { name: `redis ${version}, appendfsync always`, port, child, [Symbol.asyncDispose]: () => child.stop() }
}

function redisVersion(): string {
  try {
    return /v=([\d.]+)/.exec(execFileSync('redis-server', ['--version'], { encoding: 'utf8' }))?.[1] ?? ''
  } catch {
    throw new UnavailableError('redis-server is not installed; bench/peers/prepare installs it as root')
  }
}
