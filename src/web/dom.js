// SPDX-License-Identifier: LGPL-2.1-or-later
// Elements, and how what is shown becomes what shall be shown. Views say what shall be there, as a tree of new elements;
// `morph` changes the page to it and leaves alone what stays, so that focus, selection and scrolling are kept.
// Nothing here knows of syncs. Text is only ever set as text.

const SVG = "http://www.w3.org/2000/svg";

/** @typedef {Node | string | number | null | undefined | false} Child */
/** @typedef {Record<string, string | number | boolean | null | undefined>} Attributes */

/**
 * @param {Element} element
 * @param {Attributes | null} attributes null, undefined and false leave one away; true sets it empty
 * @param {(Child | Child[])[]} children
 */
function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat()) {
    if (child !== null && child !== undefined && child !== false) element.append(child instanceof Node ? child : String(child));
  }
  return element;
}

/**
 * An element of HTML.
 * @param {string} tag
 * @param {Attributes | null} [attributes]
 * @param {...(Child | Child[])} children
 * @returns {HTMLElement}
 */
export function h(tag, attributes = null, ...children) {
  return /** @type {HTMLElement} */ (fill(document.createElement(tag), attributes, children));
}

/**
 * An element of SVG.
 * @param {string} tag
 * @param {Attributes | null} [attributes]
 * @param {...(Child | Child[])} children
 * @returns {SVGElement}
 */
export function s(tag, attributes = null, ...children) {
  return /** @type {SVGElement} */ (fill(document.createElementNS(SVG, tag), attributes, children));
}

/** What the person does, or a view sets by itself: it stays as it is. */
const LEFT_ALONE = new Set(["open", "value", "style"]);

/** @param {Element} element @param {Element} wanted */
function morphAttributes(element, wanted) {
  for (const { name } of [...element.attributes]) {
    if (!wanted.hasAttribute(name) && !LEFT_ALONE.has(name)) element.removeAttribute(name);
  }
  for (const { name, value } of wanted.attributes) {
    if (element.getAttribute(name) !== value && !LEFT_ALONE.has(name)) element.setAttribute(name, value);
  }
}

/** @param {Node} a @param {Node} b whether the one can become the other */
function fits(a, b) {
  if (a.nodeName !== b.nodeName) return false;
  return !(a instanceof Element && b instanceof Element) || a.getAttribute("data-key") === b.getAttribute("data-key");
}

/** @param {Element} element @param {Node[]} wanted */
function morphChildren(element, wanted) {
  const keyed = new Map();
  for (const child of element.children) {
    const key = child.getAttribute("data-key");
    if (key !== null) keyed.set(key, child);
  }
  let at = element.firstChild;
  for (const node of wanted) {
    const key = node instanceof Element ? node.getAttribute("data-key") : null;
    const known = key === null ? at : keyed.get(key);
    if (known && fits(known, node)) {
      if (known === at) at = at.nextSibling;
      else element.insertBefore(known, at);
      if (known instanceof Element) morph(known, /** @type {Element} */ (node));
      else if (known.nodeValue !== node.nodeValue) known.nodeValue = node.nodeValue;
    } else {
      element.insertBefore(node, at);
    }
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

/**
 * Makes an element into another of the same tag, with as few changes as there need be. Children with the same data-key
 * are the same; others are matched in order. An element with data-own is left to whom it belongs.
 * @param {Element} element
 * @param {Element} wanted is used up
 */
export function morph(element, wanted) {
  morphAttributes(element, wanted);
  if (!element.hasAttribute("data-own")) morphChildren(element, [...wanted.childNodes]);
}

/** Says it to those who listen instead of looking. @param {string} text */
export function say(text) {
  const place = document.getElementById("said");
  if (place) place.textContent = text;
}
