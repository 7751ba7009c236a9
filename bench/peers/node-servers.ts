import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Child, freePorts, isListening } from '../harness/child.ts'
import type { Subject } from './subject.ts'

/** The floor: see the program. */
export function startBareFastify(directory: string): Promise<Subject> {
  return start('bare fastify', 'bare-fastify-server.ts', directory, [])
}

/** @param durability `sync`: the answer comes after the fsync, as Grapevine's does. */
export function startNaiveLevel(directory: string, durability: 'sync' | 'async'): Promise<Subject> {
  const name = durability === 'sync' ? 'naive fastify + level' : 'naive fastify + level, not synced'
  return start(name, 'naive-level-server.ts', directory, [join(directory, 'db'), durability])
}

/** What LevelDB takes on this machine, in rows: the same program, asked for rows of its own. */
export function startLevelRows(directory: string): Promise<Subject> {
  return start('LevelDB alone', 'naive-level-server.ts', directory, [join(directory, 'db'), 'sync'])
}

async function start(name: string, program: string, directory: string, args: readonly string[]): Promise<Subject> {
  await mkdir(directory, { recursive: true })
  const [port = 0] = await freePorts(1)
  const command = [resolve(import.meta.dirname, program), String(port), ...args]
  const child = Child.start(name, process.execPath, command, join(directory, 'server.log'))
  await child.untilReady(() => isListening(port))
  return { name, port, child, [Symbol.asyncDispose]: () => child.stop() }
}
