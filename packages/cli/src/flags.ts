import { parseDuration } from '@grapevine/contract'
import { UsageError } from './usage-error.ts'

/** The options that were given, read as what they should be. @throws {UsageError} with what was expected. */
export class Flags {
  readonly #values: Readonly<Record<string, unknown>>

  constructor(values: Readonly<Record<string, unknown>>) {
    this.#values = values
  }

  has(name: string): boolean {
    return this.#values[name] === true
  }

  text(name: string): string | undefined {
    const value = this.#values[name]
    return typeof value === 'string' ? value : undefined
  }

  texts(name: string): readonly string[] {
    const value = this.#values[name]
    return Array.isArray(value) ? value.map(String) : []
  }

  count(name: string, least: number, most: number): number | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    const count = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
    if (count >= least && count <= most) return count
    throw new UsageError(`--${name} must be a number from ${least} to ${most}, and ${JSON.stringify(text)} is none.`)
  }

  /** Milliseconds. */
  duration(name: string): number | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    const ms = parseDuration(text)
    if (ms !== undefined && ms > 0) return ms
    throw new UsageError(`--${name} must be a duration such as 500ms, 30s or 15m, and ${JSON.stringify(text)} is none.`)
  }

  choice<Choice extends string>(name: string, choices: readonly Choice[]): Choice | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    const choice = choices.find((each) => each === text)
    if (choice !== undefined) return choice
    throw new UsageError(`--${name} must be one of ${choices.join(', ')}, and ${JSON.stringify(text)} is none.`)
  }
}
