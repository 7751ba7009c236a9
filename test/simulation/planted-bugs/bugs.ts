/** A mistake that somebody might make in the product, as a change of its source. */
export interface PlantedBug {
  readonly name: string
  /** Whether a run of the swarm shows it, or a scenario of its own (in `scenarios`). */
  readonly scenario?: object
  /** Below the repository's top. */
  readonly file: string
  /** This text, which stands there once … */
  readonly find: string
  /** … becomes this one. */
  readonly replace: string
  /** Checkers of which at least one must object. */
  readonly foundBy: readonly string[]
}

/** How many seeds it may take to find one. */
export const SEEDS_MAX = 200

const TWO_CLUSTERS = [
  { name: 'a1', cluster: 'a' },
  { name: 'a2', cluster: 'a' },
  { name: 'b1', cluster: 'b' },
  { name: 'b2', cluster: 'b' },
]

export const PLANTED_BUGS: readonly PlantedBug[] = [
  {
    name: 'a group is told before it is on disk, and the next is sent while it is on its way',
    file: 'packages/replica/src/committer.ts',
    find: 'const failure = await flight.landed',
    replace: 'const failure = flight.hasLanded ? await flight.landed : undefined',
    foundBy: ['honest-acknowledgements', 'nothing-acknowledged-forgotten', 'nothing-durable-lost'],
  },
  {
    name: 'batches are not synced',
    file: 'packages/storage/src/level-store.ts',
    find: 'await rows.write({ sync: true })',
    replace: 'await rows.write({ sync: false })',
    foundBy: ['honest-acknowledgements', 'nothing-acknowledged-forgotten', 'nothing-durable-lost'],
  },
  {
    name: 'a poisoned handle is used on',
    file: 'packages/storage/src/level-store.ts',
    find: '    await this.#db.close().catch(() => {})\n    const { db, loaded } = await openAndLoad(this.#options)',
    replace: '    const db = this.#db\n    const loaded = await load(db, this.#options.hash)',
    foundBy: ['honest-acknowledgements', 'nothing-acknowledged-forgotten', 'nothing-durable-lost', 'convergence'],
  },
  {
    name: 'what was planned on top of a failed group is told as done',
    file: 'packages/replica/src/committer.ts',
    find: '      this.#queue.unshift(...draft.arrivals)\n',
    replace: '      for (const tell of draft.finish().tell) tell()\n',
    scenario: {
      description: 'Many clients, a slow disk, and one that fails now and then.',
      nodes: 3,
      chaosMs: 20_000,
      disk: { writeMs: 20 },
      workload: { clients: 30, thinkMs: 20, readShare: 0 },
      faults: [8_000, 10_000, 12_000, 14_000, 16_000].map((atMs) => ({ atMs, kind: 'sync-error', node: '*' })),
    },
    foundBy: ['honest-acknowledgements', 'nothing-acknowledged-forgotten'],
  },
  {
    name: 'a write of a failed batch is called not applied',
    file: 'packages/replica/src/committer.ts',
    find: "arrival.fail({ outcome: 'unknown', cause: failure.error })",
    replace: "arrival.fail({ outcome: 'not-applied', cause: failure.error })",
    foundBy: ['nothing-refused-visible'],
  },
  {
    name: 'the wall clock makes versions',
    file: 'packages/core/src/clock/hybrid-clock.ts',
    find: '    this.#now = laterHlc(least, wall)\n    return this.#now',
    replace: '    this.#now = laterHlc(this.#now, wall)\n    return least === wall ? least : wall',
    foundBy: ['ordered-updates', 'causality', 'one-winner', 'nothing-acknowledged-forgotten'],
  },
  {
    name: 'the clock is not reserved on disk',
    file: 'packages/replica/src/commit-plan.ts',
    find: 'const reserve = state.clock.reserveFor(this.#wallMs)',
    replace: 'const reserve = undefined as Hlc | undefined',
    foundBy: ['causality', 'ordered-updates'],
  },
  {
    name: 'the clock does not rise to what comes in',
    file: 'packages/replica/src/commit-plan.ts',
    find: '    this.#context.state.clock.witness(entry.version.hlc)\n',
    replace: '',
    foundBy: ['causality'],
  },
  {
    name: 'a writer is not drawn anew at each start',
    file: 'packages/replica/src/committer.ts',
    find: 'new ReplicaState(store.state, random.hex(8), hash)',
    replace: 'new ReplicaState(store.state, store.state.identity?.replica ?? random.hex(8), hash)',
    foundBy: ['no-dot-twice'],
  },
  {
    name: 'the last to come wins',
    file: 'packages/core/src/version/admit.ts',
    find: "return order > 0 ? 'news' : order === 0 ? 'known' : 'superseded'",
    replace: "return order === 0 ? 'known' : 'news'",
    foundBy: ['nothing-durable-lost', 'agreement', 'nothing-deleted-returns'],
  },
  {
    name: 'a tombstone loses against a value',
    file: 'packages/core/src/version/admit.ts',
    find: 'const order = compareEntries(entry, held)',
    replace: 'const order = entry.value === undefined && held.value !== undefined ? -1 : compareEntries(entry, held)',
    foundBy: ['agreement', 'nothing-acknowledged-forgotten', 'nothing-deleted-returns'],
  },
  {
    name: 'an answer that was cut short claims all the same (R8)',
    file: 'packages/replica/src/local-answers.ts',
    find: 'if (isFull() || entries.length >= RUMORS_PER_QUESTION_MAX) return { ...moment, entries, claims }',
    replace:
      'if (entries.length >= 4) return { ...moment, entries, claims: vectors.map(([asked], at) => [asked, rows[at] ?? []] as const) }',
    foundBy: ['agreement', 'nothing-acknowledged-forgotten', 'no-integrity-fault'],
  },
  {
    name: 'a vector is adopted although an entry was parked (R7)',
    file: 'packages/replica/src/intake.ts',
    find: 'const isClaimInTime = early.length === 0 && theirClock.wallMs <= wallMs + driftMs',
    replace: 'const isClaimInTime = true',
    scenario: {
      description: 'The clock of one node is half a minute ahead, and everybody else parks what it writes.',
      nodes: [{ name: 'n1' }, { name: 'n2' }, { name: 'n3', clockOffsetMs: 30_000 }],
      chaosMs: 20_000,
      workload: { thinkMs: 200 },
    },
    foundBy: ['agreement', 'no-integrity-fault', 'nothing-acknowledged-forgotten'],
  },
  {
    name: 'what is beyond the drift is taken in at once (R3)',
    file: 'packages/core/src/version/admit.ts',
    find: 'return entry.version.hlc.wallMs > wallMs + driftMs',
    replace: 'return entry.version.hlc.wallMs > wallMs + driftMs + 3_600_000',
    scenario: {
      description: 'The clock of one node is half a minute ahead.',
      nodes: [{ name: 'n1' }, { name: 'n2' }, { name: 'n3', clockOffsetMs: 30_000 }],
      chaosMs: 20_000,
      workload: { thinkMs: 200 },
    },
    foundBy: ['bounded-drift'],
  },
  {
    name: 'whoever asks is answered, also from another cluster',
    file: 'packages/core/src/membership/judge.ts',
    find: "if (cluster !== identity.cluster && !(cluster === '' && isForAnybody)) return 'wrong-cluster'",
    replace: "if (cluster !== '') return undefined",
    scenario: {
      description: 'A node of one cluster comes to live where a member of another one lived.',
      nodes: TWO_CLUSTERS,
      chaosMs: 20_000,
      workload: { thinkMs: 200 },
      faults: [{ atMs: 8_000, kind: 'take-address', node: 'b2', of: 'a2', forMs: 500 }],
    },
    foundBy: ['isolation'],
  },
  {
    name: 'frames to another replica are answered',
    file: 'packages/core/src/membership/judge.ts',
    find: "if (to !== identity.replica && !(to === '' && isForAnybody)) return 'wrong-replica'",
    replace: "if (to === '' && !isForAnybody) return 'wrong-replica'",
    foundBy: ['isolation'],
  },
  {
    name: 'an overwritten entry stays in the sum of its leaf',
    file: 'packages/replica/src/commit-plan.ts',
    find: '      subtractDigest(sum, entryDigest({ keyHash: entry.keyHash, hash: before.hash }, hash))\n',
    replace: '',
    foundBy: ['tree-equals-data'],
  },
  {
    name: 'the tree is not in the batch that changes the data',
    file: 'packages/storage/src/journal.ts',
    find: 'for (const { leaf, sum } of leaves) writer.uint16(leaf).bytes(sum)',
    replace: 'for (const { leaf } of leaves) writer.uint16(leaf).bytes(new Uint8Array(SUM_BYTES))',
    foundBy: ['tree-equals-data', 'agreement'],
  },
  {
    name: 'the journal is not replayed at opening',
    file: 'packages/storage/src/level-store.ts',
    find: '    replayJournal(openRow(row, hash, `journal row ${number}`), target)\n',
    replace: '',
    foundBy: ['tree-equals-data', 'agreement'],
  },
  {
    name: 'an entry of another replica gets no row in the dot index',
    file: 'packages/storage/src/level-store.ts',
    find: '      rows.put(dotRow(partition, after.dot), address, READ)\n',
    replace: '      if (before === undefined) rows.put(dotRow(partition, after.dot), address, READ)\n',
    foundBy: ['agreement', 'no-integrity-fault', 'nothing-acknowledged-forgotten'],
  },
  {
    name: 'a rumor is acknowledged before it is on disk',
    file: 'packages/replica/src/answer.ts',
    find: "const fates = await intake.takeIn({ entries, source: 'rumor', from })",
    replace:
      "void intake.takeIn({ entries, source: 'rumor', from }).catch(() => {})\n      const fates = entries.map(() => 'known' as const)",
    foundBy: ['honest-acknowledgements'],
  },
  {
    name: 'a quorum is half',
    file: 'packages/core/src/quorum/tally.ts',
    find: "return w === 'quorum' ? Math.floor(members / 2) + 1 : w",
    replace: "return w === 'quorum' ? Math.floor(members / 2) : w",
    foundBy: ['honest-acknowledgements'],
  },
  {
    name: 'a condition is checked against what was there before the group',
    file: 'packages/replica/src/commit-plan.ts',
    find: '!isMet(write.precondition, held, wallMs)',
    replace: '!isMet(write.precondition, this.#before.get(write.address) as Entry | undefined, wallMs)',
    scenario: {
      description: 'Everybody wants to change the same key, on condition that it is as they saw it.',
      nodes: 3,
      chaosMs: 15_000,
      disk: { writeMs: 20 },
      workload: { clients: 30, thinkMs: 20, hotShare: 1, hotKeys: 1, readShare: 0.5, preconditionShare: 1 },
    },
    foundBy: ['ordered-updates'],
  },
  {
    name: 'probes do not wait for their interval',
    file: 'packages/replica/src/membership/failure-detector.ts',
    find: 'this.#nextProbeMs = nowMs + this.#options.probe.intervalMs * this.#health.multiplier',
    replace: 'this.#nextProbeMs = nowMs',
    foundBy: ['convergence-in-time'],
  },
  {
    name: 'whoever is thought dead is not looked for any more',
    file: 'packages/core/src/membership/member-list.ts',
    find: '  if (Math.abs(step) > INCARNATION_STEP_MAX) return isInPerson\n',
    replace: "  if (held.state === 'dead') return false\n",
    foundBy: ['membership', 'convergence', 'convergence-in-time'],
  },
  {
    name: 'the walk forgets the last leaf that differs',
    file: 'packages/replica/src/anti-entropy-round.ts',
    find: '  return level.map(({ index }) => index)',
    replace: '  return level.slice(0, -1).map(({ index }) => index)',
    scenario: {
      description: 'Trees alone repair: nothing is pulled, and one node hears no rumors for a while.',
      nodes: 3,
      chaosMs: 20_000,
      settings: { pullIntervalMs: 0, antiEntropyIntervalMs: 2_000 },
      workload: { thinkMs: 200 },
      faults: [{ atMs: 5_000, kind: 'pause', node: 'n3', what: 'rumors' }],
    },
    foundBy: ['agreement', 'convergence'],
  },
  {
    name: 'a tombstone is purged although somebody lacks what it hides (R9)',
    file: 'packages/core/src/frontier/frontier.ts',
    find: 'if (behind.length === 0)\n    return { frontier: laterHlc(reached, next.promise)',
    replace: 'if (behind.length >= 0)\n    return { frontier: laterHlc(reached, next.promise)',
    foundBy: ['agreement', 'nothing-deleted-returns', 'nothing-acknowledged-forgotten', 'no-integrity-fault'],
  },
  {
    name: 'a covered, absent key takes an entry in again (R5)',
    file: 'packages/core/src/version/admit.ts',
    find: "return covered || compareHlc(entry.version.hlc, frontier) <= 0 ? 'refused' : 'news'",
    replace: "return covered && compareHlc(entry.version.hlc, frontier) > 0 ? 'refused' : 'news'",
    foundBy: ['agreement', 'nothing-deleted-returns', 'no-integrity-fault', 'convergence'],
  },
  {
    name: 'a purge lets the local clock decide (R10)',
    file: 'packages/replica/src/commit-plan.ts',
    find: '    if (!isPurgeable(entry, this.#frontierNow)) this.#put(entry, current, isHealing)',
    replace:
      '    const isOver = entry.expiresAtMs !== 0 && entry.expiresAtMs <= this.#wallMs\n' +
      '    if (!isOver && !isPurgeable(entry, this.#frontierNow)) this.#put(entry, current, isHealing)',
    foundBy: ['agreement', 'no-integrity-fault', 'convergence', 'honest-acknowledgements'],
  },
  {
    name: 'a member counts that has not heard of an eviction, and listens to the evicted (R15)',
    file: 'packages/core/src/frontier/frontier.ts',
    find: '    else if (!roster.evicted.every((evicted) => publication.roster.evicted.includes(evicted)))',
    replace: '    else if (roster.known.length === 0)',
    scenario: {
      description:
        'Two sides are cut off from each other, and one of them evicts a member of the other, which goes on, with a clock that ' +
        'is slow, and is heard there. Meanwhile an entry expires.',
      nodes: [{ name: 'n1' }, { name: 'n2' }, { name: 'n3' }, { name: 'n4', clockOffsetMs: -8_000 }],
      chaosMs: 50_000,
      settings: { purgeIntervalMs: 1_000 },
      workload: {
        clients: 0,
        operations: [
          { atMs: 8_000, node: 'n1', action: 'put', key: 'over', ttlMs: 2_000, w: 'all' },
          { atMs: 22_000, node: 'n4', action: 'put', key: 'late' },
        ],
      },
      faults: [
        ...['n1', 'n2'].flatMap((from) =>
          ['n3', 'n4'].map((to) => ({ atMs: 18_000, kind: 'cut', from, to, forMs: 25_000 })),
        ),
        { atMs: 19_000, kind: 'evict', node: 'n4', by: 'n1' },
      ],
    },
    foundBy: ['agreement', 'convergence', 'no-integrity-fault', 'nothing-acknowledged-forgotten'],
  },
  {
    name: 'a session does not wait for its token',
    file: 'packages/replica/src/sessions.ts',
    find: "    if (standing !== 'lacking') return Promise.resolve(standing)\n",
    replace: "    return Promise.resolve(standing === 'lacking' ? 'seen' : standing)\n",
    foundBy: ['session-guarantees'],
  },
  {
    name: 'a write is not later than what its session has seen',
    file: 'packages/replica/src/commit-plan.ts',
    find: 'laterHlc(heldVersion(current), write.after ?? HLC_ZERO)',
    replace: 'heldVersion(current)',
    foundBy: ['session-guarantees', 'ordered-updates', 'causality'],
  },
  {
    name: 'a token does not tell what a read has shown',
    file: 'packages/core/src/session/session-token.ts',
    find: 'if (seen?.covers(dot) !== true) {',
    replace: 'if (seen?.covers(dot) !== true && dot.seq % 2 === 0) {',
    foundBy: ['session-guarantees'],
  },
  {
    name: 'an import does not look at the promise (R17)',
    file: 'packages/core/src/version/admit-import.ts',
    find: 'if (context.covered || compareHlc(entry.version.hlc, promise) > 0) return admission',
    replace: 'if (compareHlc(promise, promise) === 0) return admission',
    scenario: {
      description:
        'What only an evicted member had is restored from a snapshot at a member that has promised more, and has not heard yet ' +
        'how far the frontier has come by that.',
      nodes: 3,
      chaosMs: 45_000,
      settings: { purgeIntervalMs: 1_000 },
      workload: {
        clients: 0,
        operations: [
          { atMs: 8_000, node: 'n1', action: 'put', key: 'a', w: 'all' },
          { atMs: 12_000, node: 'n3', action: 'put', key: 'late' },
          { atMs: 20_000, node: 'n2', action: 'delete', key: 'a', w: 2 },
        ],
      },
      faults: [
        { atMs: 10_000, kind: 'cut', from: 'n3', to: '*', forMs: 30_000 },
        { atMs: 15_000, kind: 'evict', node: 'n3', by: 'n1' },
        { atMs: 19_000, kind: 'pause', node: 'n1', what: 'anti-entropy', forMs: 15_000 },
        { atMs: 25_000, kind: 'restore', node: 'n1', of: 'n3', takenMs: 14_000 },
      ],
    },
    foundBy: ['agreement', 'convergence', 'no-integrity-fault'],
  },
]

/** Bugs that nobody has planted so far. */
export const NOT_YET: readonly string[] = [
  'a suspect replica gives complete answers (R19)',
  'a restored directory goes on as the replica that it was (R16): R20 undoes what it brings back before anybody sees it',
]
