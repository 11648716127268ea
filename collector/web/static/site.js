// Draws a site's charts. Without it the page still says where the numbers are.
import uPlot from './uPlot.esm.js';
import { setNow, tellAges } from './words.js';

const box = document.getElementById('charts');
const zone = box.dataset.zone;
const dark = matchMedia('(prefers-color-scheme: dark)');
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const bits = (v) => {
  if (v == null) return '–';
  const units = ['bit/s', 'kbit/s', 'Mbit/s', 'Gbit/s'];
  let i = 0;
  while (v >= 999.5 && i < 3) { v /= 1000; i++; }
  return `${v.toFixed(i && v < 9.95 ? 1 : 0)} ${units[i]}`;
};
const ms = (v) => (v == null ? '–' : `${v.toFixed(v < 9.95 && v > 0 ? 1 : 0)} ms`);
const percent = (v) => (v == null ? '–' : `${v.toFixed(v < 9.95 && v % 1 ? 1 : 0)} %`);

// What each chart shows: series by their names in the JSON. A band is filled between its two.
const charts = [
  { title: 'Latency', note: 'round trip to the internet', from: 'round trip to the collector', say: ms, least: 50,
    lines: [
      { name: 'latency_max', label: 'longest', ink: '--chart-a-soft', width: 1 },
      { name: 'latency_avg', label: 'mean', ink: '--chart-a', width: 2 },
      { name: 'latency_min', label: 'shortest', ink: '--chart-a-soft', width: 1 },
    ], band: [1, 3] },
  { title: 'Loss', note: 'probes without an answer', say: percent, least: 10, most: 100,
    lines: [{ name: 'loss', label: 'loss', ink: '--chart-bad', width: 2, fill: '--chart-bad-soft' }] },
  { title: 'Traffic', note: 'through the interface that faces the internet', say: bits, least: 1000,
    lines: [
      { name: 'down', label: 'download', ink: '--chart-a', width: 2, fill: '--chart-a-wash' },
      { name: 'up', label: 'upload', ink: '--chart-b', width: 2 },
      { name: 'down_peak', label: 'download peak', ink: '--chart-a-soft', width: 1, dash: [4, 3] },
      { name: 'up_peak', label: 'upload peak', ink: '--chart-b-soft', width: 1, dash: [4, 3] },
    ] },
  { title: 'Machine', note: 'the agent’s own host', say: percent, least: 100, most: 100,
    lines: [
      { name: 'cpu', label: 'processor', ink: '--chart-a', width: 2 },
      { name: 'mem', label: 'memory', ink: '--chart-b', width: 2 },
    ] },
];

// A value between two gaps has no line to show it, so it gets a dot.
const alone = (u, i) => {
  const v = u.data[i];
  const out = [];
  for (let k = 0; k < v.length; k++) if (v[k] != null && v[k - 1] == null && v[k + 1] == null) out.push(k);
  return out.length ? out : null;
};

const widthOf = (el) => Math.max(240, Math.floor(el.clientWidth));

