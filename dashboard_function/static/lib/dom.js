/** Elements made by calls. What is given as text stays text: there is no way to pass markup. */

/** @typedef {Node | string | number | null | undefined | false} Child */
/** @typedef {Record<string, any>} Attributes */

const SVG = "http://www.w3.org/2000/svg";
/** What each part shows. @type {WeakMap<Element, string>} */
const drawn = new WeakMap();
/** What was made with listeners. @type {WeakSet<Node>} */
const listening = new WeakSet();
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

/** What listens by itself, or holds what somebody put in: it is never taken for another one of the same kind. */
const ALIVE = "button, input, select, textarea, form, canvas, dialog, details";
/** How far on it is looked for the same part, where some were put in or taken out before it. */
const FURTHER = 12;

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
  update(part, draw());
  if (name === null || part.contains(document.activeElement)) return;
  const again = [...part.querySelectorAll("a, button, [tabindex]")].find((each) => nameOf(each) === name);
  if (again instanceof HTMLElement) again.focus({ preventScroll: true });
}

/**
 * Have an element show these, and touch only what differs: a selection of text, the focus and a pointer's place in the rest are not lost.
 *
 * @param {Element} parent
 * @param {...(Child | Child[])} children
 */
export function update(parent, ...children) {
  const wanted = document.createElement("template").content;
  wanted.append(...present(children));
  matchChildren(parent, [...wanted.childNodes]);
}

/**
 * @param {Element} parent
 * @param {ChildNode[]} wanted
 */
function matchChildren(parent, wanted) {
  let there = parent.firstChild;
  wanted.forEach((node, number) => {
    const same = there && following(there, node);
    if (same) {
      while (there && there !== same) there = removed(there);
      there = same.nextSibling;
      return;
    }
    const isLater = there && wanted.slice(number + 1, number + FURTHER).some((other) => isSame(/** @type {Node} */ (there), other));
    if (!there || isLater) parent.insertBefore(node, there);
    else there = matched(there, node).nextSibling;
  });
  while (there) there = removed(there);
}

/**
 * Find what is the same already, a little further on.
 *
 * @param {ChildNode} start
 * @param {ChildNode} wanted
 */
function following(start, wanted) {
  let there = /** @type {ChildNode | null} */ (start);
  for (let steps = 0; there && steps < FURTHER; steps++, there = there.nextSibling) if (isSame(there, wanted)) return there;
  return null;
}

/**
 * @param {Node} there
 * @param {Node} wanted
 */
function isSame(there, wanted) {
  if (there === wanted) return true;
  return !isAlive(wanted) && !isAlive(there) && there.isEqualNode(wanted);
}

/** Whether it, or something in it, listens or was put in. @param {Node} node */
function isAlive(node) {
  return node instanceof Element && (node.matches(ALIVE) || node.querySelector(ALIVE) !== null || listening.has(node));
}

/**
 * Make one node like another; gives the one that is there then.
 *
 * @param {ChildNode} there
 * @param {ChildNode} wanted
 * @returns {ChildNode}
 */
function matched(there, wanted) {
  if (there instanceof Text && wanted instanceof Text) {
    if (there.data !== wanted.data) there.data = wanted.data;
    return there;
  }
  if (!(there instanceof Element && wanted instanceof Element) || !isOfOneKind(there, wanted)) {
    there.replaceWith(wanted);
    return wanted;
  }
  for (const { name } of [...there.attributes]) if (!wanted.hasAttribute(name)) there.removeAttribute(name);
  for (const { name, value } of wanted.attributes) if (there.getAttribute(name) !== value) there.setAttribute(name, value);
  matchChildren(there, [...wanted.childNodes]);
  return there;
}

/**
 * @param {Element} there
 * @param {Element} wanted
 */
function isOfOneKind(there, wanted) {
  const isPlain = (/** @type {Element} */ each) => !each.matches(ALIVE) && !listening.has(each);
  return there.tagName === wanted.tagName && isPlain(there) && isPlain(wanted);
}

/** Take it away; gives what came after it. @param {ChildNode} node */
function removed(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
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

/** What an element is known by, also after it was made anew. @param {Element} element */
export function nameOf(element) {
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
    if (name.startsWith("on")) {
      element.addEventListener(name.slice(2), value);
      listening.add(element);
    } else element.setAttribute(name, value === true ? "" : String(value));
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
