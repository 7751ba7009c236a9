import { spawnSync } from 'node:child_process'
import { join, resolve } from 'node:path'
import { expect, it } from 'vitest'

// What people install, looked at as it would be published.

const TOP = resolve(import.meta.dirname, '../..')
const PUBLISHED = ['contract', 'client', 'keyv', 'unstorage']

it.each(PUBLISHED)('publint finds nothing in @grapevine/%s', (name) => {
  expect(run('publint', ['--strict', join(TOP, 'packages', name)])).toContain('All good!')
})

// ESM alone, as Node has been able to `require` since 22.12 and 20.19; so resolution by older ones is not looked at.
it.each(PUBLISHED)('attw finds the types of every entry of @grapevine/%s', (name) => {
  const printed = run('attw', ['--profile', 'esm-only', '--format', 'ascii', '--pack', join(TOP, 'packages', name)])
  expect(printed).toContain('bundler: 🟢')
})

function run(tool: string, args: readonly string[]): string {
  const { stdout, stderr, status } = spawnSync(join(TOP, 'node_modules/.bin', tool), args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${tool} ended with ${status}: ${stdout}${stderr}`)
  return stdout
}
