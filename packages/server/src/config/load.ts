import { readFileSync } from 'node:fs'
import { parseConfigFile, type FileValue } from './config-file.ts'
import { nearest, type OptionType } from './option-types.ts'
import { flagOf, variableOf, type OptionSpec, type OptionTable } from './options.ts'

/** Where a value came from, most deciding first. */
export type SourceKind = 'flag' | 'environment' | 'file' | 'default'

export interface Source {
  readonly kind: SourceKind
  /** The flag, the variable, or the file and line. */
  readonly at: string
}

export interface Mistake {
  /** The option's path, or what was given where no option fits. */
  readonly path: string
  readonly value: string
  readonly source: Source
  /** A sentence about the value. */
  readonly message: string
  readonly hint: string
}

export interface Loaded<Config> {
  readonly config: Config
  readonly sources: Readonly<Record<keyof Config, Source>>
  /** What looks like a mistake and need not be one. */
  readonly warnings: readonly string[]
}

/** Everything that is wrong with the configuration, at once. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly mistakes: readonly Mistake[]

  constructor(mistakes: readonly Mistake[]) {
    super(mistakes.map(mistakeText).join('\n'))
    this.mistakes = mistakes
  }
}

export interface ConfigInput {
  /** Without the program's name. */
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  /** Reads a text file; for tests. */
  readonly readFile?: (path: string) => string
}

/**
 * Flags over environment over file over defaults. The file is named by `--config` or `GRAPEVINE_CONFIG`.
 * @throws {ConfigError} with all mistakes.
 */
export function loadConfig<Config>(table: OptionTable<Config>, input: ConfigInput): Loaded<Config> {
  const gathering = new Gathering(table, input.readFile ?? ((path) => readFileSync(path, 'utf8')))
  const configPath = gathering.takeFlags(input.argv) ?? input.env['GRAPEVINE_CONFIG']
  gathering.takeEnvironment(input.env)
  if (configPath !== undefined && configPath !== '') gathering.takeFile(configPath)
  return gathering.finish()
}

interface Given {
  readonly value: unknown
  readonly source: Source
}

/** Sources are taken in falling order, so the first value of an option stays. Later ones are checked all the same. */
class Gathering<Config> {
  readonly #specs: readonly (readonly [string, OptionSpec<unknown>])[]
  readonly #given = new Map<string, Given>()
  readonly #mistakes: Mistake[] = []
  readonly #warnings: string[] = []
  readonly #readFile: (path: string) => string

  constructor(table: OptionTable<Config>, readFile: (path: string) => string) {
    this.#specs = Object.entries<OptionSpec<unknown>>(table)
    this.#readFile = readFile
  }

  /** Returns the value of `--config`. */
  takeFlags(argv: readonly string[]): string | undefined {
    let configPath: string | undefined
    const texts = new Map<string, { readonly spec: OptionSpec<unknown>; readonly values: string[] }>()
    for (let index = 0; index < argv.length; index++) {
      const argument = argv[index] ?? ''
      const equals = argument.indexOf('=')
      const flag = equals < 0 ? argument : argument.slice(0, equals)
      const source: Source = { kind: 'flag', at: flag }
      const [key, spec, negated] = this.#byFlag(flag)
      if (flag !== '--config' && spec === undefined) {
        this.#mistakes.push(this.#unknown(argument, flag, source))
        // What follows an unknown flag is most likely its value, and no second mistake.
        if (flag.startsWith('-') && equals < 0 && argv[index + 1]?.startsWith('-') === false) index++
        continue
      }
      let value: string | undefined = equals < 0 ? undefined : argument.slice(equals + 1)
      if (negated && value !== undefined) {
        const hint = `write ${flag}, or --${flag.slice('--no-'.length)}=${value}`
        this.#mistakes.push({ path: spec?.path ?? '', value, source, message: 'takes no value', hint })
        continue
      }
      if (value === undefined && negated) value = 'false'
      if (value === undefined && spec?.type.valueless === true) value = 'true'
      if (value === undefined) {
        index++
        value = argv[index]
      }
      if (value === undefined || (equals < 0 && value.startsWith('--'))) {
        const hint = `write ${flag} VALUE`
        this.#mistakes.push({ path: spec?.path ?? 'config', value: '', source, message: 'has no value', hint })
        if (value !== undefined) index--
        continue
      }
      if (spec === undefined) configPath = value
      else {
        const earlier = texts.get(key)
        if (earlier === undefined) texts.set(key, { spec, values: [value] })
        else if (spec.type.repeatable === true) earlier.values.push(value)
        else
          this.#mistakes.push({ path: spec.path, value, source, message: 'is given twice', hint: `write ${flag} once` })
      }
    }
    for (const [key, { spec, values }] of texts)
      this.#take(key, spec, values.join(','), { kind: 'flag', at: flagOf(spec.path) })
    return configPath
  }

