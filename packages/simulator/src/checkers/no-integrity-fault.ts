import type { CheckerKind } from './checker-kind.ts'

export const noIntegrityFault: CheckerKind = {
  name: 'no-integrity-fault',
  guards: 'P11, R19',
  asserts: 'No node finds equal vectors with unequal roots, unless some disk was damaged or rolled back before.',
  watch(complain) {
    let wasDamaged = false
    return {
      fault({ disk }) {
        wasDamaged ||= disk !== undefined
      },
      'integrity-fault'({ atMs, node, peer }) {
        if (wasDamaged) return
        complain({
          atMs,
          node,
          message: `${node} and ${peer} have equal vectors and unequal roots, and no disk was damaged`,
        })
      },
    }
  },
}
