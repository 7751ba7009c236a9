import { encodeUtf8 } from '@grapevine/contract'
import { assert as assertProperty, constantFrom, json, oneof, property, record, string, uint8Array } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { linesOf } from '../src/lines.ts'
import { BadLineError, formatRecord, parseRecord } from '../src/record-line.ts'

const text = (value: string): Uint8Array => encodeUtf8(value) ?? new Uint8Array()

describe('a record as a line', () => {
  it('reads as it was written', () => {
    const value = oneof(
      uint8Array(),
      string().map(text),
      json().map(text),
      json().map((each) => text(` ${each}`)),
    )
    const contentType = constantFrom('application/json', 'text/plain', 'application/ld+json', 'x/y')
    const anyRecord = record({ key: uint8Array({ minLength: 1, maxLength: 30 }), value, contentType })
    assertProperty(
      property(anyRecord, ({ key, value: bytes, contentType: type }) => {
        const line = formatRecord({ key, value: bytes, contentType: type, expiresAt: undefined }, 0)
        expect(line).not.toContain('\n')
        expect(parseRecord(line)).toEqual({ key, value: Uint8Array.from(bytes), contentType: type, ttl: undefined })
      }),
    )
  })

  it('keeps what is left of its time', () => {
    const line = formatRecord(
      { key: text('k'), value: text('v'), contentType: '', expiresAt: new Date(90_000) },
      30_000,
    )
    expect(line).toBe('{"key":"k","value":"v","ttl":"1m"}')
  })

  it('stands for text, JSON or bytes', () => {
    expect(parseRecord('{"key":"k","value":"v"}')).toMatchObject({
      value: text('v'),
      contentType: 'text/plain; charset=utf-8',
    })
    expect(parseRecord('{"key":"k","value":{"x":[1]}}')).toMatchObject({
      value: text('{"x":[1]}'),
      contentType: 'application/json',
    })
    expect(parseRecord('{"key":"k","value":null}')).toMatchObject({
      value: text('null'),
      contentType: 'application/json',
    })
    expect(parseRecord('{"key":"k","value":"v","ttl":"none"}').ttl).toBe('none')
    expect(parseRecord('{"key":"k","base64":"/w==","ttl":"7d"}')).toMatchObject({
      value: Uint8Array.of(255),
      ttl: '7d',
    })
  })

  it.each([
    ['nope', 'not JSON'],
    ['[]', 'not an object'],
    ['"x"', 'not an object'],
    ['{"value":"v"}', 'no "key"'],
    ['{"key":1,"value":"v"}', '"key" must be a string'],
    ['{"key":"","value":"v"}', '0 bytes'],
    [`{"key":"${'k'.repeat(1025)}","value":"v"}`, '1025 bytes'],
    ['{"key":"\\ud800","value":"v"}', 'lone surrogate'],
    ['{"key":"=","keyEncoding":"base64url","value":"v"}', 'not base64url'],
    ['{"key":"k","keyEncoding":"hex","value":"v"}', '"keyEncoding"'],
    ['{"key":"k"}', 'either'],
    ['{"key":"k","value":"v","base64":""}', 'either'],
    ['{"key":"k","base64":"_w"}', 'not base64'],
    ['{"key":"k","value":"\\ud800"}', 'lone surrogate'],
    ['{"key":"k","value":"v","ttl":"soon"}', '"ttl"'],
    ['{"key":"k","value":"v","tll":"5s"}', '"tll"'],
  ])('is not %s', (line, message) => {
    expect(() => parseRecord(line)).toThrow(BadLineError)
    expect(() => parseRecord(line)).toThrow(message)
  })
})

describe('lines', () => {
  async function* chunks(parts: readonly string[]): AsyncGenerator<Uint8Array, void, void> {
    for (const part of parts) yield Buffer.from(part, 'latin1')
  }

  it('have their numbers, wherever the input is cut', async () => {
    const lines = []
    const bytes = Buffer.from('a\n\r\n\nbé\nlast').toString('latin1')
    for await (const line of linesOf(chunks(bytes.split('')))) lines.push(line)
    expect(lines).toEqual([
      { number: 1, text: 'a' },
      { number: 4, text: 'bé' },
      { number: 5, text: 'last' },
    ])
  })

  it('that are endless are not held', async () => {
    async function* endless(): AsyncGenerator<Uint8Array, void, void> {
      for (let count = 0; count < 26; count++) yield Buffer.alloc(1024 * 1024, 'x')
      yield Buffer.from('\nnext')
    }
    const lines = []
    for await (const line of linesOf(endless())) lines.push(line)
    expect(lines).toEqual([
      { number: 1, flaw: 'it is longer than 24 MiB' },
      { number: 2, text: 'next' },
    ])
  })
})
