import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { historyLines, lineOf, readHistory, type HistoryEvent } from '../../src/index.ts'
import { anyCorrectHistory } from '../checkers/any-history.ts'
import { tale } from '../checkers/tale.ts'

async function read(pieces: Iterable<string>): Promise<readonly HistoryEvent[]> {
  return await Array.fromAsync(readHistory(pieces))
}

describe('a history as JSON lines', () => {
  it('comes back as it was, wherever its pieces end', async () => {
    const law = fc.asyncProperty(anyCorrectHistory, fc.integer({ min: 1, max: 400 }), async (history, length) => {
      const text = [...historyLines(history)].join('')
      const pieces = Array.from({ length: Math.ceil(text.length / length) }, (_, at) =>
        text.slice(at * length, (at + 1) * length),
      )
      expect(await read(pieces)).toEqual(history)
    })
    await fc.assert(law, { numRuns: 50 })
  })

  it('comes back with every type of event', async () => {
    const history: readonly HistoryEvent[] = [
      ...tale(),
      { type: 'fault', atMs: 1, fault: 'cut', detail: 'a to b' },
      { type: 'integrity-fault', atMs: 2, node: 'a', peer: 'b' },
    ]
    expect(await read(historyLines(history))).toEqual(history)
  })

  it('may lack its last line end, and may be empty', async () => {
    const [first, second] = tale()
    if (first === undefined || second === undefined) throw new Error('the tale has events')
    expect(await read([lineOf(first), lineOf(second).trimEnd()])).toEqual([first, second])
    expect(await read([])).toEqual([])
  })

  const good = '{"type":"integrity-fault","atMs":1,"node":"a","peer":"b"}\n'
  it.each([
    ['no JSON', '{"type":', 'line 2 of the history: no JSON: {"type":'],
    ['an empty line', '\n', 'line 2 of the history: empty'],
    ['no object', '[1]\n', 'line 2 of the history: no object: [1]'],
    ['an unknown type', '{"type":"guess","atMs":1}\n', 'no such type as "guess"'],
    ['a type that objects inherit', '{"type":"toString","atMs":1}\n', 'no such type as "toString"'],
    ['a missing field', '{"type":"integrity-fault","atMs":1,"node":"a"}\n', '"peer" is not text'],
    [
      'a field of another kind',
      '{"type":"integrity-fault","atMs":"1","node":"a","peer":"b"}\n',
      '"atMs" is not a number',
    ],
    [
      'a field too many',
      '{"type":"integrity-fault","atMs":1,"node":"a","peer":"b","why":"x"}\n',
      'no such field as "why"',
    ],
    [
      'a word that is not one of them',
      '{"type":"process","atMs":1,"node":"a","what":"slept"}\n',
      '"what" is not started or',
    ],
    [
      'a version that is none',
      '{"type":"read","atMs":1,"op":1,"outcome":"ok","version":"7"}\n',
      '"version" is not a version',
    ],
  ])('is refused with the number of the line: %s', async (_, bad, message) => {
    const reading = read([good, bad])
    await expect(reading).rejects.toThrow(message)
    await expect(reading).rejects.toMatchObject({ code: 'malformed_history', line: 2 })
  })

  it('is refused when a line does not end where any event would have', async () => {
    const reading = read([good, 'x'.repeat(2 ** 26), 'x'])
    await expect(reading).rejects.toThrow('line 2 of the history: longer than any event')
  })

  it('hands out what comes before a bad line', async () => {
    const seen: HistoryEvent[] = []
    const reading = async (): Promise<void> => {
      for await (const event of readHistory([good, good, 'x'])) seen.push(event)
    }
    await expect(reading()).rejects.toThrow('line 3')
    expect(seen).toHaveLength(2)
  })
})
