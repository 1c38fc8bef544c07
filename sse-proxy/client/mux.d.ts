/** What {@link install} may be told. */
export interface Options {
  /** Where the proxy serves the mux. Default: `/.sse/mux`. */
  path?: string;
  /**
   * Whether usual mistakes are told on the console. Default: only on this machine's own hosts, such as
   * `localhost`.
   */
  hints?: boolean;
}

/** The `error` event of a {@link MuxEventSource}. */
export interface MuxErrorEvent extends Event {
  /** The HTTP status that closed the source, where the proxy knows it. */
  readonly status?: number;
}

/**
 * An `EventSource` that shares one connection with all others of its origin, in all tabs. Beyond the
 * interface, its `error` event has the `status` that closed it ({@link MuxErrorEvent}), and it fires a
 * `MessageEvent` of type `mux/gap` when events are missed that no longer exist.
 */
export class MuxEventSource extends EventSource {}

/** Makes {@link MuxEventSource} the page's `EventSource`. To be called before a source is made. */
export function install(options?: Options): void;
