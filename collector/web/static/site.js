// The page of a site: draws its charts, zooms all of them at once with the period in the address, and takes in what the collector says has changed.
// Without it the page still says where the numbers are.
import { charts, dataOf, draw, empty, height, widthOf } from './charts.js';
import { byId, connect } from './live.js';
import { setNow, tellAges } from './words.js';

const body = document.body;
const box = byId('charts');
const zone = box.dataset.zone;
const page = `/sites/${box.dataset.site}`; // also where a form was sent to an address of its own, and came back
const first = page + location.search.replace(/[?&]said=[a-z]+/, (m) => (m[0] === '?' ? '?' : '')).replace(/\?&/, '?').replace(/\?$/, '');
const view = { from: 0, to: 1 }; // s
const least = 600; // s: the shortest period
const dark = matchMedia('(prefers-color-scheme: dark)');
let panels = [];
let doc;
let tag;
let series = box.dataset.series;

if (first !== location.pathname + location.search) history.replaceState(history.state, '', first + location.hash); // what was done just now is not part of a link

function failed(err) {
  let p = byId('charts-fault');
  if (!p) {
    p = document.createElement('p');
    p.className = 'plain fault';
    p.id = 'charts-fault';
    p.setAttribute('role', 'alert');
    box.prepend(p);
  }
  p.textContent = `The charts could not be read: ${err.message}`;
}

// ask reads the series; null when they are what is drawn already.
async function ask() {
  const asked = series;
  const answer = await fetch(asked, { cache: 'no-store', headers: tag ? { 'If-None-Match': tag } : {} });
  if (answer.status === 304) return null;
  const fresh = await answer.json();
  if (!answer.ok) throw new Error(`${fresh.error}; ${fresh.do}`);
  if (asked !== series) return null; // another was asked for meanwhile
  tag = answer.headers.get('ETag');
  return fresh;
}

function panel(chart) {
  const section = document.createElement('section');
  section.className = 'panel chart';
  section.id = `chart-${chart.id}`;
  const h = document.createElement('h3');
  h.textContent = chart.title;
  const note = document.createElement('span');
  note.className = 'sub';
  h.append(' ', note);
  const canvas = document.createElement('div');
  canvas.tabIndex = 0;
  canvas.className = 'canvas';
  canvas.setAttribute('role', 'group');
  canvas.setAttribute('aria-label', `${chart.title}: arrow keys move the cursor, + and − zoom, Page Up and Page Down go earlier and later, Escape goes back`);
  section.append(h, canvas);
  const p = { chart, section, note, canvas, plot: null };
  canvas.addEventListener('keydown', (e) => key(e, p));
  canvas.addEventListener('dblclick', () => wider(3));
  return p;
}

const agentNote = () => (doc.agents.length > 1 || byId('period').querySelectorAll('nav').length > 1 ? `${doc.agent} · ` : '');

function show() {
  byId('charts-fault')?.remove();
  view.from = Date.parse(doc.from) / 1000;
  view.to = Date.parse(doc.to) / 1000;
  for (const p of panels) {
    const { data, known } = dataOf(p.chart, doc);
    const none = empty(data) || (p.chart.from === 'tests' && !doc.speed_tests.tests.length);
    p.section.hidden = none && p.chart.optional === true;
    p.section.classList.toggle('none', none);
    p.note.textContent = agentNote() + p.chart.note(doc) + (none && p.chart.from !== 'tests' ? '; nothing was measured in this period' : known == null ? '' : `; ${Math.floor(known * 100)} % known`);
    if (p.section.hidden) continue;
    if (!p.plot) p.plot = draw(p.canvas, p.chart, data, zone, view, zoom);
    else {
      p.plot.setData(data);
      if (p.plot.width !== widthOf(p.canvas)) p.plot.setSize({ width: widthOf(p.canvas), height });
    }
  }
  const words = byId('steps');
  words.firstChild.textContent = `Steps of ${long(doc.step_ms)}, of the hourly ones ${long(doc.hours.step_ms)}. Times are ${zone}. A gap is a gap: nothing was measured. `;
  words.lastChild.href = series;
  box.dataset.drawn = panels.filter((p) => p.plot).length;
  box.dataset.from = doc.from;
  box.dataset.to = doc.to;
  box.dataset.times = Number(box.dataset.times ?? 0) + 1;
}

const long = (v) => (v >= 3600000 ? `${v / 3600000} h` : `${v / 60000} min`);

function redraw() {
  for (const p of panels) {
    p.plot?.destroy();
    p.plot = null;
  }
  show();
}

async function load() {
  try {
    const fresh = await ask();
    if (!fresh) return;
    doc = fresh;
    show();
  } catch (err) {
    failed(err);
  }
}

// goTo shows another period: in the charts, in the rest of the page, and in the address, so that it can be sent to a colleague.
function goTo(from, to, push = true) {
  const now = Math.floor((Date.now() + skew) / 60000) * 60;
  to = Math.min(Math.round(to / 60) * 60, now);
  from = Math.min(Math.round(from / 60) * 60, to - least);
  from = Math.max(from, to - 365 * 86400);
  const text = (s) => new Date(s * 1000).toISOString().slice(0, 16) + 'Z';
  const q = new URLSearchParams({ from: text(from), to: text(to) });
  const agent = new URLSearchParams(location.search).get('agent');
  if (agent) q.set('agent', agent);
  go(`${page}?${q}`, push);
}

function go(address, push) {
  if (push) history.pushState(null, '', address);
  const q = new URL(address, location).search;
  series = `/api/v1/sites/${box.dataset.site}/series${q || '?range=24h'}`;
  tag = undefined;
  load();
  renew();
}

