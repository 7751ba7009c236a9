import * as fc from 'fast-check'
import { hash as nodeHash } from 'node:crypto'
import {
  addressOf,
  byteStringOf,
  bytesOf,
  CONTENT_TYPE_BYTES_MAX,
  COUNTER_MAX,
  KEY_BYTES_MAX,
  sealEntry,
  SEQ_MAX,
  WALL_MS_MAX,
  type Address,
  type ByteString,
  type Entry,
  type EnvelopeFields,
  type Hash,
  type Hlc,
  type Version,
} from '../../src/index.ts'

export const sha256: Hash = { sha256: (bytes) => nodeHash('sha256', bytes, 'binary') }

export const anyId: fc.Arbitrary<string> = hexadecimal(16)

export const anyHlc: fc.Arbitrary<Hlc> = fc.record({
  wallMs: fc.oneof(fc.nat(3), fc.integer({ min: 0, max: WALL_MS_MAX }), fc.constant(WALL_MS_MAX)),
  counter: fc.oneof(fc.nat(3), fc.constantFrom(COUNTER_MAX - 1, COUNTER_MAX)),
})

export const anyVersion: fc.Arbitrary<Version> = fc.record({ hlc: anyHlc, replica: anyId })

export const anyBucket: fc.Arbitrary<string> = fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,62}$/)

export const anyKey: fc.Arbitrary<ByteString> = anyBytes(1, KEY_BYTES_MAX).map(byteStringOf)

export const anyAddress: fc.Arbitrary<Address> = fc
  .tuple(anyBucket, anyKey)
  .map(([bucket, key]) => addressOf(bucket, key))

export const anyFields: fc.Arbitrary<EnvelopeFields> = fc
  .record({
    address: anyAddress,
    version: anyVersion,
    dot: fc.record({
      writer: anyId,
      seq: fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: SEQ_MAX }), fc.constant(SEQ_MAX)),
    }),
    expiresAtMs: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: WALL_MS_MAX }), fc.constant(WALL_MS_MAX)),
    contentType: anyBytes(0, CONTENT_TYPE_BYTES_MAX).map(byteStringOf),
    value: fc.option(anyBytes(0, 600), { nil: undefined }),
    name: fc.option(
      fc.record({ id: anyBytes(16, 16).map(byteStringOf), fingerprint: anyBytes(8, 8).map(byteStringOf) }),
      { nil: undefined },
    ),
  })
  .map((fields) => ({ ...fields, keyHash: keyHashOf(fields.address) }))

export const anyEntry: fc.Arbitrary<Entry> = anyFields.map((fields) => sealEntry(fields, sha256))

/** An entry of which nothing matters but what a test says. */
export function entryWith(fields: Partial<EnvelopeFields> = {}): Entry {
  const address = fields.address ?? addressOf('things', 'a')
  return sealEntry(
    {
      version: { hlc: { wallMs: 1_000, counter: 0 }, replica: 'b'.repeat(16) },
      dot: { writer: 'c'.repeat(16), seq: 1 },
      expiresAtMs: 0,
      contentType: 'text/plain',
      value: bytesOf('value'),
      ...fields,
      address,
      keyHash: keyHashOf(address),
    },
    sha256,
  )
}

/** All fields of an entry as plain data, whether it holds them or works them out. */
export function fieldsOf(entry: Entry | undefined): Entry | undefined {
  if (entry === undefined) return undefined
  const { address, keyHash, version, dot, expiresAtMs, contentType, value, name, hash, envelope } = entry
  return { address, keyHash, version, dot, expiresAtMs, contentType, value, name, hash, envelope }
}

export function keyHashOf(address: Address): string {
  return sha256.sha256(bytesOf(address))
}

function anyBytes(minLength: number, maxLength: number): fc.Arbitrary<Uint8Array> {
  return fc.uint8Array({ minLength, maxLength })
}

function hexadecimal(digits: number): fc.Arbitrary<string> {
  return fc
    .uint8Array({ minLength: digits / 2, maxLength: digits / 2 })
    .map((bytes) => Buffer.from(bytes).toString('hex'))
}
