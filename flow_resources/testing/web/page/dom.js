// Minimal updates of the document: unchanged nodes are not touched, so that focus, typed text, selections and scroll
// positions are kept. Text from the server only becomes text nodes and attributes, never markup.

const SVG = "http://www.w3.org/2000/svg";

export const $ = (id) => document.getElementById(id);

/** Create an element; `on...` properties are event listeners, null is ignored, the others are attributes. */
export function h(tag, properties = {}, ...children) {
  return build(document.createElement(tag), properties, children);
}

/** Create an SVG element. */
export function s(tag, properties = {}, ...children) {
  return build(document.createElementNS(SVG, tag), properties, children);
}

function build(node, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else attribute(node, name, value);
  }
  node.append(...children);
  return node;
}

export function text(node, value) {
  const wanted = String(value);
  if (node.textContent !== wanted) node.textContent = wanted;
}

/** Set an attribute; null and false remove it, true sets it empty. */
export function attribute(node, name, value) {
  const wanted = value === null || value === undefined || value === false ? null : value === true ? "" : String(value);
  if (node.getAttribute(name) === wanted) return;
  if (wanted === null) node.removeAttribute(name);
  else node.setAttribute(name, wanted);
}

export function show(node, visible) {
  attribute(node, "hidden", !visible);
}

const rowsOf = new WeakMap();

/**
 * Update the children of `parent` to one row per item, identified by its property `key`. `create` returns {node,
 * update} for a new item; `update` receives each later version. Rows that stay are not moved.
 */
export function keyed(parent, items, key, create) {
  const rows = rowsOf.get(parent) ?? new Map();
  rowsOf.set(parent, rows);
  const wanted = new Set(items.map((item) => item[key]));
  for (const [known, row] of rows) {
    if (wanted.has(known)) continue;
    row.node.remove();
    rows.delete(known);
  }
  items.forEach((item, index) => {
    if (!rows.has(item[key])) rows.set(item[key], create(item));
    const row = rows.get(item[key]);
    row.update(item);
    if (parent.children[index] !== row.node) parent.insertBefore(row.node, parent.children[index] ?? null);
  });
}

/** A segmented control of radio buttons. `onpick` receives the value; the returned function selects one. */
export function segments(fieldset, options, onpick) {
  const inputs = options.map(([value, label]) => {
    const input = h("input", { type: "radio", name: fieldset.id, value: String(value) });
    input.addEventListener("change", () => onpick(value));
    fieldset.append(h("label", {}, input, h("span", {}, label)));
    return input;
  });
  const other = h("span", { class: "other", hidden: true });
  fieldset.append(other);
  return (value, label) => {
    let known = false;
    for (const input of inputs) {
      input.checked = input.value === String(value);
      known ||= input.checked;
    }
    show(other, !known);
    text(other, label);
  };
}

/** Show one tooltip for all elements with `data-tip`. */
export function tooltips(tip) {
  let under = null;
  const hide = () => show(tip, false);
  document.addEventListener("pointerover", (event) => {
    under = event.target instanceof Element ? event.target.closest("[data-tip]") : null;
    if (under === null) return hide();
    text(tip, under.dataset.tip);
    show(tip, true);
    const box = under.getBoundingClientRect();
    const left = Math.min(
      Math.max(box.left + box.width / 2 - tip.offsetWidth / 2, 8),
      innerWidth - tip.offsetWidth - 8,
    );
    const above = box.top - tip.offsetHeight - 6;
    tip.style.transform = `translate(${left}px, ${above > 4 ? above : box.bottom + 6}px)`;
  });
  document.addEventListener("scroll", hide, { capture: true, passive: true });
  document.addEventListener("keydown", hide);
}
