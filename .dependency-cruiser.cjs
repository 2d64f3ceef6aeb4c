// The folders are the architecture: an import only goes down, and a room is entered by its index alone.
// `webhook` is rules alone, data in and data out; it stands above `network`, whose annotations it reads. The controller serves it.
const floors = [
  ['base'],
  ['address'],
  ['api', 'netlink'],
  ['ledger', 'datapath', 'network'],
  ['cni', 'kube', 'rpc', 'webhook'],
  ['agent', 'controller'],
  ['cli', 'web', 'lab'],
  ['bin'],
]
const down = floors.flatMap((rooms, floor) =>
  rooms.map((room) => ({
    name: `${room}-imports-down`,
    severity: 'error',
    from: { path: `^src/${room}/` },
    to: { path: '^src/', pathNot: [room, ...floors.slice(0, floor).flat()].map((r) => `^src/${r}/`) },
  })),
)
const frontDoor = {
  name: 'front-door',
  severity: 'error',
  from: { path: '^src/([^/]+)/' },
  to: { path: '^src/', pathNot: ['^src/$1/', '^src/[^/]+/index\\.ts$'] },
}
const noCycles = { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } }
module.exports = {
  forbidden: [...down, frontDoor, noCycles],
  options: { tsPreCompilationDeps: true, doNotFollow: { path: 'node_modules' } },
}
