import type { Call } from '../command.ts'
import { formatOf } from './format.ts'
import { styleFor, type Style } from './style.ts'
import { tableLines, type Column } from './table.ts'

/** How many rows a table waits for before its columns are set. */
const ROWS_MEASURED_MAX = 1_000

/** One document: for programs as it is, for people as `render` has it. */
export async function printDocument(call: Call, document: unknown, render: (style: Style) => string): Promise<void> {
  const { stdout } = call.shell
  switch (formatOf(call.flags)) {
    case 'json':
      return stdout.write(`${JSON.stringify(document, null, 2)}\n`)
    case 'ndjson':
      return stdout.write(`${JSON.stringify(document)}\n`)
    case 'table':
      return stdout.write(render(styleFor(stdout, call.shell)))
  }
}

/** Rows as they come, without holding them: an array, a line each, or tables of up to a thousand. Returns how many. */
export async function printRows<Row>(
  call: Call,
  rows: AsyncIterable<Row>,
  columns: (style: Style) => readonly Column<Row>[],
  jsonOf: (row: Row) => unknown,
): Promise<number> {
  const { stdout } = call.shell
  const format = formatOf(call.flags)
  const style = styleFor(stdout, call.shell)
  let count = 0
  let held: Row[] = []
  const flush = async (): Promise<void> => {
    if (held.length > 0) await stdout.write(tableLines(columns(style), held, style))
    held = []
  }
  if (format === 'json') await stdout.write('[')
  for await (const row of rows) {
    if (format === 'table') {
      held.push(row)
      if (held.length >= ROWS_MEASURED_MAX) await flush()
    } else if (format === 'ndjson') {
      await stdout.write(`${JSON.stringify(jsonOf(row))}\n`)
    } else {
      await stdout.write(`${count === 0 ? '\n' : ',\n'}${JSON.stringify(jsonOf(row))}`)
    }
    count++
  }
  if (format === 'json') await stdout.write(count === 0 ? ']\n' : '\n]\n')
  await flush()
  return count
}

/** For people: on stderr, so that what is piped on holds data alone. */
export async function tell(call: Call, line: string): Promise<void> {
  await call.shell.stderr.write(`${line}\n`)
}
