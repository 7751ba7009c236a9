export * from './peer-client.ts'
export * from './peer-server.ts'