const zoom = (from, to) => goTo(from, to);
const middle = () => {
  const plot = panels.find((p) => p.plot)?.plot;
  const at = plot && plot.cursor.left >= 0 ? plot.posToVal(plot.cursor.left, 'x') : (view.from + view.to) / 2;
  return at;
};
function wider(times, around = (view.from + view.to) / 2) {
  const half = ((view.to - view.from) * times) / 2;
  const to = Math.min(around + half, (Date.now() + skew) / 1000);
  goTo(to - 2 * half, to);
}
const aside = (part) => {
  const by = (view.to - view.from) * part;
  const room = (Date.now() + skew) / 1000 - view.to;
  goTo(view.from + Math.min(by, room), view.to + Math.min(by, room));
};
const back = () => go(first, location.pathname + location.search !== first);

function key(e, p) {
  const u = p.plot;
  const step = e.shiftKey ? 10 : 1;
  const move = (n) => {
    const at = u.cursor.idx ?? (n > 0 ? -1 : u.data[0].length);
    const i = Math.max(0, Math.min(u.data[0].length - 1, at + n));
    const half = p.chart.from === 'tests' ? 0 : (u.data[0][1] - u.data[0][0]) / 2;
    u.setCursor({ left: u.valToPos(u.data[0][i] + half, 'x'), top: 10 }, true, true);
  };
  const doing = { ArrowLeft: () => move(-step), ArrowRight: () => move(step), '+': () => wider(1 / 3, middle()), '=': () => wider(1 / 3, middle()), '-': () => wider(3),
    PageUp: () => aside(-0.5), PageDown: () => aside(0.5), Escape: back }[e.key];
  if (!doing || !u || e.ctrlKey || e.altKey || e.metaKey) return;
  e.preventDefault();
  doing();
}

function buttons() {
  const bar = byId('zoom');
  for (const [word, title, doing] of [['‹ Earlier', 'Earlier', () => aside(-0.5)], ['Later ›', 'Later', () => aside(0.5)], ['Zoom in', 'Zoom in', () => wider(1 / 3)], ['Zoom out', 'Zoom out', () => wider(3)], ['Reset', 'Back to the period of before', back]]) {
    const b = document.createElement('button');
    b.type = 'button';
    b.textContent = word;
    b.title = title;
    b.addEventListener('click', doing);
    bar.append(b);
  }
  bar.hidden = false;
}

async function main() {
  buttons();
  doc = await ask();
  const words = document.createElement('p');
  words.className = 'plain sub';
  words.id = 'steps';
  const link = document.createElement('a');
  link.textContent = 'The same as JSON';
  words.append('', link);
  panels = charts.map(panel);
  box.replaceChildren(...panels.map((p) => p.section), words);
  show();
  dark.addEventListener('change', redraw);
  let wide = box.clientWidth;
  new ResizeObserver(() => {
    if (box.clientWidth === wide) return;
    wide = box.clientWidth;
    for (const p of panels) p.plot?.setSize({ width: widthOf(p.canvas), height });
  }).observe(box);
}

const ready = main().catch(failed);
addEventListener('popstate', () => ready.then(() => go(location.pathname + location.search, false)));
addEventListener('beforeprint', () => tellAges());

// The rest of the page is the server's: when something has changed it is asked for again, and each part that is another is put in its place.
const parts = ['.headline', '#day', '#fault', '#cards', '#period nav', '#period form', '#span', '#outages', '#facts', '#services', '#deed-acknowledge', '#deed-ask', '#written', '#happened'];
let skew = Number(body.dataset.at) - Date.now();
let renewing = false;
let again = false;

async function renew() {
  if (renewing) {
    again = true;
    return;
  }
  renewing = true;
  try {
    const answer = await fetch(location.pathname + location.search);
    if (answer.redirected) return location.reload(); // to where one signs in
    if (!answer.ok) throw new Error(answer.status);
    const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html');
    for (const part of parts) {
      const old = document.querySelector(part);
      const next = fresh.querySelector(part);
      // What somebody is typing in stays, and so does what is as it was.
      if (!old || !next || old.outerHTML === next.outerHTML || old.contains(document.activeElement) && part !== '#period nav') continue;
      if ([...old.querySelectorAll('textarea')].some((t) => t.value !== t.defaultValue)) continue;
      const held = old.contains(document.activeElement) ? document.activeElement.getAttribute('href') : null;
      old.replaceWith(document.adoptNode(next));
      if (held) [...next.querySelectorAll('a')].find((a) => a.getAttribute('href') === held)?.focus({ preventScroll: true });
    }
    skew = Number(fresh.body.dataset.at) - Date.now();
    setNow(Number(fresh.body.dataset.at));
    tellAges();
  } catch {
    // The stream says so when the collector is not there; the next change asks again.
  } finally {
    renewing = false;
    if (again) {
      again = false;
      renew();
    }
  }
}

// What changes within a few seconds is asked for once.
const restFor = 3000;
let rested = 0;
let due;
function changed() {
  if (document.hidden) {
    due = 'shown';
    return;
  }
  if (due) return;
  due = setTimeout(() => {
    due = undefined;
    rested = Date.now();
    ready.then(load);
    renew();
  }, Math.max(0, rested + restFor - Date.now()));
}

document.addEventListener('visibilitychange', () => {
  if (document.hidden) return;
  if (due === 'shown') due = undefined;
  changed();
});
connect((update) => {
  skew = update.at - Date.now();
  if (update.changed) changed();
});
