import { describe, expect, it } from 'vitest'
import { runDetectors } from '../../src/measures/index.ts'

const SCENARIO = { nodes: 32, seed: 1, slow: 8, blockedMs: 4_000, runsMs: 1, crashes: 3, seconds: 50 }

describe('failure detectors among slow members', { timeout: 60_000 }, () => {
  it('blame healthy members without Lifeguard, and none with it, and see crashes about as soon', async () => {
    const swim = await runDetectors({ ...SCENARIO, lifeguard: false })
    const product = await runDetectors({ ...SCENARIO, lifeguard: true })
    expect(swim.falsePositives).toBeGreaterThan(50)
    expect(product.falsePositives).toBeLessThanOrEqual(swim.falsePositives / 50)
    expect(sum(product.firstSeenMs)).toBeLessThanOrEqual(sum(swim.firstSeenMs) * 1.2)
  })

  it('blame nobody when nobody is slow, and all see each crash', async () => {
    for (const lifeguard of [false, true]) {
      const run = await runDetectors({ ...SCENARIO, slow: 0, lifeguard })
      expect(run.falsePositives).toBe(0)
      for (const ms of run.allSeenMs) expect(ms).toBeLessThan(15_000)
    }
  })

  it('come to the same by the same seed', async () => {
    const short = { ...SCENARIO, seconds: 26, lifeguard: true }
    expect(await runDetectors(short)).toEqual(await runDetectors(short))
  })
})

function sum(times: readonly (number | undefined)[]): number {
  return times.reduce<number>((all, ms) => all + (ms ?? Number.POSITIVE_INFINITY), 0)
}
