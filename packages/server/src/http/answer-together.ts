/**
 * Answers that are ready at once go out when this turn of the event loop has read all there is to read, as redis does it.
 * Written one by one between the reads, each would wake its receiver by itself: on a small machine that costs several
 * times what reading the value does.
 */
export function answerTogether(answer: () => void): void {
  if (waiting.push(answer) === 1) setImmediate(answerAll)
}

let waiting: (() => void)[] = []

function answerAll(): void {
  const answers = waiting
  waiting = []
  for (const answer of answers) answer()
}
