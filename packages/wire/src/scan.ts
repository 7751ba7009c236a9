import { MalformedMessageError } from '@grapevine/core'

/** Our deepest message nests 7 arrays. */
const DEPTH_MAX = 16
/**
 * What decoding may make of a message: so many bytes of memory for each of its own. Lists of short hashes need 7, and what
 * members say of themselves under short names up to 16. 256 empty vectors or tree nodes fit the slack; a message of nothing
 * but short texts would need 24, one of empty arrays 40.
 */
const MEMORY_PER_BYTE = 16
const MEMORY_SLACK = 65_536
/** About what V8 and Node take for an empty one, and for each element's place. */
const ARRAY_MEMORY = 40
const BYTES_MEMORY = 64
const ELEMENT_MEMORY = 8

/**
 * Looks through a msgpack message before it is decoded: every length that is claimed must be there, and there is
 * nothing but arrays, numbers, text, bytes, booleans and nil. A decoder would allocate what five bytes claim
 * and would make objects of types that we never send.
 * @throws {MalformedMessageError}
 */
export function scanMessage(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  /** Elements that are still to come, of each array that is open. */
  const open: number[] = [1]
  let at = 0
  let memory = 0

  const spend = (bytesOfMemory: number): void => {
    memory += bytesOfMemory
    if (memory > bytes.length * MEMORY_PER_BYTE + MEMORY_SLACK)
      throw new MalformedMessageError('a message would take far more memory than it has bytes')
  }
  const skip = (count: number): void => {
    at += count
    if (at > bytes.length) throw new MalformedMessageError('a message ends early')
  }
  const length = (lengthBytes: 1 | 2 | 4): number => {
    const from = at
    skip(lengthBytes)
    return lengthBytes === 1 ? view.getUint8(from) : lengthBytes === 2 ? view.getUint16(from) : view.getUint32(from)
  }
  const enter = (elements: number): void => {
    // Each element takes a byte at the least, so a claim beyond what remains is a lie.
    if (elements > bytes.length - at)
      throw new MalformedMessageError('a message claims more elements than it has bytes')
    if (open.length >= DEPTH_MAX) throw new MalformedMessageError('a message is nested too deeply')
    spend(ARRAY_MEMORY + elements * ELEMENT_MEMORY)
    open.push(elements)
  }
  const pass = (payload: number): void => {
    spend(BYTES_MEMORY)
    skip(payload)
  }

  while (open.length > 0) {
    const last = open.length - 1
    const left = open[last] ?? 0
    if (left === 0) {
      open.pop()
      continue
    }
    open[last] = left - 1
    const type = length(1)
    if (type <= 0x7f || type >= 0xe0) continue
    if (type >= 0x90 && type <= 0x9f) enter(type & 0x0f)
    else if (type >= 0xa0 && type <= 0xbf) pass(type & 0x1f)
    else scanLong(type)
  }
  if (at !== bytes.length) throw new MalformedMessageError('a message has trailing bytes')

  function scanLong(type: number): void {
    switch (type) {
      case 0xc0: // nil
      case 0xc2: // false
      case 0xc3: // true
        return
      case 0xc4: // bin 8
      case 0xd9: // str 8
        return pass(length(1))
      case 0xc5: // bin 16
      case 0xda: // str 16
        return pass(length(2))
      case 0xc6: // bin 32
      case 0xdb: // str 32
        return pass(length(4))
      case 0xcc: // uint 8
      case 0xd0: // int 8
        return skip(1)
      case 0xcd: // uint 16
      case 0xd1: // int 16
        return skip(2)
      case 0xca: // float 32
      case 0xce: // uint 32
      case 0xd2: // int 32
        return skip(4)
      case 0xcb: // float 64
      case 0xcf: // uint 64
      case 0xd3: // int 64
        return skip(8)
      case 0xdc: // array 16
        return enter(length(2))
      case 0xdd: // array 32
        return enter(length(4))
      default:
        throw new MalformedMessageError(`a message holds a type that we never send: 0x${type.toString(16)}`)
    }
  }
}
