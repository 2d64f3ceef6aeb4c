/**
 * The controller: the leader's allocator over the ledger, the views and the reclaimer; every replica serves admission.
 * Types to know: `ControllerOptions`, `Leadership`, `Allocator`. A replica that does not lead must never answer an agent.
 */
export { runController } from './controller.ts'
export { type DryAddress, type DryAnswer, DryRun, type DryRunSettings } from './dry-run/dry-run.ts'
export { type ControllerOptions, controllerUsage, parseControllerOptions } from './options.ts'
