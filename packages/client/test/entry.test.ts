import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { join, resolve } from 'node:path'
import { gzipSync } from 'node:zlib'
import { rolldown } from 'rolldown'
import { afterAll, describe, expect, it } from 'vitest'

const top = resolve(import.meta.dirname, '..')

describe('the entry for every platform', () => {
  it('is at most 12 kB gzipped, and brings nothing along but the contract', async () => {
    const modules: string[] = []
    const bundle = await rolldown({
      input: join(top, 'src/index.ts'),
      platform: 'browser',
      resolve: { conditionNames: ['@grapevine/source', 'import', 'default'] },
      onLog: (level, log) => {
        throw new Error(`${level}: ${log.message}`)
      },
    })
    const { output } = await bundle.generate({ format: 'esm', minify: true })
    await bundle.close()
    const [chunk] = output
    modules.push(...Object.keys(chunk.modules))
    expect(output).toHaveLength(1)
    expect([...chunk.imports, ...chunk.dynamicImports]).toEqual([])
    expect(modules.every((id) => /packages\/(client|contract)\/src\//.test(id))).toBe(true)
    for (const name of builtinModules) expect(chunk.code).not.toContain(`node:${name}`)
    expect(gzipSync(chunk.code).length).toBeLessThanOrEqual(12 * 1024)
  })
})

describe('a consumer', () => {
  const directory = mkdtempSync(join(top, 'test/consumer-'))
  afterAll(() => rmSync(directory, { recursive: true }))

  it('compiles strictly, against what is published, without the types of any platform but the web', () => {
    writeFileSync(
      join(directory, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: {
          strict: true,
          exactOptionalPropertyTypes: true,
          noUncheckedIndexedAccess: true,
          skipLibCheck: false,
          module: 'nodenext',
          target: 'es2022',
          lib: ['es2022', 'esnext.disposable', 'dom'],
          types: [],
          noEmit: true,
        },
      }),
    )
    writeFileSync(join(directory, 'consumer.ts'), CONSUMER)
    writeFileSync(join(directory, 'readme.ts'), firstExample())
    const tsc = resolve(top, '../../node_modules/.bin/tsc')
    const { stdout, status } = spawnSync(tsc, ['-p', directory], { encoding: 'utf8' })
    expect(stdout).toBe('')
    expect(status).toBe(0)
  }, 60_000)
})

it('begins its README with an example of at most ten lines', () => {
  expect(firstExample().trimEnd().split('\n').length).toBeLessThanOrEqual(10)
})

function firstExample(): string {
  const [, example = ''] = /```ts\n([^]*?)```/.exec(readFileSync(join(top, 'README.md'), 'utf8')) ?? []
  return example
}

const CONSUMER = `
import { connect, GrapevineError, json, type Receipt } from '@grapevine/client'
import { memory } from '@grapevine/client/memory'
import { z } from 'zod'

const Cart = z.object({ items: z.number().default(0), at: z.string().transform((text) => new Date(text)) })
await using grapevine = await connect(['http://127.0.0.1:7700'], { timeoutMs: 2_000 })
const carts = grapevine.bucket('carts', { codec: json(Cart) })
const receipt: Receipt = await carts.put('42', { at: '2026-01-01' }, { ttl: '30m', w: 'quorum' })
await receipt.visible({ on: 'all', within: 2_000 })
const cart = await carts.get('42')
const at: Date | undefined = cart?.at
// @ts-expect-error -- The schema wants a text.
await carts.put('42', { at: 7 })
await carts.update('42', (old) => ({ items: (old?.items ?? 0) + 1, at: 'now' }))
for await (const { key, value } of carts.list({ prefix: '4' })) console.log(key, value.items.toFixed())
for await (const change of carts.watch()) if (change.type === 'put') console.log(change.key, change.lagMs)
const text: string | undefined = await grapevine.bucket('t', { codec: 'text' }).get('k')
const bytes: Uint8Array | undefined = await memory().bucket('t', { codec: 'bytes' }).get('k')
try { await grapevine.session(grapevine.sessionToken).bucket('t').delete('k') } catch (error) {
  if (error instanceof GrapevineError && error.outcome === 'unknown') console.log(error.code, error.traceId, at, text, bytes)
}
`
