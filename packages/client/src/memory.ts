export {
  memory,
  type MemoryFailure,
  type MemoryFaults,
  type MemoryGrapevine,
  type MemoryOptions,
} from './memory/memory.ts'
export { MemoryNode } from './memory/memory-node.ts'
