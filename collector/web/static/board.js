// Takes in what the collector sends: rows to swap in place, their order, the counts. Says so when nothing comes.
import { setNow, tellAges } from './words.js';

const byId = (id) => document.getElementById(id);
const body = document.body;
const silentAfter = 20000;
let last = Date.now();
let at = body.dataset.at;
let source;
let trouble;

function lost(is) {
  byId('lost').hidden = !is;
  body.classList.toggle('stale', is);
}

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
  for (const row of [...rows.children]) if (!wanted.has(row.id)) row.remove();
  let next = rows.firstElementChild;
  for (const id of order) {
    const row = byId('site-' + id);
    if (!row) continue;
    if (row === next) next = next.nextElementSibling;
    else rows.insertBefore(row, next);
  }
}

function take(update) {
  const rows = byId('rows');
  // A newer version of the page, or the first site of an empty board: draw it afresh.
  if (update.build !== body.dataset.build || (!rows && update.order?.length) || (rows && update.empty)) {
    location.reload();
    return;
  }
  setNow(update.at);
  at = update.at;
  byId('clock').textContent = update.clock;
  byId('lost-at').textContent = update.clock;
  if (trouble !== update.trouble) byId('troubles').innerHTML = trouble = update.trouble;
  if (update.summary) byId('summary').innerHTML = update.summary;
  if (update.title) document.title = update.title;
  if (rows) {
    for (const [id, html] of Object.entries(update.rows ?? {})) replaceRow(rows, id, html);
    if (update.order) arrange(rows, update.order);
  }
  tellAges();
}

function connect() {
  const url = new URL(body.dataset.events, location);
  url.searchParams.set('at', at);
  source = new EventSource(url);
  source.addEventListener('update', (e) => {
    last = Date.now();
    lost(false);
    take(JSON.parse(e.data));
  });
  source.onerror = () => {
    lost(true);
    if (source.readyState === EventSource.CLOSED) askWho();
  };
}

// Refused for good: when that is because nobody is signed in any more, the page itself leads to where one signs in.
async function askWho() {
  const answer = await fetch('/api/v1/me').catch(() => null);
  if (answer?.status === 401) location.reload();
}

setInterval(() => {
  tellAges();
  const silent = Date.now() - last > silentAfter;
  if (silent) lost(true);
  if (silent || source.readyState === EventSource.CLOSED) { // half open, or refused for good: ask anew
    source.close();
    last = Date.now();
    connect();
  }
}, 5000);

connect();
