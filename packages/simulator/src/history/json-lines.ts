import { problemWith } from './event-shape.ts'
import type { HistoryEvent } from './history.ts'

/** A `contents` event of 100,000 entries is some 20 MB. Beyond this it is no line of ours. */
const LINE_CHARACTERS_MAX = 2 ** 26

/** The event as one line, with its line end. */
export function lineOf(event: HistoryEvent): string {
  return `${JSON.stringify(event)}\n`
}

/** Lines, one at a time: `await pipeline(historyLines(events), createWriteStream(path))`. */
export function* historyLines(events: Iterable<HistoryEvent>): Generator<string> {
  for (const event of events) yield lineOf(event)
}

/** A line that is no event. The number counts from 1, as editors do. */
export class MalformedHistoryError extends Error {
  readonly code = 'malformed_history'
  readonly line: number

  constructor(line: number, problem: string) {
    super(`line ${line} of the history: ${problem}`)
    this.name = 'MalformedHistoryError'
    this.line = line
  }
}

/**
 * Reads what {@link lineOf} wrote, from pieces of text that may end anywhere, as file streams with an encoding do.
 * Strict, since a checker that misses an event is blind to what it says; only the last line end may be missing.
 * @throws {MalformedHistoryError}
 */
export async function* readHistory(pieces: AsyncIterable<string> | Iterable<string>): AsyncGenerator<HistoryEvent> {
  let line = 0
  for await (const text of linesOf(pieces)) yield eventOf(text, ++line)
}

async function* linesOf(pieces: AsyncIterable<string> | Iterable<string>): AsyncGenerator<string> {
  // Pieces of an unfinished line are joined once it is finished, or a long line would be copied with each piece.
  let unfinished: string[] = []
  let length = 0
  let line = 0
  for await (const piece of pieces) {
    const parts = piece.split('\n')
    const last = parts.pop() ?? ''
    for (const part of parts) {
      line++
      yield unfinished.length === 0 ? part : unfinished.join('') + part
      unfinished = []
      length = 0
    }
    if (last.length > 0) unfinished.push(last)
    length += last.length
    if (length > LINE_CHARACTERS_MAX) throw new MalformedHistoryError(line + 1, 'longer than any event')
  }
  if (unfinished.length > 0) yield unfinished.join('')
}

function eventOf(text: string, line: number): HistoryEvent {
  if (text === '') throw new MalformedHistoryError(line, 'empty')
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    throw new MalformedHistoryError(line, `no JSON: ${excerptOf(text)}`)
  }
  const problem = problemWith(parsed)
  if (problem !== undefined) throw new MalformedHistoryError(line, `${problem}: ${excerptOf(text)}`)
  return parsed as HistoryEvent
}

function excerptOf(text: string): string {
  return text.length <= 120 ? text : `${text.slice(0, 119)}…`
}
