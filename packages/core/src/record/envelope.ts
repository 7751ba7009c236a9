import { byteStringOf, readHex, startsWithByteString, writeByteString, writeHex } from '../bytes/latin1.ts'
import type { Hash } from '../ports.ts'
import type { Dot, Version } from '../version/version.ts'
import { isAddress, type Address } from './address.ts'
import type { Digest, Entry } from './entry.ts'
import { FINGERPRINT_BYTES, WRITE_ID_BYTES, type WriteName } from './write-name.ts'

/**
 * The envelope: the one form in which an entry is stored, sent and hashed (docs/format.md).
 *
 * ```
 *  0  32  SHA-256 of all that follows (the body): checksum, entry hash and last tie-break in one
 * 32   1  format: 1, or 2 when the write has a name
 * 33   1  kind: 0 value, 1 tombstone
 * 34   8  hlc: 48 bits of milliseconds, 16 of counter, big-endian
 * 42   8  replica id
 * 50   8  writer id
 * 58   6  seq, big-endian
 * 64   6  expiry in milliseconds since 1970, big-endian, 0 for never
 * 70   2  length of the address
 * 72   2  length of the content type
 * 74  24  in format 2 only: write id (16), fingerprint of the request (8)
 * 74      or 98: address, content type (UTF-8 checked at the border, ASCII), value
 * ```
 *
 * The address is inside, so that a row that was swapped with another one is as corrupt as a flipped bit.
 */
export const ENVELOPE_FORMAT = 1
/** Of writes with a name alone: what has none is, to the byte, what it was before there were names. */
export const ENVELOPE_FORMAT_NAMED = 2
export const ENVELOPE_HEADER_BYTES = 74
const NAME_BYTES = WRITE_ID_BYTES + FINGERPRINT_BYTES
const HASH_BYTES = 32
const SEQ_AT = 58
const TOMBSTONE = 1
export const CONTENT_TYPE_BYTES_MAX = 255

export interface EnvelopeFields {
  readonly address: Address
  readonly keyHash: Digest
  readonly version: Version
  readonly dot: Dot
  readonly expiresAtMs: number
  readonly contentType: string
  readonly value: Uint8Array | undefined
  readonly name?: WriteName | undefined
}

export function sealEntry(fields: EnvelopeFields, hash: Hash): Entry {
  const { address, version, dot, expiresAtMs, contentType, value, name } = fields
  const addressAt = ENVELOPE_HEADER_BYTES + (name === undefined ? 0 : NAME_BYTES)
  const valueAt = addressAt + address.length + contentType.length
  const envelope = allocate(valueAt + (value?.length ?? 0))
  envelope[32] = name === undefined ? ENVELOPE_FORMAT : ENVELOPE_FORMAT_NAMED
  envelope[33] = value === undefined ? TOMBSTONE : 0
  writeUint48(envelope, 34, version.hlc.wallMs)
  writeUint16(envelope, 40, version.hlc.counter)
  writeHex(envelope, 42, version.replica)
  writeHex(envelope, 50, dot.writer)
  writeUint48(envelope, SEQ_AT, dot.seq)
  writeUint48(envelope, 64, expiresAtMs)
  writeUint16(envelope, 70, address.length)
  writeUint16(envelope, 72, contentType.length)
  if (name !== undefined) writeByteString(envelope, ENVELOPE_HEADER_BYTES, name.id + name.fingerprint)
  writeByteString(envelope, addressAt, address)
  writeByteString(envelope, addressAt + address.length, contentType)
  if (value !== undefined) envelope.set(value, valueAt)
  const digest = hash.sha256(envelope.subarray(HASH_BYTES))
  writeByteString(envelope, 0, digest)
  return new EnvelopeEntry(envelope, address, digest, hash, fields)
}

const SLAB_BYTES = 64 * 1024
/** An entry that is kept keeps its whole slab, so only small envelopes share one. */
const SLAB_ENVELOPE_BYTES_MAX = 2 * 1024
let slab: Uint8Array = new Uint8Array(SLAB_BYTES)
let slabUsed = 0

/** Memory of an envelope's own costs the platform more than filling it: small ones are cut from slabs. */
function allocate(bytes: number): Uint8Array {
  if (bytes > SLAB_ENVELOPE_BYTES_MAX) return new Uint8Array(bytes)
  if (slabUsed + bytes > SLAB_BYTES) {
    slab = new Uint8Array(SLAB_BYTES)
    slabUsed = 0
  }
  const envelope = slab.subarray(slabUsed, slabUsed + bytes)
  slabUsed += bytes
  return envelope
}

/**
 * Reads an envelope, or returns `undefined` when its checksum, its lengths or any field is wrong. The entry
 * keeps views of `envelope`, which must not change afterwards.
 */
