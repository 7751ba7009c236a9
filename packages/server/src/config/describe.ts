import type { Loaded, Source } from './load.ts'
import { flagOf, OPTIONS, variableOf, type OptionSpec, type ServerConfig } from './options.ts'

export interface OptionDescription {
  readonly path: string
  readonly flag: string
  readonly variable: string
  readonly type: string
  readonly default: string
  readonly description: string
  /** The flag stands alone. */
  readonly valueless: boolean
  readonly repeatable: boolean
  readonly secret: boolean
}

/** Every option, in the order of the table: for `--help`, completion and the documentation. */
export function describeConfig(): readonly OptionDescription[] {
  return specs().map(([, { path, type, default: value, description, secret }]) => ({
    path,
    flag: flagOf(path),
    variable: variableOf(path),
    type: type.name,
    default: type.format(value),
    description,
    valueless: type.valueless === true,
    repeatable: type.repeatable === true,
    secret: secret === true,
  }))
}

/** The documentation's table, as Markdown. */
export function optionsTable(): string {
  const rows = describeConfig().map(
    ({ path, flag, variable, type, default: value, description }) =>
      `| \`${path}\` | \`${flag}\` | \`${variable}\` | ${type.replaceAll('|', '\\|')} | ${value === '' ? '' : `\`${value}\``} | ${description} |`,
  )
  return ['| file | flag | environment | type | default | |', '|---|---|---|---|---|---|', ...rows].join('\n')
}

/** What `grapevine server --help` lists. */
export function optionsHelp(): string {
  const rows = describeConfig().map(({ flag, type, valueless, description, default: value }) => {
    const left = valueless ? flag : `${flag} <${type.includes('|') ? 'choice' : type}>`
    const choices = type.includes('|') ? ` (${type})` : ''
    return [left, `${description}${choices}${value === '' || value === 'false' ? '' : ` [${value}]`}`] as const
  })
  const width = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join('\n')
}

/** A JSON Schema (2020-12) of the configuration file. */
export function configSchema(): Readonly<Record<string, unknown>> {
  const properties: Properties = {}
  for (const [, { path, type, default: value, description }] of specs()) {
    const schema = { ...type.schema, description, default: plainDefault(value, type.format(value)) }
    const [group, name] = path.split('.')
    if (group === undefined || name === undefined) properties[path] = schema
    else properties[group] = objectSchema({ ...propertiesOf(properties[group]), [name]: schema })
  }
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Grapevine server',
    ...objectSchema(properties),
  }
}

type Properties = Record<string, unknown>

function objectSchema(properties: Properties): Readonly<Record<string, unknown>> {
  return { type: 'object', additionalProperties: false, properties }
}

function propertiesOf(schema: unknown): object {
  const held: unknown = typeof schema === 'object' && schema !== null && 'properties' in schema ? schema.properties : {}
  return typeof held === 'object' && held !== null ? held : {}
}

export interface EffectiveOption {
  readonly path: string
  readonly value: string | readonly string[] | boolean | number
  readonly source: Source
}

/** What holds, and why: for `GET /v1/admin/config` and `grapevine config print`. Secrets are masked. */
export function effectiveConfig({ config, sources }: Loaded<ServerConfig>): readonly EffectiveOption[] {
  const values: Readonly<Record<string, unknown>> = { ...config }
  const origins: Readonly<Record<string, Source>> = { ...sources }
  return specs().map(([key, { path, type, secret }]) => {
    const value = values[key]
    const shown = secret === true ? (value === '' ? '' : '***') : plainDefault(value, type.format(value))
    return { path, value: shown, source: origins[key] ?? { kind: 'default', at: '' } }
  })
}

/** Durations and sizes as they are written, everything else as it is. */
function plainDefault(value: unknown, formatted: string): string | readonly string[] | boolean | number {
  if (typeof value === 'boolean') return value
  if (Array.isArray(value)) return value.map(String)
  return typeof value === 'number' && formatted === String(value) ? value : formatted
}

function specs(): readonly (readonly [string, OptionSpec<unknown>])[] {
  return Object.entries<OptionSpec<unknown>>(OPTIONS)
}
