import { describe, expect, it } from 'vitest'
import {
  checkConfig,
  ConfigError,
  configSchema,
  describeConfig,
  effectiveConfig,
  loadServerConfig,
  OPTIONS,
  optionsHelp,
  optionsTable,
  type ConfigInput,
  type Mistake,
} from '../src/index.ts'
import { loadConfig } from '../src/config/load.ts'
import type { OptionTable } from '../src/config/options.ts'
import { textLike } from '../src/config/option-types.ts'

function load(argv: readonly string[], env: ConfigInput['env'] = {}, files: Record<string, string> = {}) {
  return loadServerConfig({ argv, env, readFile: readerOf(files) })
}

function readerOf(files: Record<string, string>): (path: string) => string {
  return (path) => {
    const text = files[path]
    if (text === undefined) throw new Error('no such file')
    return text
  }
}

function mistakesOf(run: () => unknown): readonly Mistake[] {
  try {
    run()
  } catch (error) {
    if (error instanceof ConfigError) return error.mistakes
    throw error
  }
  throw new Error('no mistake was found')
}

describe('the configuration', () => {
  it('comes from flags over environment over file over defaults, and says which', () => {
    const yaml = 'zone: file\nprobeInterval: 2s\nprobeTimeout: 1s\nrumor:\n  k: 5\n'
    const env = { GRAPEVINE_ZONE: 'environment', GRAPEVINE_PROBE_INTERVAL: '3s', GRAPEVINE_CONFIG: 'other.yaml' }
    const loaded = load(['--config', 'grapevine.yaml', '--zone=flag'], env, { 'grapevine.yaml': yaml })
    expect(loaded.config).toMatchObject({
      zone: 'flag',
      probeInterval: 3_000,
      probeTimeout: 1_000,
      rumorK: 5,
      valueMax: 1024 * 1024,
    })
    expect(loaded.sources).toMatchObject({
      zone: { kind: 'flag', at: '--zone' },
      probeInterval: { kind: 'environment', at: 'GRAPEVINE_PROBE_INTERVAL' },
      probeTimeout: { kind: 'file', at: 'grapevine.yaml:3' },
      rumorK: { kind: 'file', at: 'grapevine.yaml:5' },
      valueMax: { kind: 'default' },
    })
  })

  it('holds the reserve against the write buffer that follows from the disk', () => {
    const [mistake] = mistakesOf(() => load(['--disk-reserve', '1MiB']))
    expect(mistake).toMatchObject({ path: 'diskReserve', message: 'is less than two of writeBufferSize' })
  })

  it('takes an empty variable for one that is not set', () => {
    const env = { GRAPEVINE_FOUND: '', GRAPEVINE_REBUILD: '', GRAPEVINE_ZONE: '', GRAPEVINE_CONFIG: 'c.yaml' }
    const loaded = load([], env, { 'c.yaml': 'zone: file\n' })
    expect(loaded.config).toMatchObject({ found: false, rebuild: false, zone: 'file' })
    expect(mistakesOf(() => load(['--rebuild=']))[0]?.message).toBe('is neither yes nor no')
    expect(load(['--no-found']).config.found).toBe(false)
    expect(mistakesOf(() => load(['--no-found=true']))[0]).toMatchObject({ path: 'found', message: 'takes no value' })
  })

  it('takes JSON as well, and lists in each form', () => {
    const json = '{"seed": ["a:1", "b:2"], "found": true, "maxConnections": 5}'
    expect(load([], { GRAPEVINE_CONFIG: 'c.json' }, { 'c.json': json }).config).toMatchObject({
      seed: ['a:1', 'b:2'],
      found: true,
      maxConnections: 5,
    })
    expect(load(['--seed', 'a:1', '--seed=b:2']).config.seed).toEqual(['a:1', 'b:2'])
    expect(load([], { GRAPEVINE_SEED: 'a:1, b:2,' }).config.seed).toEqual(['a:1', 'b:2'])
    expect(load(['--config', 'empty'], {}, { empty: '# nothing\n' }).config.seed).toEqual([])
  })

  it('takes shares', () => {
    expect(load(['--tombstone-warning', '0.25']).config.tombstoneWarning).toBe(0.25)
    const file = load(['--config', 'c'], {}, { c: 'tombstoneWarning: 0.75\n' })
    expect(file.config.tombstoneWarning).toBe(0.75)
  })

  it('takes flags that say yes, and no', () => {
    expect(load(['--found']).config.found).toBe(true)
    expect(load(['--no-found'], { GRAPEVINE_FOUND: 'true' }).config.found).toBe(false)
    expect(load(['--found=false']).config.found).toBe(false)
    expect(load(['--found', '--zone', 'z']).config).toMatchObject({ found: true, zone: 'z' })
  })

  it('tells all mistakes at once, each with its place and a hint', () => {
    const yaml = 'valuMax: 1MiB\nprobeTimeout: soon\nfound: "yes"\n__proto__: 1\nseed: [[a]]\n'
    const mistakes = mistakesOf(() =>
      load(
        ['--config', 'c.yaml', '--drift', '1s', '--listen', 'nowhere', '--zone', 'a', '--zone', 'b', 'stray', '--name'],
        { GRAPEVINE_VALUE_MAX: '17MiB', GRAPEVINE_LOG_LEVEL: 'inof' },
        { 'c.yaml': yaml },
      ),
    )
    const told = mistakes.map(({ path, source, hint }) => [path, source.at, hint])
    expect(told).toEqual(
      expect.arrayContaining([
        ['--drift', '--drift', expect.stringContaining('--drift-max')],
        ['listen', '--listen', expect.stringContaining('HOST:PORT')],
        ['zone', '--zone', 'write --zone once'],
        ['stray', 'stray', 'options begin with two dashes'],
        ['name', '--name', 'write --name VALUE'],
        ['valueMax', 'GRAPEVINE_VALUE_MAX', 'choose one from 1KiB to 16MiB'],
        ['logLevel', 'GRAPEVINE_LOG_LEVEL', 'did you mean info?'],
        ['valuMax', 'c.yaml:1', 'did you mean valueMax?'],
        ['probeTimeout', 'c.yaml:2', expect.stringContaining('500ms')],
        ['found', 'c.yaml:3', 'write a yes or no'],
        ['__proto__', 'c.yaml:4', expect.any(String)],
        ['seed', 'c.yaml:5', expect.any(String)],
      ]),
    )
    expect(mistakes).toHaveLength(12)
  })

  it.each([
    ['a file that is not there', ['--config', 'missing'], 'cannot be read'],
    ['a file that is none', ['--config', 'bad'], 'cannot be parsed'],
    ['a file that is a list', ['--config', 'list'], 'is not what belongs here'],
    ['two clusters at once', ['--found', '--rebuild'], 'contradicts'],
    ['a snapshot for no new cluster', ['--restore', 'x'], 'needs found'],
    ['a share above all', ['--tombstone-warning', '1.5'], 'is no share'],
    ['probes that overlap', ['--probe-timeout', '2s'], 'longer than'],
    ['one port for all', ['--listen', 'a:1', '--peer-listen', 'a:1'], 'also listen'],
    ['a name that is none', ['--name', 'a b'], 'not allowed'],
    ['a flag without value before another', ['--zone', '--found'], 'no value'],
  ])('refuses %s', (_name, argv, message) => {
    const files = { bad: 'a: [1', list: '- a\n- b\n' }
    const [first] = mistakesOf(() => load(argv, {}, files))
    expect(first?.message).toContain(message)
    expect(() => load(argv, {}, files)).toThrow(first?.hint)
  })

  it('warns of what looks like a variable, and need not be one', () => {
    const env = { GRAPEVINE_ZON: 'a', GRAPEVINE_SERVICE_HOST: '10.0.0.1', GRAPEVINE_ENDPOINTS: 'http://x', PATH: '' }
    expect(load([], env).warnings).toEqual(['GRAPEVINE_ZON is not read. Did you mean GRAPEVINE_ZONE?'])
  })

  it('reads secrets from files, and shows them to nobody', () => {
    const table: OptionTable<{ readonly token: string }> = {
      token: { path: 'token', type: textLike(/^\w+$/, 'use letters'), default: '', description: '', secret: true },
    }
    const readFile = readerOf({ '/run/token': 'hunter2\n', bad: 'no token!\n' })
    const read = (env: ConfigInput['env']) => loadConfig(table, { argv: [], env, readFile })
    expect(read({ GRAPEVINE_TOKEN_FILE: '/run/token' }).config).toEqual({ token: 'hunter2' })
    expect(read({ GRAPEVINE_TOKEN: 'direct', GRAPEVINE_TOKEN_FILE: '/run/token' }).config.token).toBe('direct')
    expect(mistakesOf(() => read({ GRAPEVINE_TOKEN_FILE: 'bad' }))[0]).toMatchObject({ value: '***' })
    expect(mistakesOf(() => read({ GRAPEVINE_TOKEN_FILE: 'missing' }))[0]?.message).toContain('cannot be read')
  })

  it('derives what others call this node', () => {
    const { config } = load(['--listen', '0.0.0.0:7700', '--peer-listen', '[::]:7701'])
    expect(config.name).toMatch(/^[A-Za-z0-9][A-Za-z0-9._-]*$/)
    expect(config.advertise).toMatch(/^[^0].*:7700$/)
    expect(config.peerAdvertise).toMatch(/:7701$/)
    expect(load(['--listen', '10.0.0.1:7700']).config.advertise).toBe('10.0.0.1:7700')
    expect(load(['--listen', '0.0.0.0:1', '--advertise', 'db.example.org:80']).config.advertise).toBe(
      'db.example.org:80',
    )
  })

  it('checks a file by itself', () => {
    expect(checkConfig('c', readerOf({ c: 'zone: a' }))).toEqual([])
    expect(checkConfig('c', readerOf({ c: 'zoen: a' }))).toMatchObject([{ path: 'zoen', hint: 'did you mean zone?' }])
  })
})

describe('the table of options', () => {
  it('has defaults that it would take itself', () => {
    for (const { path, type, default: value } of Object.values(OPTIONS)) {
      const parsed = type.parse(type.format(value as never))
      expect({ path, ...parsed }).toEqual({ path, value })
    }
  })

  it('makes documentation, help and a schema of the same options', () => {
    const described = describeConfig()
    expect(described).toHaveLength(Object.keys(OPTIONS).length)
    expect(optionsTable().split('\n')).toHaveLength(described.length + 2)
    expect(optionsHelp()).toContain('--anti-entropy-interval <duration>')
    const { properties } = configSchema() as { properties: Record<string, { properties?: Record<string, unknown> }> }
    expect(properties['valueMax']).toMatchObject({ default: '1MiB' })
    expect(properties['rumor']?.properties?.['k']).toMatchObject({ type: 'integer', default: 3 })
    expect(effectiveConfig(load(['--zone', 'z'])).find(({ path }) => path === 'zone')).toMatchObject({ value: 'z' })
  })
})
