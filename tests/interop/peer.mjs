// One connection of the official client, remembering every event, so that waiting for one can never come too late.
import { io } from "socket.io-client";

const TIMEOUT_MS = 10_000;

export class Peer {
  constructor(url, namespace, transports) {
    this.namespace = namespace;
    this.seen = [];
    this.waiting = [];
    this.socket = io(url + namespace, { transports, forceNew: true, reconnection: false });
    this.socket.onAny((event, data) => this.#record({ event, data }));
    this.socket.on("disconnect", (reason) => this.#record({ event: "(disconnect)", data: reason }));
  }

  /** Return once the namespace is open. */
  connect() {
    return this.#limit(`${this.namespace} connecting`, (resolve, reject) => {
      this.socket.once("connect", resolve);
      this.socket.once("connect_error", reject);
    });
  }

  /** Send an event with any arguments and return what the acknowledgement callback got. */
  ask(event, ...args) {
    return this.#limit(`${this.namespace} acknowledgement of ${event}`, (resolve) => {
      this.socket.emit(event, ...args, resolve);
    });
  }

  /** Return the data of the first event of this name, past or to come, that fits. */
  wait(event, fits = () => true) {
    const past = this.seen.find((one) => one.event === event && fits(one.data));
    if (past) return Promise.resolve(past.data);
    return this.#limit(`${this.namespace} waiting for ${event}`, (resolve) => {
      this.waiting.push({ event, fits, resolve });
    });
  }

  /** Return the data of every event of this name so far. */
  all(event) {
    return this.seen.filter((one) => one.event === event).map((one) => one.data);
  }

  get connected() {
    return this.socket.connected;
  }

  get transport() {
    return this.socket.io.engine.transport.name;
  }

  close() {
    this.socket.close();
  }

  #record(one) {
    this.seen.push(one);
    this.waiting = this.waiting.filter((waiter) => {
      const hit = waiter.event === one.event && waiter.fits(one.data);
      if (hit) waiter.resolve(one.data);
      return !hit;
    });
  }

  #limit(what, start) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${what}: nothing after ${TIMEOUT_MS} ms`)), TIMEOUT_MS);
      const end = (settle) => (value) => {
        clearTimeout(timer);
        settle(value);
      };
      start(end(resolve), end(reject));
    });
  }
}
