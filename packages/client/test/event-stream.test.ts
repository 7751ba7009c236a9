import { array, assert as assertProperty, constantFrom, nat, property } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EventStreamParser } from '../src/event-stream.ts'

function parse(...texts: string[]): ReturnType<EventStreamParser['push']> {
  const parser = new EventStreamParser()
  return texts.flatMap((text) => parser.push(text))
}

describe('an event stream', () => {
  it('has events, ids of their own, comments, and data of many lines', () => {
    expect(parse('event: put\nid: 7\ndata: {\ndata:  }\n\n: still here\n\nid: 8\n\nevent: lost\n')).toEqual([
      { id: '7', event: 'put', data: '{\n }' },
      { id: '8', event: '', data: undefined },
    ])
  })

  it('takes every line break, fields without a value, and no id with a NUL', () => {
    expect(parse('data\r\r', 'event:x\r\ndata:1\r', '\n\r\n', 'id: a\0b\ndata: 2\n\n')).toEqual([
      { id: undefined, event: '', data: '' },
      { id: undefined, event: 'x', data: '1' },
      { id: undefined, event: '', data: '2' },
    ])
  })

  it('says the same in whatever pieces it comes', () => {
    const line = constantFrom('data: x', 'data', 'event: put', 'id: 1', ': c', '', 'other: y')
    const text = array(line, { maxLength: 30 })
    const law = property(text, constantFrom('\n', '\r\n'), array(nat(8)), (lines, lineBreak, sizes) => {
      const whole = lines.join(lineBreak) + lineBreak
      const pieces: string[] = []
      let from = 0
      for (const size of sizes) pieces.push(whole.slice(from, (from += size)))
      expect(parse(...pieces, whole.slice(from))).toEqual(parse(whole))
    })
    assertProperty(law)
  })

  it('does not hold a line without end', () => {
    const parser = new EventStreamParser()
    const push = (): void => {
      for (let part = 0; part < 10; part++) parser.push('x'.repeat(100_000))
    }
    expect(push).toThrow(RangeError)
  })
})
