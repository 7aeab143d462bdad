/** Elements made by calls. What is given as text stays text: there is no way to pass markup. */

/** @typedef {Node | string | number | null | undefined | false} Child */
/** @typedef {Record<string, any>} Attributes */

const SVG = "http://www.w3.org/2000/svg";
/** What each part shows. @type {WeakMap<Element, string>} */
const drawn = new WeakMap();
let made = 0;

/**
 * Make an element. Attributes that are null or false are left out, true ones have no value, and `on…` ones are listeners.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Attributes} [attributes]
 * @param {...(Child | Child[])} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, attributes = {}, ...children) {
  return furnished(document.createElement(tag), attributes, children);
}

/**
 * Make an element of a drawing.
 *
 * @template {keyof SVGElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Attributes} [attributes]
 * @param {...(Child | Child[])} children
 * @returns {SVGElementTagNameMap[Tag]}
 */
export function svg(tag, attributes = {}, ...children) {
  return furnished(document.createElementNS(SVG, tag), attributes, children);
}

/**
 * Put these in the place of everything that is in an element.
 *
 * @param {Element} parent
 * @param {...(Child | Child[])} children
 */
export function replace(parent, ...children) {
  parent.replaceChildren(...present(children));
}

/**
 * Draw a part anew where what it shows has changed: a click or a hover in it is not lost to a refresh, and the focus stays where it was.
 *
 * @param {Element} part
 * @param {unknown} data all that is shown
 * @param {() => Child | Child[]} draw
 */
export function renew(part, data, draw) {
  const text = JSON.stringify(data);
  if (drawn.get(part) === text) return;
  drawn.set(part, text);
  const focused = document.activeElement;
  const name = focused && part.contains(focused) ? nameOf(focused) : null;
  replace(part, draw());
  const again = name === null ? [] : [...part.querySelectorAll("a, button, [tabindex]")].filter((each) => nameOf(each) === name);
  if (again[0] instanceof HTMLElement) again[0].focus({ preventScroll: true });
}

/**
 * Write a text only where it differs, so that nothing flickers and no selection is lost.
 *
 * @param {Node} node
 * @param {string} text
 */
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Give an id that no other element has.
 *
 * @param {string} name
 */
export function freshId(name) {
  made += 1;
  return `${name}-${made}`;
}

/**
 * Find an element that has to be there.
 *
 * @param {string} id
 * @returns {HTMLElement}
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`there is no element #${id}`);
  return found;
}

/** @param {Element} element */
function nameOf(element) {
  return element.getAttribute("aria-label") ?? element.getAttribute("href") ?? element.textContent;
}

/**
 * @template {Element} Made
 * @param {Made} element
 * @param {Attributes} attributes
 * @param {(Child | Child[])[]} children
 */
function furnished(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...present(children));
  return element;
}

/**
 * @param {(Child | Child[])[]} children
 * @returns {(Node | string)[]}
 */
function present(children) {
  return children.flat().flatMap((child) => {
    if (child === null || child === undefined || child === false) return [];
    return [child instanceof Node ? child : String(child)];
  });
}