function draw(el, chart, doc, time) {
  const found = Object.fromEntries(doc.series.map((s) => [s.name, s.values]));
  const soft = (name) => colour(name);
  const opts = {
    width: widthOf(el),
    height: 190,
    tzDate: (ts) => uPlot.tzDate(new Date(ts * 1000), zone),
    cursor: { sync: { key: 'site' }, y: false, points: { size: 6 } },
    legend: { live: true },
    scales: { y: { range: (u, lo, hi) => [0, Math.min(chart.most ?? Infinity, Math.max(chart.least, hi * 1.05))] } },
    axes: [
      { stroke: soft('--muted'), grid: { stroke: soft('--line'), width: 1 }, ticks: { show: false }, font: '12px system-ui, sans-serif',
        values: [[86400, '{D} {MMM}', null, null, null, null, null, null, 1], [3600, '{HH}:{mm}', '\n{D} {MMM}', null, '\n{D} {MMM}', null, null, null, 1], [60, '{HH}:{mm}', '\n{D} {MMM}', null, '\n{D} {MMM}', null, null, null, 1]] },
      { stroke: soft('--muted'), grid: { stroke: soft('--line'), width: 1 }, ticks: { show: false }, size: 74, font: '12px system-ui, sans-serif',
        values: (u, vs) => vs.map((v) => chart.say(v)) },
    ],
    series: [
      { label: 'time', value: '{D} {MMM} {HH}:{mm}' },
      ...chart.lines.map((l) => ({ label: l.label, stroke: soft(l.ink), width: l.width, dash: l.dash, fill: l.fill && soft(l.fill),
        spanGaps: false, points: { show: false, filter: alone, size: 4, fill: soft(l.ink) }, value: (u, v) => chart.say(v) })),
    ],
    bands: chart.band ? [{ series: chart.band, fill: soft('--chart-a-wash') }] : [],
  };
  const data = [time, ...chart.lines.map((l) => found[l.name] ?? time.map(() => null))];
  return new uPlot(opts, data, el);
}

function panel(chart, doc) {
  const section = document.createElement('section');
  section.className = 'panel chart';
  const h = document.createElement('h3');
  h.textContent = chart.title;
  const note = document.createElement('span');
  note.className = 'sub';
  note.textContent = chart.title === 'Traffic' && doc.interface ? doc.interface : doc.target === 'collector' && chart.from || chart.note;
  h.append(' ', note);
  const canvas = document.createElement('div');
  section.append(h, canvas);
  return { section, canvas };
}

async function main() {
  const answer = await fetch(box.dataset.series);
  const doc = await answer.json();
  if (!answer.ok) throw new Error(`${doc.error}; ${doc.do}`);
  const time = doc.time.map((t) => t / 1000);
  const words = document.createElement('p');
  words.className = 'plain sub';
  words.textContent = `Steps of ${doc.step_ms / 60000} minutes. Times are ${zone}. A gap is a gap: nothing was measured. `;
  const link = document.createElement('a');
  link.href = box.dataset.series;
  link.textContent = 'The same as JSON';
  words.append(link);
  const panels = charts.map((chart) => ({ chart, ...panel(chart, doc) }));
  box.replaceChildren(...panels.map((p) => p.section), words);
  let plots = [];
  const redraw = () => {
    plots.forEach((p) => p.destroy());
    plots = panels.map((p) => draw(p.canvas, p.chart, doc, time));
  };
  redraw();
  dark.addEventListener('change', redraw);
  let wide = box.clientWidth;
  new ResizeObserver(() => {
    if (box.clientWidth === wide) return;
    wide = box.clientWidth;
    plots.forEach((p, i) => p.setSize({ width: widthOf(panels[i].canvas), height: 190 }));
  }).observe(box);
  box.dataset.drawn = plots.length;
}

main().catch((err) => {
  const p = document.createElement('p');
  p.className = 'plain';
  p.setAttribute('role', 'alert');
  p.textContent = `The charts could not be drawn: ${err.message}`;
  box.append(p);
});
setInterval(tellAges, 10000);

// The words above the charts are asked for again each half minute; the charts stay as they were drawn.
async function renew() {
  const lost = document.getElementById('lost');
  try {
    const answer = await fetch(location.href);
    if (answer.redirected) return location.reload(); // to where one signs in
    if (!answer.ok) throw new Error(answer.status);
    const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html');
    for (const part of ['.headline', '#day', '#troubles', '#clock', '#lost-at']) {
      document.querySelector(part).replaceWith(fresh.querySelector(part));
    }
    setNow(Number(fresh.body.dataset.at));
    lost.hidden = true;
  } catch {
    lost.hidden = false;
  }
  document.body.classList.toggle('stale', !lost.hidden);
}
setInterval(renew, 30000);
document.addEventListener('visibilitychange', () => { if (!document.hidden) renew(); });
