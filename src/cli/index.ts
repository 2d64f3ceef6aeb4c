/**
 * The command line for people: commands, their flags, help, tables, exit codes and wording of errors.
 * Types to know: `Command`, `Terminal`, `LabPort`, `ClusterPort`. This room starts no process and knows nothing of the kernel: what
 * commands do comes in through ports.
 */
export type { ClusterPort } from './cluster/access.ts'
export { clusterCommands } from './cluster/commands.ts'
export type { Command, FlagHelp, Terminal } from './command.ts'
export { completionCommands } from './completion/commands.ts'
export { type LabPort, type LabView, labCommands } from './lab-commands.ts'
export { LabNotHereError, lazyLab } from './lazy-lab.ts'
export { errorLines, exitCodes, runCli } from './run-cli.ts'
export { terminalOn } from './terminal.ts'
