// Makes the tables and plots of docs/gossip.md anew from what was measured last: docs/gossip/results.json.
import { readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { withTables } from './gossip/page.ts'
import { plotsOf } from './gossip/plots.ts'
import { GOSSIP, loadGossip, type GossipResults } from './gossip/results.ts'

const PAGE = resolve(GOSSIP, '../gossip.md')

const results = await loadGossip()
if (!isComplete(results)) throw new Error('measure first: pnpm bench b1, b2, b3, b4 and b13')
for (const [name, svg] of plotsOf(results)) await writeFile(join(GOSSIP, name), svg)
await writeFile(PAGE, withTables(await readFile(PAGE, 'utf8'), results))
process.stdout.write(`${PAGE} and its plots\n`)

function isComplete(some: Partial<GossipResults>): some is GossipResults {
  return ['b1-spread', 'b2-demers', 'b3-million', 'b4-loss', 'b13-detector'].every((name) => name in some)
}
