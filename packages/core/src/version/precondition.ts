import { isVisible, type Entry } from '../record/entry.ts'
import { etagOf } from './version.ts'

/** What must hold for the key, on the node where the write lands, for the write to be made (RFC 9110 §13). */
export type Precondition =
  /** `If-Match: *`: there is a value. */
  | { readonly kind: 'present' }
  /** `If-None-Match: *`: there is none. A tombstone and an expired value are none. */
  | { readonly kind: 'absent' }
  /** `If-Match: "…"`: the value has one of these versions. */
  | { readonly kind: 'one-of'; readonly etags: readonly string[] }

export function isMet(precondition: Precondition, held: Entry | undefined, wallMs: number): boolean {
  const visible = held !== undefined && isVisible(held, wallMs)
  switch (precondition.kind) {
    case 'present':
      return visible
    case 'absent':
      return !visible
    case 'one-of':
      return visible && precondition.etags.includes(etagOf(held.version))
  }
}
