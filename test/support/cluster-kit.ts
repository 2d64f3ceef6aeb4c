import { crdManifests, type KubeObject, type Resource, resources } from '../../src/api/index.ts'
import { silentLogger } from '../../src/base/index.ts'
import { KubeClient, staticAccess } from '../../src/kube/index.ts'
import { TestServer } from './api-server.ts'
import { until } from './scripted-api.ts'

const never = new AbortController().signal

/** The embedded API server in this process with our kinds installed, and a client with all rights. */
export class ClusterKit implements AsyncDisposable {
  readonly server: TestServer
  readonly api: KubeClient

  private constructor(server: TestServer) {
    this.server = server
    this.api = this.client()
  }

  static async start(): Promise<ClusterKit> {
    const kit = new ClusterKit(await TestServer.start())
    const manifests: readonly KubeObject[] = crdManifests()
    for (const manifest of manifests)
      await kit.api.create(resources.customResourceDefinition, manifest, never)
    await kit.#served(resources.ipPool)
    await kit.#served(resources.networkAttachmentDefinition)
    await kit.#served(resources.endpoint)
    return kit
  }

  /** A client of its own. */
  client(): KubeClient {
    const { ca, admin } = this.server.keys
    const tls = { ca: ca.certPem, cert: admin.certPem, key: admin.keyPem }
    return new KubeClient(staticAccess(`https://127.0.0.1:${this.server.port}`, tls), {
      logger: silentLogger,
    })
  }

  async get<T extends KubeObject>(
    resource: Resource,
    name: string,
    namespace?: string,
  ): Promise<T | undefined> {
    return this.api.get<T>(resource, { name, ...(namespace === undefined ? {} : { namespace }) }, never)
  }

  /** Waits for an object that `holds`. */
  async untilObject<T extends KubeObject>(
    resource: Resource,
    ref: { readonly name: string; readonly namespace?: string },
    holds: (object: T | undefined) => boolean,
  ): Promise<void> {
    for (const end = performance.now() + 5_000; performance.now() < end; ) {
      if (holds(await this.api.get<T>(resource, ref, never))) return
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    await until(() => false, `${resource.plural} ${ref.name}`, 0)
  }

  async #served(resource: Resource): Promise<void> {
    for (const end = performance.now() + 5_000; performance.now() < end; ) {
      try {
        await this.api.list(resource, { limit: 1 }, never)
        return
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
    }
    await this.api.list(resource, { limit: 1 }, never)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.api.close()
    await this.server[Symbol.asyncDispose]()
  }
}
