import type { Paint, Style } from './style.ts'

export interface Column<Row> {
  readonly title: string
  /** Control characters are shown as escapes: keys are anybody's bytes, and a terminal obeys some of them. */
  readonly text: (row: Row) => string
  readonly align?: 'left' | 'right'
  readonly paint?: (row: Row) => Paint
}

/** Lines of a table, each with its end. Columns are as wide as their widest cell. */
export function tableLines<Row>(columns: readonly Column<Row>[], rows: readonly Row[], style: Style): string {
  const cells = rows.map((row) => columns.map(({ text }) => visible(text(row))))
  const widths = columns.map(({ title }, column) =>
    Math.max(widthOf(title), ...cells.map((line) => widthOf(line[column] ?? ''))),
  )
  const pad = (text: string, column: number, paint?: Paint): string => {
    const painted = paint === undefined ? text : paint(text)
    const space = ' '.repeat(Math.max(0, (widths[column] ?? 0) - widthOf(text)))
    return columns[column]?.align === 'right' ? space + painted : painted + space
  }
  const head = columns.map(({ title }, column) => pad(title, column, style.dim)).join('  ')
  const body = rows.map((row, index) =>
    columns.map(({ paint }, column) => pad(cells[index]?.[column] ?? '', column, paint?.(row))).join('  '),
  )
  return [head, ...body].map((line) => `${line.trimEnd()}\n`).join('')
}

/** Text that a terminal shows and does not obey. */
export function visible(text: string): string {
  // oxlint-disable-next-line no-control-regex -- They are what is looked for.
  const obeyed = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g
  return text.replaceAll(obeyed, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

const GRAPHEMES = new Intl.Segmenter()

/** What is seen as characters: near enough to columns for names and numbers. */
function widthOf(text: string): number {
  // Nearly all cells are ASCII, and counting graphemes is slow.
  return /^[ -~]*$/.test(text) ? text.length : Array.from(GRAPHEMES.segment(text)).length
}
