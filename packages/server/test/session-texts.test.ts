import { MalformedSessionError, parseSessionText, sessionText, SessionToken } from '@grapevine/core'
import { expect, it } from 'vitest'
import { SessionTexts } from '../src/http/session-texts.ts'

const CLUSTER = '0123456789abcdef0123456789abcdef'
const WRITER = 'f'.repeat(16)
const SEEN = { version: { hlc: { wallMs: 1_000, counter: 0 }, replica: WRITER } }

/** Of a session that has written so often to each of these partitions. */
function tokenOf(partitions: number, seq: number): SessionToken {
  const token = new SessionToken(CLUSTER)
  for (let partition = 0; partition < partitions; partition++)
    token.see({ ...SEEN, keyHash: String.fromCharCode(partition), dot: { writer: WRITER, seq } })
  return token
}

it('reads a large token once, and one that it has made itself not at all', () => {
  const texts = new SessionTexts()
  const made = tokenOf(200, 7)
  const text = texts.textOf(made, undefined)
  expect(text).toBe(sessionText(made))
  expect(texts.parse(text)).toBe(made)
  const other = sessionText(tokenOf(200, 8))
  expect(texts.parse(other)).toBe(texts.parse(other))
  expect(sessionText(texts.parse(other))).toBe(other)
})

it('forgets the token that was used longest ago, and reads it again', () => {
  const texts = new SessionTexts()
  const first = texts.textOf(tokenOf(200, 1), undefined)
  const second = texts.textOf(tokenOf(200, 2), undefined)
  const known = [texts.parse(second), texts.parse(first)]
  for (let seq = 3; seq <= 65; seq++) texts.textOf(tokenOf(200, seq), undefined)
  expect(texts.parse(first)).toBe(known[1])
  expect(texts.parse(second)).not.toBe(known[0])
  expect(sessionText(texts.parse(second))).toBe(second)
})

it('remembers nothing of what it cannot read, and no small token', () => {
  const texts = new SessionTexts()
  const text = texts.textOf(tokenOf(200, 7), undefined)
  for (let again = 0; again < 2; again++)
    expect(() => texts.parse(text.replace('.', '!'))).toThrow(MalformedSessionError)
  const small = texts.textOf(tokenOf(2, 1), undefined)
  expect(texts.parse(small)).not.toBe(texts.parse(small))
  expect(sessionText(texts.parse(small))).toBe(sessionText(parseSessionText(small)))
})