export function openEnvelope(envelope: Uint8Array, hash: Hash): Entry | undefined {
  if (envelope.length < ENVELOPE_HEADER_BYTES) return undefined
  const digest = hash.sha256(envelope.subarray(HASH_BYTES))
  if (!startsWithByteString(envelope, 0, digest)) return undefined
  const format = envelope[32]
  const kind = envelope[33]
  const addressAt = addressAtOf(envelope)
  const contentTypeAt = addressAt + readUint16(envelope, 70)
  const contentTypeBytes = readUint16(envelope, 72)
  const valueAt = contentTypeAt + contentTypeBytes
  if (format !== ENVELOPE_FORMAT && format !== ENVELOPE_FORMAT_NAMED) return undefined
  if (kind === undefined || kind > TOMBSTONE) return undefined
  if (contentTypeBytes > CONTENT_TYPE_BYTES_MAX || valueAt > envelope.length) return undefined
  if (kind === TOMBSTONE && valueAt !== envelope.length) return undefined
  if (readUint48(envelope, SEQ_AT) < 1) return undefined
  const address = byteStringOf(envelope.subarray(addressAt, contentTypeAt))
  if (!isAddress(address)) return undefined
  return new EnvelopeEntry(envelope, address, digest, hash)
}

function addressAtOf(envelope: Uint8Array): number {
  return ENVELOPE_HEADER_BYTES + (envelope[32] === ENVELOPE_FORMAT_NAMED ? NAME_BYTES : 0)
}

/**
 * An entry as a view of its envelope, so that what a caller does to its own buffer later changes nothing here. What
 * most readers do not look at is worked out for those who do.
 */
class EnvelopeEntry implements Entry {
  readonly envelope: Uint8Array
  readonly address: Address
  readonly hash: Digest
  readonly #hash: Hash
  #keyHash: Digest | undefined
  #version: Version | undefined
  #dot: Dot | undefined
  #value: Uint8Array | undefined

  /** @param known what the sealing side has at hand already. */
  constructor(
    envelope: Uint8Array,
    address: Address,
    digest: Digest,
    hash: Hash,
    known?: Pick<EnvelopeFields, 'keyHash' | 'version' | 'dot'>,
  ) {
    this.envelope = envelope
    this.address = address
    this.hash = digest
    this.#hash = hash
    this.#keyHash = known?.keyHash
    this.#version = known?.version
    this.#dot = known?.dot
  }

  get keyHash(): Digest {
    const { envelope, address } = this
    const addressAt = addressAtOf(envelope)
    return (this.#keyHash ??= this.#hash.sha256(envelope.subarray(addressAt, addressAt + address.length)))
  }

  get name(): WriteName | undefined {
    const { envelope } = this
    if (envelope[32] !== ENVELOPE_FORMAT_NAMED) return undefined
    const fingerprintAt = ENVELOPE_HEADER_BYTES + WRITE_ID_BYTES
    return {
      id: byteStringOf(envelope.subarray(ENVELOPE_HEADER_BYTES, fingerprintAt)),
      fingerprint: byteStringOf(envelope.subarray(fingerprintAt, fingerprintAt + FINGERPRINT_BYTES)),
    }
  }

  get version(): Version {
    const { envelope } = this
    return (this.#version ??= {
      hlc: { wallMs: readUint48(envelope, 34), counter: readUint16(envelope, 40) },
      replica: readHex(envelope, 42, 8),
    })
  }

  get dot(): Dot {
    return (this.#dot ??= { writer: readHex(this.envelope, 50, 8), seq: readUint48(this.envelope, SEQ_AT) })
  }

  get expiresAtMs(): number {
    return readUint48(this.envelope, 64)
  }

  get value(): Uint8Array | undefined {
    const { envelope, address } = this
    if (envelope[33] === TOMBSTONE) return undefined
    return (this.#value ??= envelope.subarray(addressAtOf(envelope) + address.length + readUint16(envelope, 72)))
  }

  get contentType(): string {
    const from = addressAtOf(this.envelope) + this.address.length
    return byteStringOf(this.envelope.subarray(from, from + readUint16(this.envelope, 72)))
  }
}

export function writeUint16(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value >>> 8
  bytes[offset + 1] = value
}

export function readUint16(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset] ?? 0) << 8) | (bytes[offset + 1] ?? 0)
}

/** 48 bits are more than a bitwise operator takes, so the upper 16 and the lower 32 go separately. */
export function writeUint48(bytes: Uint8Array, offset: number, value: number): void {
  const upper = Math.floor(value / 2 ** 32)
  const lower = value >>> 0
  writeUint16(bytes, offset, upper)
  writeUint16(bytes, offset + 2, lower >>> 16)
  writeUint16(bytes, offset + 4, lower & 0xffff)
}

export function readUint48(bytes: Uint8Array, offset: number): number {
  return readUint16(bytes, offset) * 2 ** 32 + readUint16(bytes, offset + 2) * 2 ** 16 + readUint16(bytes, offset + 4)
}
