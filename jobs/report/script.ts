/**
 * The page's only script: switches, curves, sorting, "show all", zoom. Invariant: it writes text
 * with `textContent` and never parses HTML, so data stay data; without it the page still shows
 * everything but hidden rows and other metrics. It is plain JavaScript in a string, since the
 * package has no browser build; `formatFixed` is shared by its source.
 */

import { formatFixed } from '../format.js';
import { curveLibrary, curveScript } from './curve-script.js';

const body = `
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const byId = (id) => document.getElementById(id);

for (const input of all('.choice input')) {
  input.addEventListener('change', () => show(input.name, input.value));
}
function show(group, value) {
  for (const element of all('[data-' + group + ']')) {
    element.hidden = element.getAttribute('data-' + group) !== value;
  }
}

const data = JSON.parse(byId('results-data')?.textContent ?? 'null');
const table = byId('results');
const state = { column: 0, descending: false, folds: false, all: false };
const isAscendingFirst = (kind) => kind === 'rank' || kind === 'param';

function keyOf(cell) {
  const value = Array.isArray(cell) ? cell[0] ?? cell[1] : cell;
  const number = typeof value === 'string' && /^-?Infinity$/.test(value) ? Number(value) : value;
  return number;
}
function compare(a, b, sign) {
  if (a === null || b === null) return (a === null) - (b === null);
  if (typeof a === 'number' && typeof b === 'number') return a === b ? 0 : a < b ? -sign : sign;
  if (typeof a !== typeof b) return typeof a === 'number' ? -1 : 1;
  return sign * a.localeCompare(b);
}
function textOf(cell, column) {
  if (Array.isArray(cell)) return cell[1];
  return formatFixed(typeof cell === 'string' ? Number(cell) : cell, column.decimals);
}
function drawTable() {
  const columns = data.columns.map((column, index) => ({ ...column, index }))
    .filter((column) => state.folds || column.kind !== 'fold');
  const sign = state.descending ? -1 : 1;
  const order = data.rows.map((_, i) => i);
  const keys = data.rows.map((row) => keyOf(row[state.column]));
  order.sort((a, b) => compare(keys[a], keys[b], sign) || a - b);
  const shown = state.all ? order : order.slice(0, data.shown);
  const focused = table.tHead.contains(document.activeElement);
  const head = document.createElement('tr');
  for (const column of columns) {
    const cell = document.createElement('th');
    cell.scope = 'col';
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = column.label;
    button.addEventListener('click', () => sortBy(column.index));
    if (column.index === state.column) {
      cell.setAttribute('aria-sort', state.descending ? 'descending' : 'ascending');
    }
    cell.append(button);
    head.append(cell);
    if (focused && column.index === state.column) queueMicrotask(() => button.focus());
  }
  const rows = document.createElement('tbody');
  for (const index of shown) {
    const row = document.createElement('tr');
    if (index === data.best) row.className = 'best';
    for (const column of columns) {
      const cell = document.createElement('td');
      const value = data.rows[index][column.index];
      if (Array.isArray(value) && value[0] === null) cell.className = 't';
      cell.textContent = textOf(value, column);
      row.append(cell);
    }
    rows.append(row);
  }
  table.tHead.replaceChildren(head);
  table.tBodies[0].replaceWith(rows);
  const count = shown.length.toLocaleString('en-GB');
  const total = order.length.toLocaleString('en-GB');
  byId('table-status').textContent =
    (shown.length < order.length ? 'Showing ' + count + ' of ' + total + ' trials' : total + (order.length === 1 ? ' trial' : ' trials')) +
    ', sorted by ' + data.columns[state.column].label +
    (state.descending ? ', largest first.' : ', smallest first.');
}
function sortBy(index) {
  const first = !isAscendingFirst(data.columns[index].kind);
  state.descending = state.column === index ? !state.descending : first;
  state.column = index;
  drawTable();
}
if (data && table) {
  for (const [i, button] of all('thead button', table).entries()) {
    const visible = data.columns.map((column, index) => ({ ...column, index }))
      .filter((column) => column.kind !== 'fold');
    button.addEventListener('click', () => sortBy(visible[i].index));
  }
  const folds = byId('fold-columns');
  if (folds) {
    folds.closest('label').hidden = false;
    folds.checked = false;
    folds.addEventListener('change', () => {
      state.folds = folds.checked;
      if (!state.folds && data.columns[state.column].kind === 'fold') {
        state.column = 0;
        state.descending = false;
      }
      drawTable();
    });
  }
  const more = byId('all-rows');
  if (more) {
    more.hidden = false;
    more.addEventListener('click', () => {
      state.all = true;
      more.remove();
      drawTable();
    });
  }
}

const coefficients = byId('all-coefficients');
if (coefficients) {
  const text = coefficients.textContent;
  coefficients.hidden = false;
  coefficients.addEventListener('click', () => {
    const collapsed = byId('coefficients').classList.toggle('collapsed');
    coefficients.setAttribute('aria-expanded', String(!collapsed));
    coefficients.textContent = collapsed ? text : 'Show fewer';
  });
}

for (const bar of all('[data-zoom-for]')) {
  const drawing = byId(bar.dataset.zoomFor);
  if (!drawing) continue;
  const box = drawing.viewBox.baseVal;
  const frame = drawing.parentElement;
  const inner = () => {
    const style = getComputedStyle(frame);
    return frame.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
  };
  let scale = 1;
  const zoom = (next) => {
    const centre = (frame.scrollLeft + frame.clientWidth / 2) / scale;
    scale = Math.min(3, Math.max(0.2, next));
    drawing.setAttribute('width', String(Math.round(box.width * scale)));
    drawing.setAttribute('height', String(Math.round(box.height * scale)));
    frame.scrollLeft = centre * scale - frame.clientWidth / 2;
  };
  const actions = {
    in: () => zoom(scale * 1.25),
    out: () => zoom(scale / 1.25),
    fit: () => zoom(Math.min(1, inner() / box.width)),
  };
  for (const button of all('button', bar)) {
    button.addEventListener('click', actions[button.dataset.zoom]);
  }
  bar.hidden = false;
  // Readable text comes before seeing all of a wide graph at once.
  zoom(Math.max(0.7, Math.min(1, inner() / box.width)));
  let drag = null;
  frame.addEventListener('pointerdown', (event) => {
    if (event.pointerType !== 'mouse' || event.button !== 0) return;
    drag = { x: event.clientX + frame.scrollLeft, y: event.clientY + frame.scrollTop };
    frame.setPointerCapture(event.pointerId);
  });
  frame.addEventListener('pointermove', (event) => {
    if (!drag) return;
    frame.scrollLeft = drag.x - event.clientX;
    frame.scrollTop = drag.y - event.clientY;
  });
  for (const end of ['pointerup', 'pointercancel']) frame.addEventListener(end, () => { drag = null; });
}
`;

/** The text of the page's script element. */
export const pageScript = `'use strict';\n${curveLibrary}\n${formatFixed.toString()}\n${body.trim()}\n${curveScript.trim()}\n`;
