import { mkdir, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { describeMachine, type Machine } from './machine.ts'
import type { Settings } from './settings.ts'
import { spreadOf, type Spread } from './statistics.ts'

export const RESULTS = resolve(import.meta.dirname, '../results')

export interface Target {
  readonly sense: 'at least' | 'at most'
  readonly limit: number
  /** Shown when it is missed: why, as far as it is known. */
  readonly whenMissed?: string
}

export interface Figure extends Spread {
  readonly name: string
  readonly unit: string
  readonly target?: Target
}

export interface ScenarioResult {
  readonly scenario: string
  readonly title: string
  /** How it was measured: what a reader must know to believe the figures. */
  readonly method: readonly string[]
  readonly command: string
  readonly startedAt: string
  readonly machine: Machine
  readonly settings: Settings
  readonly figures: readonly Figure[]
  readonly remarks: readonly string[]
}

export function figure(name: string, unit: string, samples: readonly number[], target?: Target): Figure {
  return { name, unit, ...spreadOf(samples), ...(target === undefined ? {} : { target }) }
}

export function isReached({ median, target }: Figure): boolean | undefined {
  if (target === undefined) return undefined
  return target.sense === 'at least' ? median >= target.limit : median <= target.limit
}

/** Collects what one scenario finds, then prints it and writes it down. */
export class ScenarioReport {
  readonly #head: Pick<ScenarioResult, 'scenario' | 'title' | 'method'>
  readonly #settings: Settings
  readonly #machine: Machine
  readonly #startedAt = new Date().toISOString()
  readonly #figures: Figure[] = []
  readonly #remarks: string[] = []

  constructor(head: Pick<ScenarioResult, 'scenario' | 'title' | 'method'>, settings: Settings) {
    this.#head = head
    this.#settings = settings
    this.#machine = describeMachine(settings.directory)
    print(`${head.scenario}: ${head.title}\n`)
  }

  add(...figures: readonly Figure[]): void {
    this.#figures.push(...figures)
  }

  remark(text: string): void {
    this.#remarks.push(text)
    print(`  note: ${text}\n`)
  }

  async finish(): Promise<void> {
    const { scenario } = this.#head
    const flags = process.argv.slice(2).filter((flag) => flag !== '--quick')
    const result: ScenarioResult = {
      ...this.#head,
      command: ['pnpm bench', scenario, ...flags].join(' '),
      startedAt: this.#startedAt,
      machine: this.#machine,
      settings: this.#settings,
      figures: this.#figures,
      remarks: this.#remarks,
    }
    for (const one of this.#figures) print(`  ${lineOf(one)}\n`)
    await mkdir(RESULTS, { recursive: true })
    // Figures of a quick run must never take the place of measured ones.
    const file = join(RESULTS, `${scenario}${this.#settings.quick ? '.quick' : ''}.json`)
    await writeFile(file, `${JSON.stringify(result, undefined, 2)}\n`)
    print(`  → ${file}\n`)
  }
}

export function print(text: string): void {
  process.stdout.write(text)
}

export function numberText(value: number): string {
  if (!Number.isFinite(value)) return '–'
  const size = Math.abs(value)
  return value.toLocaleString('en-GB', { maximumFractionDigits: size >= 100 ? 0 : size >= 10 ? 1 : 2 })
}

export function targetText({ sense, limit }: Target): string {
  return `${sense === 'at least' ? '≥' : '≤'} ${numberText(limit)}`
}

function lineOf(one: Figure): string {
  const reached = isReached(one)
  const verdict =
    one.target === undefined ? '' : ` (${targetText(one.target)}: ${reached === true ? 'reached' : 'missed'})`
  const range = `${numberText(one.low)} … ${numberText(one.high)}`
  return `${one.name}: ${numberText(one.median)} ${one.unit} [${range}]${verdict}`
}
