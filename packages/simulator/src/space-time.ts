import type { HistoryEvent } from './history/history.ts'

const COLUMN_WIDTH = 24
const TIME_WIDTH = 10

/**
 * What happened to one key, and to the nodes meanwhile: a column for each node, a line for each event, from top to
 * bottom as time goes.
 */
export function spaceTimeDiagram(history: readonly HistoryEvent[], nodes: readonly string[], key: string): string {
  const operations = new Map<number, string>()
  const lines = [
    row('ms', nodes),
    row(
      '',
      nodes.map((name) => '─'.repeat(name.length)),
    ),
  ]
  for (const event of history) {
    if (event.type === 'invoke' && event.key === key) operations.set(event.op, event.node)
    const cell = cellOf(event, key, operations)
    if (cell === undefined) continue
    if (cell.node === undefined) lines.push(`${time(event)}── ${cell.text}`)
    else
      lines.push(
        row(
          time(event),
          nodes.map((name) => (name === cell.node ? cell.text : '│')),
        ),
      )
  }
  return lines.join('\n')
}

function cellOf(
  event: HistoryEvent,
  key: string,
  operations: ReadonlyMap<number, string>,
): { node: string | undefined; text: string } | undefined {
  switch (event.type) {
    case 'invoke':
      if (event.key !== key) return undefined
      return {
        node: event.node,
        text: `${event.client} asks ${event.action}${event.w === undefined ? '' : ` w=${event.w}`}`,
      }
    case 'written':
    case 'read': {
      const node = operations.get(event.op)
      if (node === undefined) return undefined
      return { node, text: `${event.outcome} ${short(event.version) || (event.code ?? '')}` }
    }
    case 'stored':
      if (event.key !== key) return undefined
      return { node: event.node, text: `${event.state === 'value' ? 'holds' : 'deleted'} ${short(event.version)}` }
    case 'purged':
      return event.key === key ? { node: event.node, text: `purges ${short(event.version)}` } : undefined
    case 'process':
      return { node: event.node, text: event.reason === undefined ? event.what : `${event.what}: ${event.reason}` }
    case 'contents': {
      const held = event.entries.find((entry) => entry.key === key)
      return { node: event.node, text: held === undefined ? 'ends with nothing' : `ends with ${short(held.version)}` }
    }
    case 'phase':
      return { node: undefined, text: event.phase }
    case 'fault':
      return { node: undefined, text: `${event.fault} ${event.detail ?? ''}` }
    case 'opinion':
    case 'exchange':
    case 'queue':
    case 'integrity-fault':
    case 'accepted':
    case 'idle':
      return undefined
  }
}

/** The end of the clock's digits and the beginning of the replica's: what tells versions of one run apart. */
function short(version: string | undefined): string {
  return version === undefined ? '' : `${version.slice(6, 16)}-${version.slice(17, 20)}`
}

function time({ atMs }: HistoryEvent): string {
  return atMs.toFixed(1)
}

function row(first: string, cells: readonly string[]): string {
  return `${first.padEnd(TIME_WIDTH)}${cells.map((cell) => cell.slice(0, COLUMN_WIDTH - 1).padEnd(COLUMN_WIDTH)).join('')}`.trimEnd()
}
