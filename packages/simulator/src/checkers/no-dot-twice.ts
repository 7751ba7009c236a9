import type { EtagText } from '../history/history.ts'
import type { CheckerKind } from './checker-kind.ts'

interface Issued {
  readonly version: EtagText
  readonly key: string
}

export const noDotTwice: CheckerKind = {
  name: 'no-dot-twice',
  guards: 'R1',
  asserts:
    'A dot (writer, partition, number) names one version of one key, on whatever node it is stored; and a writer belongs to one replica. ' +
    'Where the history does not say the partition, dots are compared within a key.',
  watch(complain) {
    const issued = new Map<string, Issued>()
    const replicas = new Map<string, string>()
    return {
      stored({ atMs, node, key, version, partition, dot: [writer, seq] }) {
        const where = partition === undefined ? `key ${key}` : `partition ${partition}`
        const name = `${writer} ${where} ${seq}`
        const held = issued.get(name)
        if (held === undefined) issued.set(name, { version, key })
        else if (held.version !== version || held.key !== key)
          complain({
            atMs,
            node,
            key,
            message: `number ${seq} of writer ${writer} in ${where} is ${version} of ${key} on ${node}, and was ${held.version} of ${held.key}`,
          })
        // `<hlc>-<replica>`: whoever gave the version is who the writer belongs to.
        const replica = version.slice(17)
        const owner = replicas.get(writer)
        if (owner === undefined) replicas.set(writer, replica)
        else if (owner !== replica)
          complain({
            atMs,
            node,
            key,
            message: `writer ${writer} numbers writes of two replicas, ${owner} and ${replica}`,
          })
      },
    }
  },
}
