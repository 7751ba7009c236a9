export * from './history/history.ts'
export * from './plan.ts'
export * from './simulate.ts'
export { drawPlan, type SwarmOptions } from './swarm.ts'
