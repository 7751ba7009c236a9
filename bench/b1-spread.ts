// B1: one write among 26,000 nodes, by the product's own decisions, beside plain push.
import { measureSpread, SPREAD_METHOD, spreadFigures } from './gossip/measure-spread.ts'
import { saveGossip } from './gossip/results.ts'
import { numberText, ScenarioReport } from './harness/results.ts'
import { readSettings } from './harness/settings.ts'

const NODES = 26_000

const settings = readSettings({ rounds: 1_000 })
const report = new ScenarioReport(
  { scenario: 'b1-spread', title: `one write among ${numberText(NODES)} nodes`, method: SPREAD_METHOD },
  settings,
)
const result = measureSpread(NODES, settings.rounds)
report.add(...spreadFigures(result, { rounds: 13, overheadPercent: 5 }))
await report.finish()
if (!settings.quick) await saveGossip('b1-spread', result)
