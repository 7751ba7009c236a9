import { describe, expect, it } from 'vitest'
import { drawPlan, parseScenario, ScenarioError } from '../src/index.ts'

describe('a scenario', () => {
  it('may leave out all that is as usual', () => {
    const plan = parseScenario('{ "nodes": 3, "chaosMs": 1000 }')
    expect(plan.nodes.map(({ name }) => name)).toEqual(['n1', 'n2', 'n3'])
    expect(plan.workload.clients).toBeGreaterThan(0)
    expect(plan.faults).toEqual([])
  })

  it('is what a seed draws, written down', () => {
    for (let seed = 1; seed <= 50; seed++) {
      const plan = drawPlan({ seed, nodes: 5, seconds: 60 })
      expect(parseScenario(JSON.stringify(plan))).toEqual(plan)
    }
  })

  it('says once what happens again and again', () => {
    const { faults, workload } = parseScenario(
      JSON.stringify({
        nodes: 2,
        chaosMs: 60_000,
        faults: [{ atMs: 1_000, kind: 'cut', from: 'n1', to: 'n2', forMs: 500, everyMs: 1_000, times: 3 }],
        workload: {
          operations: [{ atMs: 5, node: 'n1', action: 'put', key: 'k', everyMs: 10, times: 2 }],
        },
      }),
    )
    expect(faults).toEqual(
      [1_000, 2_000, 3_000].map((atMs) => ({ atMs, kind: 'cut', from: 'n1', to: 'n2', forMs: 500 })),
    )
    expect(workload.operations.map(({ atMs }) => atMs)).toEqual([5, 15])
  })

  it.each([
    ['{', 'one JSON document'],
    ['[]', 'must be an object'],
    ['{ "nodes": 3 }', 'chaosMs is missing'],
    ['{ "nodes": 0, "chaosMs": 1 }', 'nodes must be a whole number from 1'],
    ['{ "nodes": 3, "chaosMs": 1, "fault": [] }', 'fault is not known here'],
    ['{ "nodes": [{ "name": "a" }, { "name": "a" }], "chaosMs": 1 }', 'two are called "a"'],
    ['{ "nodes": 3, "chaosMs": 1, "network": { "loss": 2 } }', 'network.loss must be a number from 0 to 1'],
    [
      '{ "nodes": 3, "chaosMs": 1, "faults": [{ "atMs": 1, "kind": "crush", "node": "n1" }] }',
      'faults[0].kind must be one of',
    ],
    ['{ "nodes": 3, "chaosMs": 1, "faults": [{ "atMs": 1, "kind": "crash" }] }', 'faults[0].node is missing'],
    [
      '{ "nodes": 3, "chaosMs": 1, "faults": [{ "atMs": 1, "kind": "crash", "node": "n9" }] }',
      'faults[0].node: no node is called "n9"',
    ],
    [
      '{ "nodes": 3, "chaosMs": 1, "faults": [{ "atMs": 1, "kind": "stop", "node": "n1", "forMS": 5 }] }',
      'faults[0].forMS is not known',
    ],
    ['{ "nodes": 3, "chaosMs": 1, "away": ["n1", "n2"] }', 'only a minority'],
    [
      '{ "nodes": 3, "chaosMs": 1, "faults": [{ "atMs": 1, "kind": "crash", "node": "n1", "times": 3 }] }',
      'faults[0]: everyMs and times come together',
    ],
    [
      '{ "nodes": 3, "chaosMs": 1, "faults": [{ "atMs": 1, "kind": "crash", "node": "*", "everyMs": 1, "times": 9999 }, { "atMs": 1, "kind": "crash", "node": "*", "everyMs": 1, "times": 9999 }] }',
      '19998 in all; at most 10000',
    ],
    [
      '{ "nodes": 3, "chaosMs": 1, "workload": { "operations": [{ "atMs": 1, "node": "n1", "action": "push", "key": "k" }] } }',
      'workload.operations[0].action must be one of put',
    ],
  ])('is refused where it makes no sense: %s', (json, message) => {
    expect(() => parseScenario(json)).toThrow(ScenarioError)
    expect(() => parseScenario(json)).toThrow(message)
  })
})
