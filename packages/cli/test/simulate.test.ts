import { runCommandLine } from '@grapevine/cli'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { FakeShell } from './fake-shell.ts'

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'grapevine-simulate-'))
})
afterAll(() => rm(directory, { recursive: true }))

async function run(...line: string[]): Promise<{ code: number; out: string; err: string }> {
  const shell = new FakeShell()
  const code = await runCommandLine(['simulate', ...line], shell)
  return { code, out: shell.stdout.text, err: shell.stderr.text }
}

async function scenario(content: object): Promise<string> {
  const file = join(directory, 'scenario.json')
  await writeFile(file, JSON.stringify(content))
  return file
}

const QUIET = { nodes: 2, chaosMs: 6_000, workload: { keys: 500, hotShare: 0, clients: 2, thinkMs: 200 } }

describe('simulate', { timeout: 60_000 }, () => {
  it('says what was done to the cluster and that it held, and the same seed is the same run', async () => {
    const file = await scenario({ ...QUIET, faults: [{ atMs: 4_000, kind: 'crash', node: 'n2', forMs: 500 }] })
    const history = join(directory, 'history.jsonl')
    const { code, out } = await run('--seed', '1', '--scenario', file, '--history', history)
    expect(code).toBe(0)
    const events = (await readFile(history, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string })
    expect(events[0]).toMatchObject({ type: 'phase', phase: 'chaos' })
    expect(events.filter(({ type }) => type === 'contents')).toHaveLength(2)
    expect(out).toContain('Everything held.')
    expect(out).toMatch(/crash +1/)
    const json = JSON.parse((await run('--seed', '1', '--scenario', file, '-o', 'json')).out) as { traceHash: string }
    expect(json).toEqual({ seed: 1, traceHash: out.match(/Trace ([0-9a-f]{64})/)?.[1], violations: [] })
  })

  it('exits 6 when something went wrong, with all it takes to see it again', async () => {
    // Two that found without having heard of each other are two clusters for ever.
    const nodes = ['n1', 'n2'].map((name) => ({ name, founds: true, seeds: [] }))
    const file = await scenario({ ...QUIET, nodes, faults: [{ atMs: 4_000, kind: 'crash', node: 'n2', forMs: 500 }] })
    const { code, out, err } = await run('--seed', '1', '--scenario', file, '-o', 'json')
    expect(code).toBe(6)
    expect((JSON.parse(out) as { violations: unknown[] }).violations.length).toBeGreaterThan(0)
    expect(err).toContain('Again: grapevine simulate --seed 1')
    expect(err).toContain('do not agree')
  })

  it('refuses what makes no sense, with exit code 2', async () => {
    const file = await scenario({ ...QUIET, faults: [{ atMs: 1, kind: 'crush', node: 'n1' }] })
    expect(await run('--scenario', file)).toMatchObject({ code: 2, err: expect.stringContaining('faults[0].kind') })
    expect(await run('--scenario', join(directory, 'none.json'))).toMatchObject({ code: 2 })
    expect(await run('--nodes', '0')).toMatchObject({ code: 2 })
    expect(await run('--scenario', file, '--nodes', '3')).toMatchObject({ code: 2 })
  })
})
