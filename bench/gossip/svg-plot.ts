/** A plot as SVG text: axes, ticks, a legend, colours that the colour-blind tell apart, in light and in dark. */
export interface Plot {
  readonly title: string
  readonly x: Axis
  readonly y: Axis
  readonly series: readonly Series[]
}

export interface Axis {
  readonly label: string
  readonly from: number
  readonly to: number
  readonly scale: 'linear' | 'log'
  readonly ticks: readonly number[]
  /** Beside each tick; its number unless said otherwise. */
  readonly tickText?: (tick: number) => string
}

export interface Series {
  readonly name: string
  readonly points: readonly (readonly [number, number])[]
  /** Place in the palette: two series that belong together share one. */
  readonly colour: number
  /** `dots` are open circles without a line, `bars` stand on the axis. */
  readonly drawn: 'line' | 'dashes' | 'dots' | 'bars'
}

const WIDTH = 720
const HEIGHT = 420
const LEFT = 72
const RIGHT = 20
const TOP = 40
const BOTTOM = 52
const LEGEND_ROW = 18
const BAR_WIDTH = 34

/** Okabe and Ito's palette, and lighter ones of the same hues where the ground is dark. */
const LIGHT = ['#0072b2', '#d55e00', '#009e73', '#b0588c']
const DARK = ['#56b4e9', '#f0913a', '#2bc59a', '#e3a0c8']

export function svgOf(plot: Plot): string {
  const { x, y, series, title } = plot
  const left = (value: number): number => place(value, x, LEFT, WIDTH - RIGHT)
  const top = (value: number): number => place(value, y, HEIGHT - BOTTOM, TOP)
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escaped(title)}">`,
    style(),
    `<text class="title" x="${LEFT}" y="22">${escaped(title)}</text>`,
    ...y.ticks.map((tick) => horizontal(top(tick), textOf(tick, y))),
    ...x.ticks.map((tick) => vertical(left(tick), textOf(tick, x))),
    `<text x="${(LEFT + WIDTH - RIGHT) / 2}" y="${HEIGHT - 12}" text-anchor="middle">${escaped(x.label)}</text>`,
    `<text transform="translate(18 ${(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle">${escaped(y.label)}</text>`,
    ...series.flatMap((one, index) => drawn(one, barOffset(series, index), left, top)),
    ...series.flatMap((one, index) => legend(one, TOP + 14 + index * LEGEND_ROW)),
    '</svg>',
    '',
  ].join('\n')
}

function style(): string {
  const colours = (palette: readonly string[]): string =>
    palette.map((colour, index) => `.c${index}{stroke:${colour}}.f${index}{fill:${colour}}`).join('')
  return [
    '<style>',
    'text{font:13px system-ui,sans-serif;fill:#24292f}.title{font-weight:600}',
    '.grid{stroke:#8c959f;stroke-opacity:.3}.axis{stroke:#8c959f}.line{fill:none;stroke-width:2}',
    '.dashes{stroke-dasharray:7 4}.open{fill:none;stroke-width:2}',
    colours(LIGHT),
    `@media(prefers-color-scheme:dark){text{fill:#e6edf3}${colours(DARK)}}`,
    '</style>',
  ].join('\n')
}

function drawn(
  { points, colour, drawn: kind }: Series,
  offset: number,
  left: (value: number) => number,
  top: (value: number) => number,
): string[] {
  const at = points.map(([x, y]) => [left(x), top(y)] as const)
  if (kind === 'dots')
    return at.map(([x, y]) => `<circle class="open c${colour}" cx="${pixels(x)}" cy="${pixels(y)}" r="5"/>`)
  if (kind === 'bars')
    return at.map(([x, y]) => {
      const height = Math.max(1, HEIGHT - BOTTOM - y)
      return `<rect class="f${colour}" x="${pixels(x + offset)}" y="${pixels(HEIGHT - BOTTOM - height)}" width="${BAR_WIDTH}" height="${pixels(height)}"/>`
    })
  const path = at.map(([x, y], index) => `${index === 0 ? 'M' : 'L'}${pixels(x)} ${pixels(y)}`).join('')
  return [
    `<path class="line ${kind} c${colour}" d="${path}"/>`,
    ...at.map(([x, y]) => `<circle class="f${colour}" cx="${pixels(x)}" cy="${pixels(y)}" r="2.5"/>`),
  ]
}

/** Bars of one place stand side by side, around it. */
function barOffset(series: readonly Series[], index: number): number {
  const bars = series.filter((one) => one.drawn === 'bars')
  const own = series[index]
  return own === undefined ? 0 : (bars.indexOf(own) - bars.length / 2) * BAR_WIDTH
}

function legend({ name, colour, drawn: kind }: Series, y: number): string[] {
  const x = WIDTH - RIGHT - 12
  const mark =
    kind === 'dots'
      ? `<circle class="open c${colour}" cx="${x - 10}" cy="${y - 4}" r="5"/>`
      : kind === 'bars'
        ? `<rect class="f${colour}" x="${x - 20}" y="${y - 11}" width="20" height="12"/>`
        : `<path class="line ${kind} c${colour}" d="M${x - 24} ${y - 4}H${x}"/>`
  return [mark, `<text x="${x - 32}" y="${y}" text-anchor="end">${escaped(name)}</text>`]
}

function horizontal(y: number, text: string): string {
  return `<path class="grid" d="M${LEFT} ${pixels(y)}H${WIDTH - RIGHT}"/><text x="${LEFT - 8}" y="${pixels(y + 4)}" text-anchor="end">${text}</text>`
}

function vertical(x: number, text: string): string {
  return `<path class="axis" d="M${pixels(x)} ${HEIGHT - BOTTOM}v5"/><text x="${pixels(x)}" y="${HEIGHT - BOTTOM + 20}" text-anchor="middle">${text}</text>`
}

/** What lies beyond an axis is drawn at its end. */
function place(value: number, { from, to, scale }: Axis, start: number, end: number): number {
  const inside = Math.min(Math.max(value, from), to)
  const share = scale === 'linear' ? (inside - from) / (to - from) : Math.log(inside / from) / Math.log(to / from)
  return start + share * (end - start)
}

function textOf(tick: number, { tickText = String }: Axis): string {
  return escaped(tickText(tick))
}

function pixels(value: number): string {
  return String(Math.round(value * 10) / 10)
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}
