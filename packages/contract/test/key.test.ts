import { array, assert as assertProperty, integer, nat, oneof, property, string, uint8Array } from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  bytesOfKeyFields,
  decodeBase64,
  decodeBase64Url,
  decodeUtf8,
  decodeWtf8,
  encodeBase64,
  encodeBase64Url,
  encodeKeySegment,
  encodeUtf8,
  encodeWtf8,
  keyFieldsOf,
} from '@grapevine/contract'

const anyBytes = uint8Array({ maxLength: 80 })
const anyText = string({ unit: 'binary' })

/** What the server sees of a segment after `new URL`, as `fetch` uses it. */
function afterUrl(bytes: Uint8Array): Uint8Array | undefined {
  const { segment, base64url } = encodeKeySegment(bytes)
  const path = new URL(`/v1/kv/b/${segment}`, 'http://127.0.0.1').pathname
  const arrived = decodeURIComponent(path.slice('/v1/kv/b/'.length))
  return base64url ? decodeBase64Url(arrived) : encodeUtf8(arrived)
}

describe('a key', () => {
  it('arrives as the bytes it was, through a URL', () => {
    assertProperty(
      property(uint8Array({ minLength: 1, maxLength: 80 }), (bytes) => {
        expect(afterUrl(bytes)).toEqual(bytes)
      }),
    )
  })

  it.each([
    '.',
    '..',
    '%2e',
    '%2E%2e',
    'a/b',
    '/',
    '//',
    '\\',
    'a\\b',
    '\t',
    '\n',
    '\0',
    ' ',
    '?',
    '#',
    '%',
    '%zz',
    'é',
    'e\u0301',
    '\uFEFF',
    '😀',
  ])('arrives through a URL: %j', (text) => {
    const bytes = new TextEncoder().encode(text)
    expect(afterUrl(bytes)).toEqual(bytes)
  })

  it('appears as text where it can, as base64url where it cannot', () => {
    expect(keyFieldsOf(new TextEncoder().encode('é/..'))).toEqual({ key: 'é/..' })
    expect(keyFieldsOf(Uint8Array.of(0xff))).toEqual({ key: '_w', keyEncoding: 'base64url' })
    assertProperty(
      property(anyBytes, (bytes) => {
        expect(bytesOfKeyFields(keyFieldsOf(bytes))).toEqual(bytes)
      }),
    )
  })

  it('is none with a lone surrogate', () => {
    expect(bytesOfKeyFields({ key: 'a\ud800' })).toBeUndefined()
  })
})

describe('UTF-8', () => {
  it('is what the platform makes of it', () => {
    assertProperty(
      property(anyText, (text) => {
        expect(encodeUtf8(text)).toEqual(text.isWellFormed() ? new TextEncoder().encode(text) : undefined)
      }),
    )
  })

  it('is refused exactly where the platform refuses it', () => {
    const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
    const nearUtf8 = array(
      anyText.map((text) => new TextEncoder().encode(text)),
      { maxLength: 4 },
    ).map((parts) =>
      Uint8Array.from(parts.flatMap((part) => [...part])).map((byte, index) => (index % 7 === 3 ? byte ^ 0x20 : byte)),
    )
    for (const bytes of [anyBytes, nearUtf8]) {
      assertProperty(
        property(bytes, (input) => {
          expect(decodeUtf8(input)).toBe(platform(decoder, input))
        }),
        { numRuns: 2_000 },
      )
    }
  })

  it.each([
    [[0xc0, 0x80]],
    [[0xe0, 0x80, 0x80]],
    [[0xed, 0xa0, 0x80]],
    [[0xf4, 0x90, 0x80, 0x80]],
    [[0xf8]],
    [[0xe2, 0x82]],
  ])('refuses %j', (bytes) => {
    expect(decodeUtf8(Uint8Array.from(bytes))).toBeUndefined()
  })
})

describe('base64', () => {
  it('is what the platform makes of it', () => {
    assertProperty(
      property(anyBytes, (bytes) => {
        expect(encodeBase64(bytes)).toBe(Buffer.from(bytes).toString('base64'))
        expect(encodeBase64Url(bytes)).toBe(Buffer.from(bytes).toString('base64url'))
        expect(decodeBase64(encodeBase64(bytes))).toEqual(bytes)
        expect(decodeBase64Url(encodeBase64Url(bytes))).toEqual(bytes)
      }),
    )
  })

  it.each(['_x', 'A', 'AA==', 'A A', 'é', '_w=', '-_-_-'])('has one text for the same bytes: %j is none', (text) => {
    expect(decodeBase64Url(text)).toBeUndefined()
  })

  it.each(['AA', 'AB==', '====', 'A===', 'AA=A', '-_8='])('is padded: %j is none', (text) => {
    expect(decodeBase64(text)).toBeUndefined()
  })
})

function platform(decoder: InstanceType<typeof TextDecoder>, bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes)
  } catch {
    return undefined
  }
}

describe('WTF-8', () => {
  /** Halves of pairs, alone and side by side, are what it is about. */
  const anyUnits = array(oneof(nat(0xffff), integer({ min: 0xd7ff, max: 0xe000 })), { maxLength: 12 }).map((units) =>
    String.fromCharCode(...units),
  )

  it('gives every text back, and is UTF-8 where the text has that', () => {
    const law = property(anyUnits, (text) => {
      const bytes = encodeWtf8(text)
      expect(decodeWtf8(bytes)).toBe(text)
      if (text.isWellFormed()) expect(Buffer.from(text)).toEqual(Buffer.from(bytes))
    })
    assertProperty(law)
  })

  it('gives bytes back, or says that no text has them', () => {
    const anyPiece = oneof(uint8Array({ maxLength: 3 }), anyUnits.map(encodeWtf8))
    const law = property(array(anyPiece, { maxLength: 5 }), (pieces) => {
      const bytes = Uint8Array.from(pieces.flatMap((piece) => [...piece]))
      const text = decodeWtf8(bytes)
      if (text !== undefined) expect(encodeWtf8(text)).toEqual(bytes)
    })
    assertProperty(law)
    expect(decodeWtf8(Uint8Array.of(0xed, 0xa0, 0x80, 0xed, 0xb0, 0x80))).toBeUndefined()
  })
})
