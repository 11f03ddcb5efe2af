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

/** What the person does, or a view sets by itself: it stays as it is. @param {Element} element @param {string} name */
function isLeftAlone(element, name) {
  return name === "open" || name === "style" || (name === "tabindex" && element.classList.contains("scroller")) || (name === "value" && element instanceof HTMLInputElement);
}

/** @param {Element} element @param {Element} wanted */
function morphAttributes(element, wanted) {
  if (element === document.activeElement && wanted.hasAttribute("disabled")) { // who is disabled loses the focus
    wanted.removeAttribute("disabled");
    wanted.setAttribute("aria-disabled", "true");
  }
  for (const { name } of [...element.attributes]) {
    if (!wanted.hasAttribute(name) && !isLeftAlone(element, name)) element.removeAttribute(name);
  }
  for (const { name, value } of wanted.attributes) {
    if (element.getAttribute(name) !== value && !isLeftAlone(element, name)) element.setAttribute(name, value);
  }
}

/**
 * What is to be clicked never becomes what does something else.
 * @param {Node | null} node
 */
function keyOf(node) {
  if (!(node instanceof HTMLElement)) return null;
  const { key, action, name, id, status } = node.dataset;
  return key ?? (action ? [action, name ?? id ?? status].join(" ") : null);
}

/** Into another place without being taken out of the page, where the browser can: so it keeps focus and scrolling. @param {Element} parent @param {Node} node @param {Node | null} before */
function move(parent, node, before) {
  // @ts-ignore: younger than the types
  if (parent.moveBefore && node.isConnected) parent.moveBefore(node, before);
  else parent.insertBefore(node, before);
}

/** Whether the one can become the other. @param {Node} a @param {Node} b */
const fits = (a, b) => a.nodeName === b.nodeName && keyOf(a) === keyOf(b);

/** What stays is never moved unless it has changed places: who is moved loses the focus. @param {Element} element @param {Node[]} wanted */
function morphChildren(element, wanted) {
  const known = new Map([...element.children].map((child) => [keyOf(child), child]));
  const keys = new Set(wanted.map(keyOf));
  let at = element.firstChild;
  const drop = () => {
    const gone = /** @type {ChildNode} */ (at);
    at = gone.nextSibling;
    gone.remove();
  };
  const passOver = () => {
    while (at && keyOf(at) !== null && !keys.has(keyOf(at))) drop();
  };
  /** What is nobody's goes, where it stands before one that stays: that one need not move. @param {Node} its */
  const passTo = (its) => {
    let before = at;
    while (before && before !== its && keyOf(before) === null) before = before.nextSibling;
    while (before === its && at !== its) drop();
  };
  for (const node of wanted) {
    passOver();
    const key = keyOf(node), its = key === null ? at : known.get(key);
    if (its && fits(its, node)) {
      passTo(its);
      if (its === at) at = at.nextSibling;
      else move(element, its, at);
      if (its instanceof Element) morph(its, /** @type {Element} */ (node));
      else if (its.nodeValue !== node.nodeValue) its.nodeValue = node.nodeValue;
    } else {
      element.insertBefore(node, at);
    }
  }
  while (at) drop();
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
