// What board, map and list of alerts have in common: the stream of what changes, the head, and what is said when nothing comes.
import { setNow, tellAges } from './words.js';

export const byId = (id) => document.getElementById(id);
const body = document.body;
const silentAfter = 20000;
let last = Date.now();
let at; // time and order of what is shown, as the server wants to hear it
let source;
let trouble;
let heard = () => {};

function lost(is) {
  byId('lost').hidden = !is;
  body.classList.toggle('stale', is);
}

function head(update) {
  setNow(update.at);
  byId('clock').textContent = update.clock;
  byId('lost-at').textContent = update.clock;
  body.classList.toggle('old', update.old === true);
  if (trouble !== update.trouble) byId('troubles').innerHTML = trouble = update.trouble;
  if (update.title) document.title = update.title;
  if (update.summary && byId('summary')) keepFocus(byId('summary'), update.summary);
  const count = byId('alert-count');
  if (count && update.alerts >= 0) {
    count.textContent = update.alerts;
    count.classList.toggle('some', update.alerts > 0);
  }
}

// The links of the summary are drawn anew with each count; who stands on one stays there.
function keepFocus(element, html) {
  const links = [...element.querySelectorAll('a')];
  const where = links.indexOf(document.activeElement);
  const href = links[where]?.getAttribute('href');
  element.innerHTML = html;
  if (where >= 0) [...element.querySelectorAll('a')].find((a) => a.getAttribute('href') === href)?.focus({ preventScroll: true });
}

function open() {
  const url = new URL(body.dataset.events, location);
  url.searchParams.set('at', at);
  source = new EventSource(url);
  source.addEventListener('update', (e) => {
    last = Date.now();
    lost(false);
    const update = JSON.parse(e.data);
    if (update.build !== body.dataset.build) { // a newer version of the page
      location.reload();
      return;
    }
    at = e.lastEventId;
    head(update);
    heard(update);
    tellAges();
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

// connect listens to the stream that the page names; called again it listens to the one that the page names now.
export function connect(take) {
  heard = take;
  source?.close();
  at = body.dataset.at + (body.dataset.order ? '.' + body.dataset.order : '');
  last = Date.now();
  open();
}

setInterval(() => {
  tellAges();
  if (!source) return;
  const silent = Date.now() - last > silentAfter;
  if (silent) lost(true);
  if (silent || source.readyState === EventSource.CLOSED) { // half open, or refused for good: ask anew
    source.close();
    last = Date.now();
    open();
  }
}, 5000);
