import {
  judge,
  RefusalError,
  standingOf,
  type Answer,
  type Identity,
  type Question,
  type QuestionHeader,
  type QuestionName,
  type Refusal,
  type ReplicaId,
} from '@grapevine/core'
import { refusedWhilePaused } from './answer.ts'
import { hello } from './join.ts'
import { JoinTickets } from './join-tickets.ts'
import type { MemberParts } from './member-parts.ts'
import type { ReplicaLife } from './replica-life.ts'
import type { ReplicaOptions } from './replica-options.ts'
import { NOBODY } from './replica-status.ts'
import { rolledBackError } from './rollback-watch.ts'
import { sponsor } from './sponsor.ts'

/** What other replicas see of this one: who it is, whom it answers, and what. */
export class PeerFace {
  readonly #options: ReplicaOptions
  readonly #life: ReplicaLife
  readonly #tickets: JoinTickets

  constructor(options: ReplicaOptions, life: ReplicaLife) {
    this.#options = options
    this.#life = life
    this.#tickets = new JoinTickets(options)
  }

  /** Empty texts before this node belongs to a cluster. */
  get identity(): Identity {
    return this.#life.identity ?? NOBODY
  }

  judge(header: QuestionHeader): Refusal | undefined {
    const { own, identity } = this.#life
    if (own.readiness.isOut) return 'failed'
    return judge(header, identity, own.committer.state.roster)
  }

  async answer<Name extends QuestionName>(
    { from }: QuestionHeader,
    name: Name,
    question: Question<Name>,
  ): Promise<Answer<Name>> {
    const { own, isPaused } = this.#life
    if (name === 'hello') return this.#hello()
    const member = this.#life.memberOrRefuse()
    // TypeScript does not follow a generic name to its question, nor through a table: hence the casts.
    if (name === 'join') return this.#sponsor(question as Question<'join'>, member)
    if (name === 'forgotten') return this.#hearThatItForgot(from)
    // Its directory may be open again in the next run already, which must not take this one for a twin.
    if (name === 'time' && own.readiness.isStopping) throw new RefusalError('busy', 'this node is stopping')
    // Whoever leaves has said what it holds, and somebody else holds that: nobody must count on more of it.
    if (name === 'rumors' && own.readiness.isLeaving) throw new RefusalError('paused', 'this node is leaving')
    if (refusedWhilePaused(name, isPaused)) throw new RefusalError('paused', `${name} is paused on this node`)
    member.detector.heardFrom(from)
    const answerers: Readonly<Record<string, unknown>> = member.answerers
    const answerer = answerers[name] as (question: Question<Name>, from: ReplicaId) => Promise<Answer<Name>>
    return answerer(question, from)
  }

  #hello(): Answer<'hello'> {
    const identity = this.#life.identity
    return {
      cluster: identity?.cluster ?? '',
      replica: identity?.replica ?? '',
      name: this.#options.self.name,
      member: this.#life.own.readiness.problem === undefined,
      ticket: this.#tickets.issue(),
    }
  }

  #sponsor(question: Question<'join'>, member: MemberParts): Promise<Answer<'join'>> {
    if (!this.#tickets.redeem(question.ticket))
      throw new RefusalError('busy', 'this request to join is an old one, or asked elsewhere: say hello, and ask again')
    // A joiner would lose its sponsor, and have to begin anew.
    if (this.#life.own.readiness.isLeaving) throw new RefusalError('busy', 'this node is leaving')
    return sponsor(question, {
      state: () => this.#life.own.committer.state,
      detector: member.detector,
      mayIntroduce: () => member.strangers.mayIntroduce,
      changeMembership: this.#life.own.changeMembership,
      publishToAll: () => this.#life.own.rounds.run('publish', member.publishToAll),
      hello: (address) =>
        hello(address, {
          transport: this.#options.transport,
          peerTimeoutMs: this.#options.settings.peerTimeoutMs,
        }),
    })
  }

  /** By somebody who was a member here once, as only his own word says: no harm comes of it where he still is. */
  #hearThatItForgot(from: ReplicaId): Answer<'forgotten'> {
    const { state } = this.#life.own.committer
    if (state.identity === undefined || standingOf(state.roster, from) !== 'stranger') return {}
    this.#life.fail(rolledBackError(this.#options.self.name))
    throw new RefusalError('failed', 'the directory of this node was rolled back')
  }
}
