// B3: one write among a million nodes.
import { measureSpread, SPREAD_METHOD, spreadFigures } from './gossip/measure-spread.ts'
import { saveGossip } from './gossip/results.ts'
import { numberText, ScenarioReport } from './harness/results.ts'
import { readSettings } from './harness/settings.ts'

const NODES = 1_000_000
const QUICK_NODES = 100_000

const settings = readSettings({ rounds: 10 })
const nodes = settings.quick ? QUICK_NODES : NODES
const report = new ScenarioReport(
  { scenario: 'b3-million', title: `one write among ${numberText(nodes)} nodes`, method: SPREAD_METHOD },
  settings,
)
const result = measureSpread(nodes, settings.rounds)
report.add(...spreadFigures(result, { rounds: 16, overheadPercent: 0.5 }))
await report.finish()
if (!settings.quick) await saveGossip('b3-million', result)
