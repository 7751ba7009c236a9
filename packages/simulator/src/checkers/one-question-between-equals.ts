import type { CheckerKind } from './checker-kind.ts'

/**
 * A batch is on the disk before its node is told so, and only then is it in the node's tree: with a slow disk much later.
 */
const COUNTED_AFTER_MS = 2_000

export const oneQuestionBetweenEquals: CheckerKind = {
  name: 'one-question-between-equals',
  guards: 'P3, F15, F19',
  asserts:
    'An exchange that found its two nodes equal took one question, or one more each time that a frontier moved meanwhile, if neither stored anything while it lasted or in the 2 s before (otherwise they may have become equal on the way). ' +
    'Where the disk is not seen or the beginning is not known, this is judged at the audit only.',
  watch(complain, { diskIsSeen }) {
    const storedAtMs = new Map<string, number>()
    let isAudit = false
    return {
      phase({ phase }) {
        isAudit = phase === 'audit'
      },
      stored: ({ node, atMs }) => void storedAtMs.set(node, atMs),
      purged: ({ node, atMs }) => void storedAtMs.set(node, atMs),
      exchange({ atMs, node, peer, result, questions, walks = 1, startedAtMs }) {
        if (result !== 'equal') return
        const wasQuiet = (name: string): boolean =>
          startedAtMs !== undefined &&
          (storedAtMs.get(name) ?? Number.NEGATIVE_INFINITY) + COUNTED_AFTER_MS < startedAtMs
        const isJudged = isAudit || (diskIsSeen && wasQuiet(node) && wasQuiet(peer))
        if (questions < 1 || (isJudged && questions > walks))
          complain({
            atMs,
            node,
            message: `${node} found itself equal to ${peer} after ${questions} question(s) instead of one`,
          })
      },
    }
  },
}
