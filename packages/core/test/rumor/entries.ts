import type { Entry } from '../../src/index.ts'

/** An entry as the mill sees it: what else it holds does not matter there. */
export function entryOf(key: string, counter: number, bytes = 100): Entry {
  return {
    address: `test\0${key}`,
    keyHash: '',
    version: { hlc: { wallMs: 1, counter }, replica: '0000000000000001' },
    dot: { writer: '0000000000000002', seq: 1 },
    expiresAtMs: 0,
    contentType: '',
    value: undefined,
    name: undefined,
    hash: `${key}@${counter}`,
    envelope: new Uint8Array(bytes),
  }
}