  takeEnvironment(env: ConfigInput['env']): void {
    const names = new Set(['GRAPEVINE_CONFIG'])
    for (const [key, spec] of this.#specs) {
      const variable = variableOf(spec.path)
      names.add(variable)
      // What a script or a compose file leaves empty is not set.
      const value = env[variable] || undefined
      if (value !== undefined) this.#take(key, spec, value, { kind: 'environment', at: variable })
      if (spec.secret !== true) continue
      names.add(`${variable}_FILE`)
      const path = env[`${variable}_FILE`] || undefined
      if (path !== undefined) this.#takeSecretFile(key, spec, path, { kind: 'environment', at: `${variable}_FILE` })
    }
    // A warning only: Kubernetes sets variables such as GRAPEVINE_PORT for a service of that name, and the
    // command line reads some of its own.
    for (const name of Object.keys(env)) {
      if (!name.startsWith('GRAPEVINE_') || names.has(name)) continue
      const near = nearest(name, [...names])
      if (near !== undefined && nearest(name.slice(10), [near.slice(10)]) !== undefined)
        this.#warnings.push(`${name} is not read. Did you mean ${near}?`)
    }
  }

  takeFile(path: string): void {
    let text: string
    try {
      text = this.#readFile(path)
    } catch (error) {
      const message = `cannot be read: ${error instanceof Error ? error.message : String(error)}`
      const hint = 'give the path of a YAML or JSON file'
      this.#mistakes.push({ path: 'config', value: path, source: { kind: 'file', at: path }, message, hint })
      return
    }
    const { values, mistakes } = parseConfigFile(text, path)
    this.#mistakes.push(...mistakes)
    const paths = this.#specs.map(([, spec]) => spec.path)
    for (const { path: optionPath, value, at } of values) {
      const source: Source = { kind: 'file', at }
      const [key, spec] = this.#specs.find(([, candidate]) => candidate.path === optionPath) ?? []
      if (key === undefined || spec === undefined) {
        const near = nearest(optionPath, paths)
        const hint = near === undefined ? 'see `grapevine config print` for all options' : `did you mean ${near}?`
        this.#mistakes.push({ path: optionPath, value: showValue(value), source, message: 'is no option', hint })
        continue
      }
      const textual = textOf(value, spec.type)
      if (textual === undefined) {
        const hint = `write a ${spec.type.name}`
        this.#mistakes.push({ path: optionPath, value: showValue(value), source, message: 'has the wrong type', hint })
      } else this.#take(key, spec, textual, source)
    }
  }

  finish(): Loaded<Config> {
    if (this.#mistakes.length > 0) throw new ConfigError(this.#mistakes)
    const config: Record<string, unknown> = {}
    const sources: Record<string, Source> = {}
    for (const [key, spec] of this.#specs) {
      const given = this.#given.get(key)
      config[key] = given === undefined ? spec.default : given.value
      sources[key] = given?.source ?? { kind: 'default', at: '' }
    }
    // The table has exactly the keys of Config, each with a type that parses to that key's value.
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- No type can say so of entries put together.
    return { config, sources, warnings: this.#warnings } as unknown as Loaded<Config>
  }

  #take(key: string, spec: OptionSpec<unknown>, text: string, source: Source): void {
    const parsed = spec.type.parse(text)
    if ('mistake' in parsed) {
      const value = spec.secret === true ? '***' : text
      this.#mistakes.push({ path: spec.path, value, source, message: parsed.mistake, hint: parsed.hint })
    } else if (!this.#given.has(key)) this.#given.set(key, { value: parsed.value, source })
  }

  #takeSecretFile(key: string, spec: OptionSpec<unknown>, path: string, source: Source): void {
    try {
      this.#take(key, spec, this.#readFile(path).trimEnd(), source)
    } catch (error) {
      const message = `cannot be read: ${error instanceof Error ? error.message : String(error)}`
      const hint = 'name a file that holds the secret and nothing else'
      this.#mistakes.push({ path: spec.path, value: path, source, message, hint })
    }
  }

  /** `--no-found` is `--found=false`. */
  #byFlag(flag: string): readonly [string, OptionSpec<unknown> | undefined, boolean] {
    for (const [key, spec] of this.#specs) {
      if (flagOf(spec.path) === flag) return [key, spec, false]
      if (spec.type.valueless === true && `--no-${flagOf(spec.path).slice(2)}` === flag) return [key, spec, true]
    }
    return ['', undefined, false]
  }

  #unknown(argument: string, flag: string, source: Source): Mistake {
    if (!flag.startsWith('-')) {
      const hint = 'options begin with two dashes'
      return { path: argument, value: argument, source, message: 'is no option', hint }
    }
    const near = nearest(flag, ['--config', ...this.#specs.map(([, spec]) => flagOf(spec.path))])
    const hint = near === undefined ? 'see --help for all options' : `did you mean ${near}?`
    return { path: flag, value: argument, source, message: 'is no option', hint }
  }
}

function mistakeText({ path, value, source, message, hint }: Mistake): string {
  const shown = value === '' || value === path ? '' : ` ${JSON.stringify(value)}`
  const at = source.at === path ? '' : ` (${source.kind === 'environment' ? 'environment ' : ''}${source.at})`
  return `${path}${shown} ${message}${at}: ${hint}`
}

function showValue(value: FileValue): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

/** What stands in the file as the text that a flag would give, or `undefined` for another shape. */
function textOf(value: FileValue, type: OptionType<unknown>): string | undefined {
  if (Array.isArray(value)) {
    if (type.repeatable !== true) return undefined
    const items = value.map((item) => (Array.isArray(item) ? undefined : textOf(item, type)))
    return items.every((item) => item !== undefined) ? items.join(',') : undefined
  }
  if (type.valueless === true) return typeof value === 'boolean' ? String(value) : undefined
  if (typeof value === 'string') return value
  if (typeof value === 'number') return String(value)
  return undefined
}
