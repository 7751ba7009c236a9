import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const TOP = resolve(import.meta.dirname, '../..')
const PROGRAM = `
  import { simulate } from '@grapevine/simulator'
  const { traceHash, statistics } = await simulate({ seed: 7, seconds: 20 })
  console.log(JSON.stringify({ traceHash, frames: statistics.frames }))
`

/** In a process of its own, from source or from what was built. */
async function runOf(conditions: readonly string[]): Promise<{ traceHash: string; frames: number }> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [...conditions, '--input-type=module', '--eval', PROGRAM],
    { cwd: resolve(TOP, 'packages/cli') },
  )
  return JSON.parse(stdout) as { traceHash: string; frames: number }
}

it('leaves the same trace in two processes, from source and as built', async () => {
  const source = await runOf(['--conditions=@grapevine/source'])
  expect(source.traceHash).toMatch(/^[0-9a-f]{64}$/)
  expect(source.frames).toBeGreaterThan(1_000)
  expect(await runOf(['--conditions=@grapevine/source'])).toEqual(source)
  expect(await runOf([])).toEqual(source)
})
