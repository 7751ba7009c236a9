/**
 * The rules of the stable frontier that the model can leave out, each with what is done instead: the obvious thing. A
 * model that finds nothing wrong without a rule could not say that the rule is kept.
 */
export const RULES = {
  'two rounds': 'R9: the frontier is the least promise of the first round',
  union: 'R9: a tombstone goes once all members cover it, whatever else they lack',
  'own promise': 'R9: only the promises of the others count',
  'old and covered are refused': 'R5: whatever has no row is taken in',
  'covered is refused': 'R5: an entry whose key is absent is taken in, though its dot is covered',
  'frontier on disk': 'the frontier is forgotten in a crash',
  'clock on disk': 'R1: a restarted replica begins with its wall clock',
  'below what is in flight': 'R2: the promise is the clock, also while a batch is under way',
  'whole answers': 'R7, R8: the vector of an answer is adopted with half of its entries',
  'one clock for all': 'R10: each replica drops what has expired by its own clock',
  'stored before told': 'R13: the sponsor stores the joiner only after it has answered',
  'all for a joiner': 'R13: rule R5 is on while a joiner takes in what its sponsor holds',
  'no early writes': 'R13: a joiner takes the clock of nobody and writes at once',
  'bound to an id': 'R3: an answer to a replica is taken by its successor',
  fence: 'R15: frames of the evicted are taken',
  'marked publications': 'R15: publications count also without the marks of those evicted here',
  'above the promise': 'R17: an import is judged by the frontier alone, as what comes by rumor is',
  'frontier and clock of a snapshot':
    'R18: a new founder adopts rows and vectors, and begins with the clock of its rows',
  'suspects are silent': 'R19: who knows that it has lost rows gives complete answers',
  'vector contains': 'R19: the leaf that lost rows is replaced by that of a member that lags',
  replaced: 'R19: the leaf of a clean member is merged into the one that lost rows',
} as const

export type Rule = keyof typeof RULES
export type Dropped = ReadonlySet<Rule>
