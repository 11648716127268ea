// Takes in what the collector sends: rows to swap in place, and their order.
import { byId, connect } from './live.js';
import { keys } from './keys.js';
import { swap } from './swap.js';

function element(html) {
  const t = document.createElement('template');
  t.innerHTML = html.trim();
  return t.content.firstElementChild;
}

function replaceRow(rows, id, html) {
  const fresh = element(html);
  const old = byId('site-' + id);
  if (!old) {
    rows.append(fresh);
    fresh.classList.add('news');
    return;
  }
  if (old.dataset.state !== fresh.dataset.state) fresh.classList.add('news');
  const focused = old.contains(document.activeElement);
  old.replaceWith(fresh);
  if (focused) fresh.querySelector('a')?.focus({ preventScroll: true });
}

function arrange(rows, order) {
  const wanted = new Set(order.map((id) => 'site-' + id));
  const focused = document.activeElement?.closest?.('#rows tr');
  const link = document.activeElement;
  for (const row of [...rows.children]) if (!wanted.has(row.id)) row.remove();
  let next = rows.firstElementChild;
  for (const id of order) {
    const row = byId('site-' + id);
    if (!row) continue;
    if (row === next) next = next.nextElementSibling;
    else rows.insertBefore(row, next);
  }
  if (focused?.isConnected && document.activeElement !== link) link.focus({ preventScroll: true }); // moving a row takes the focus away
}

function take(update) {
  const rows = byId('rows');
  if ((!rows && update.order?.length) || (rows && update.empty)) { // the first site of an empty board, or the last that is gone
    again();
    return;
  }
  if (!rows) return;
  for (const [id, html] of Object.entries(update.rows ?? {})) replaceRow(rows, id, html);
  if (update.order) arrange(rows, update.order);
}

const again = swap(() => connect(take));
connect(take);
keys();
