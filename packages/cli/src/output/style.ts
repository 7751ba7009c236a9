import { styleText } from 'node:util'
import type { Output, Shell } from '../shell.ts'

export type Paint = (text: string) => string

export interface Style {
  readonly bold: Paint
  readonly dim: Paint
  readonly good: Paint
  readonly doubtful: Paint
  readonly bad: Paint
}

const PLAIN: Style = { bold: same, dim: same, good: same, doubtful: same, bad: same }

/** Colours only where somebody sees them and wants to (no-color.org). */
export function styleFor(output: Output, { env }: Shell): Style {
  if (!output.isTTY || env['NO_COLOR'] || env['TERM'] === 'dumb') return PLAIN
  // The stream was looked at already: styleText would look at the process's own.
  const paint =
    (colour: Parameters<typeof styleText>[0]): Paint =>
    (text) =>
      styleText(colour, text, { validateStream: false })
  return {
    bold: paint('bold'),
    dim: paint('dim'),
    good: paint('green'),
    doubtful: paint('yellow'),
    bad: paint('red'),
  }
}

/** For a member's state. */
export function paintOfState(state: string, style: Style): Paint {
  if (state === 'alive') return style.good
  if (state === 'suspect') return style.doubtful
  return state === 'dead' || state === 'evicted' ? style.bad : style.dim
}

function same(text: string): string {
  return text
}
