// @ts-check
/** What every component needs, from one place. */
import { Component, h, render } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { batch, computed, effect, signal } from "@preact/signals";
import htm from "htm";

export const html = htm.bind(h);
export { batch, computed, effect, h, render, signal, useEffect, useLayoutEffect, useMemo, useRef, useState };

/**
 * Return a component that draws again only if a property is another value.
 * @template P
 * @param {(props: P) => any} draw
 * @returns {any}
 */
export function memo(draw) {
  return class extends Component {
    /** @param {Record<string, any>} next */
    shouldComponentUpdate(next) {
      const now = /** @type {Record<string, any>} */ (this.props);
      return Object.keys(next).some((name) => next[name] !== now[name]);
    }

    render() {
      return draw(/** @type {any} */ (this.props));
    }
  };
}
