/**
 * The lab: a whole system on one machine. An API server, workload controllers, a virtual switch with simulated nodes and
 * their pod runtimes, and the supervisor that keeps their processes.
 * Types to know: `LabUpOptions`, `LabStatus`, `SupervisorOptions`. Nothing outside this room may know whether the API server
 * it talks to is the one in here.
 */
export { type ApiServer, type ApiServerOptions, startApiServer } from './apiserver/apiserver.ts'
export { loadKeys, type ServerKeys, writeAdminKubeconfig } from './apiserver/pki-files.ts'
export { type LabRemoved, labDown } from './supervisor/down.ts'
export { findNetns, labExec } from './supervisor/inside.ts'
export { LabError } from './supervisor/lab-error.ts'
export type { LabPhase } from './supervisor/lab-state.ts'
export {
  findPods,
  type LabStatus,
  labStatus,
  type PodStatus,
  type ProcessStatus,
} from './supervisor/status.ts'
export { runSupervisor, type SupervisorOptions } from './supervisor/supervisor.ts'
export { type LabSummary, type LabUpOptions, labUp } from './supervisor/up.ts'
export {
  parseSupervisorOptions,
  parseWorldOptions,
  runWorld,
  type StartControllers,
  type WorldOptions,
} from './supervisor/world.ts'
export {
  startWorkloadControllers,
  type WorkloadControllers,
} from './workloads/start.ts'
