import { Audit } from './audit.ts'
import type { CheckerKind } from './checker-kind.ts'
import { HealingDeadline } from './healing-deadline.ts'
import { NodeLives } from './node-lives.ts'

export const convergenceInTime: CheckerKind = {
  name: 'convergence-in-time',
  guards: 'P3, F19',
  asserts:
    'Once healing has begun, no node that is not away stores anything after the deadline, which counts from the last node that is back, except entries that it had parked; each that runs is ready by the audit; ' +
    'and while nothing is written, traffic stays at its idle rate.',
  watch(complain) {
    const lives = new NodeLives()
    const audit = new Audit(lives)
    const parked = new Map<string, number>()
    let deadline: HealingDeadline | undefined
    return {
      first(event) {
        lives.see(event)
        audit.see(event)
      },
      phase(event) {
        if (event.phase === 'heal')
          deadline = event.deadlineMs === undefined ? undefined : new HealingDeadline(event.atMs, event.deadlineMs)
        if (event.phase === 'chaos') deadline = undefined
        if (event.phase !== 'audit') return
        for (const node of lives.names)
          if (lives.isUp(node) && !lives.isServing(node) && !audit.isAway(node))
            complain({ atMs: event.atMs, node, message: `${node} runs and is not ready at the end of healing` })
      },
      process({ atMs, what }) {
        if (what === 'started') deadline?.started(atMs)
      },
      queue({ node, name, length }) {
        if (name === 'parked') parked.set(node, length)
      },
      stored({ atMs, node, key, version }) {
        if (deadline === undefined || atMs <= deadline.atMs || audit.isAway(node)) return
        if ((parked.get(node) ?? 0) > 0) return
        const lateMs = atMs - deadline.atMs
        complain({ atMs, node, key, message: `${node} stores ${version} ${lateMs} ms after all should have agreed` })
      },
      idle({ atMs, framesPerNodeSecond: rate, framesPerNodeSecondMax: rateMax }) {
        if (rate <= rateMax) return
        const message = `with nothing to do, a node sends ${rate} frames a second; ${rateMax} are permitted`
        complain({ atMs, message })
      },
    }
  },
}
