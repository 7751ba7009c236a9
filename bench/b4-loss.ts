// B4: one write among 26,000 nodes, while messages get lost and crashed nodes are taken to be alive.
import { measureSpread, SPREAD_METHOD, spreadFigures } from './gossip/measure-spread.ts'
import { saveGossip } from './gossip/results.ts'
import { numberText, ScenarioReport } from './harness/results.ts'
import { readSettings } from './harness/settings.ts'

const NODES = 26_000
const LOSS = 0.05
const CRASHED = 0.1

const settings = readSettings({ rounds: 1_000 })
const report = new ScenarioReport(
  {
    scenario: 'b4-loss',
    title: `one write among ${numberText(NODES)} nodes, with ${LOSS * 100} % loss and ${CRASHED * 100} % crashed`,
    method: [
      ...SPREAD_METHOD,
      'Each message gets lost by itself: a pull is four of them, and comes to nothing when any of the four is lost.',
      'Payloads that were lost or went to crashed nodes count, and all is divided by the nodes that are up.',
    ],
  },
  settings,
)
const result = measureSpread(NODES, settings.rounds, { loss: LOSS, crashed: CRASHED })
report.add(...spreadFigures(result, { rounds: 19, overheadPercent: 90 }))
await report.finish()
if (!settings.quick) await saveGossip('b4-loss', result)
