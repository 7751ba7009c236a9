import { closeSync, fsyncSync, openSync, readFileSync, rmSync, statfsSync, writeSync } from 'node:fs'
import { cpus, release, totalmem, type } from 'node:os'
import { join } from 'node:path'
import { spreadOf } from './statistics.ts'

/** What absolute figures mean nothing without. */
export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryGiB: number
  readonly system: string
  readonly node: string
  readonly fileSystem: string
  /** Median of appending 4 KiB and syncing it. */
  readonly fsyncUs: number
  /** The load average over a minute before the first turn: whether somebody else was busy. */
  readonly loadBefore: number
}

const FILE_SYSTEMS: Readonly<Record<number, string>> = {
  0xef53: 'ext4',
  0x58465342: 'xfs',
  0x9123683e: 'btrfs',
  0x01021994: 'tmpfs (nothing is durable here)',
  0x794c7630: 'overlayfs',
}
const SYNCS = 200
const BLOCK = Buffer.alloc(4096, 1)

export function describeMachine(directory: string): Machine {
  const kind = statfsSync(directory).type
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 1024 ** 3),
    system: `${systemName()}, ${type()} ${release()}`,
    node: process.version,
    fileSystem: FILE_SYSTEMS[kind] ?? `0x${kind.toString(16)}`,
    fsyncUs: Math.round(fsyncUs(directory)),
    loadBefore: loadAverage(),
  }
}

function systemName(): string {
  try {
    return /^PRETTY_NAME="(.*)"$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'unknown system'
  } catch {
    return 'unknown system'
  }
}

function loadAverage(): number {
  try {
    return Number(readFileSync('/proc/loadavg', 'utf8').split(' ')[0])
  } catch {
    return NaN
  }
}

function fsyncUs(directory: string): number {
  const path = join(directory, `fsync-${process.pid}`)
  const file = openSync(path, 'w')
  try {
    const samples = Array.from({ length: SYNCS }, () => {
      const startedMs = performance.now()
      writeSync(file, BLOCK)
      fsyncSync(file)
      return (performance.now() - startedMs) * 1000
    })
    return spreadOf(samples).median
  } finally {
    closeSync(file)
    rmSync(path)
  }
}
