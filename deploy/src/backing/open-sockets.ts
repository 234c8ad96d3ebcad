import type { Socket } from 'node:net';

/** The open connections of a relay: both sides of a connection are closed together. */
export class OpenSockets {
  readonly #open = new Set<Socket>();

  /**
   * Links the two sides of a connection: packets are sent without delay, and when one side closes, so does the other.
   */
  tie(client: Socket, server: Socket): void {
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      this.#open.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => {
        this.#open.delete(socket);
        client.destroy();
        server.destroy();
      });
    }
  }

  destroyAll(): void {
    for (const socket of this.#open) socket.destroy();
  }
}
