// What the charts of a site show, and how one is drawn. All share the scale of time and the cursor.
import uPlot from './uPlot.esm.js';

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const bits = (v) => {
  if (v == null) return '–';
  const units = ['bit/s', 'kbit/s', 'Mbit/s', 'Gbit/s'];
  let i = 0;
  while (v >= 999.5 && i < 3) { v /= 1000; i++; }
  return `${v.toFixed(i && v < 9.95 ? 1 : 0)} ${units[i]}`;
};
const digits = (unit, least = 0) => (v) => (v == null ? '–' : `${v.toFixed(v < 9.95 && v % 1 ? Math.max(1, least) : least)} ${unit}`);
const ms = digits('ms');
const percent = digits('%');

// Series by their names in the JSON. A band is filled between its two. from: hours takes the hourly sums, tests the speed tests; optional charts are
// left out where nothing was measured.
export const charts = [
  { id: 'latency', title: 'Latency', note: (doc) => `shortest, mean and longest round trip to the ${doc.target}`, say: ms, least: 50, band: [1, 3],
    lines: [
      { name: 'latency_max', label: 'longest', ink: '--chart-a-soft', width: 1 },
      { name: 'latency_avg', label: 'mean', ink: '--chart-a', width: 2 },
      { name: 'latency_min', label: 'shortest', ink: '--chart-a-soft', width: 1 },
    ] },
  { id: 'bands', title: 'Latency bands', from: 'hours', say: percent, least: 100, most: 100, cumulative: true, steps: true,
    note: ({ hours: { latency: l } }) => (l.answers ? `half within ${edge(l.p50_within_ms)}, 95 % within ${edge(l.p95_within_ms)}, of ${l.answers} answers` : 'share of answers within so many ms, by hour'),
    lines: [
      { name: 'within_inf', label: 'longer', ink: '--band-5', fill: '--band-5', width: 0, say: (u, v, i) => percent(v == null || i == null ? null : v - (u.data[2][i] ?? 0)) },
      { name: 'within_600', label: '≤ 600 ms', ink: '--band-4', fill: '--band-4', width: 0 },
      { name: 'within_300', label: '≤ 300 ms', ink: '--band-3', fill: '--band-3', width: 0 },
      { name: 'within_150', label: '≤ 150 ms', ink: '--band-2', fill: '--band-2', width: 0 },
      { name: 'within_50', label: '≤ 50 ms', ink: '--band-1', fill: '--band-1', width: 0 },
    ] },
  { id: 'loss', title: 'Loss', say: percent, least: 10, most: 100, long: true,
    note: ({ hours: { latency: l } }) => (l.sent ? `probes without an answer; in all ${percent((100 * l.lost) / l.sent)} of ${l.sent}` : 'probes without an answer'),
    lines: [{ name: 'loss', label: 'loss', ink: '--chart-bad', width: 2, fill: '--chart-bad-soft' }] },
  { id: 'traffic', title: 'Traffic', note: (doc) => (doc.interface ? `through ${doc.interface}; dashed: the fastest moment` : 'through the interface that faces the internet'), say: bits, least: 1000, long: true,
    lines: [
      { name: 'down', label: 'download', ink: '--chart-a', width: 2, fill: '--chart-a-wash' },
      { name: 'up', label: 'upload', ink: '--chart-b', width: 2 },
      { name: 'down_peak', label: 'download peak', ink: '--chart-a-soft', width: 1, dash: [4, 3] },
      { name: 'up_peak', label: 'upload peak', ink: '--chart-b-soft', width: 1, dash: [4, 3] },
    ] },
  { id: 'tests', title: 'Speed tests', from: 'tests', say: bits, least: 1e6, note: testsNote,
    lines: [
      { name: 'down_bps', label: 'download', ink: '--chart-a', points: true },
      { name: 'up_bps', label: 'upload', ink: '--chart-b', points: true },
      { name: 'target_down', label: 'target down', ink: '--chart-a-soft', width: 1, dash: [8, 4] },
      { name: 'target_up', label: 'target up', ink: '--chart-b-soft', width: 1, dash: [8, 4] },
    ] },
  { id: 'machine', title: 'Machine', note: () => 'the agent’s own host', say: percent, least: 100, most: 100,
    lines: [
      { name: 'cpu', label: 'processor', ink: '--chart-a', width: 2 },
      { name: 'mem', label: 'memory', ink: '--chart-b', width: 2 },
      { name: 'disk', label: 'disk', ink: '--chart-c', width: 1, dash: [2, 3] },
    ] },
  { id: 'battery', title: 'Battery', note: () => 'lowest charge in each step', say: percent, least: 100, most: 100, optional: true,
    lines: [{ name: 'battery', label: 'charge', ink: '--chart-b', width: 2, fill: '--chart-a-wash' }] },
  { id: 'volts', title: 'Battery voltage', note: () => 'lowest in each step', say: digits('V', 1), least: 14, optional: true,
    lines: [{ name: 'volts', label: 'voltage', ink: '--chart-a', width: 2 }] },
  { id: 'temp', title: 'Temperature', note: () => 'of the machine, highest in each step', say: digits('°C'), least: 60, optional: true,
    lines: [{ name: 'temp', label: 'temperature', ink: '--chart-b', width: 2 }] },
];

const edge = (v) => (v == null ? 'more than 1200 ms' : `${v} ms`);

function testsNote({ speed_tests: t }) {
  if (!t.tests.length) return 'none in this period';
  const met = (name, target) => {
    const made = t.tests.filter((x) => x[name] != null);
    return target && made.length ? `${made.filter((x) => x[name] >= target).length} of ${made.length} reach ${bits(target)} ${name === 'down_bps' ? 'down' : 'up'}` : '';
  };
  return [`${t.tests.length} tests`, met('down_bps', t.target_down_bps), met('up_bps', t.target_up_bps)].filter(Boolean).join('; ');
}

// dataOf is what one chart draws: its times in seconds and its columns, and which of both kinds of steps they are.
export function dataOf(chart, doc) {
  const from = Date.parse(doc.from) / 1000;
  const to = Date.parse(doc.to) / 1000;
  if (chart.from === 'tests') {
    const t = doc.speed_tests;
    const flat = (v, n) => Array.from({ length: n }, () => v);
    const time = [from, ...t.tests.map((x) => x.at / 1000), to];
    const of = (name) => [null, ...t.tests.map((x) => x[name]), null];
    return { data: [time, of('down_bps'), of('up_bps'), flat(t.target_down_bps, time.length), flat(t.target_up_bps, time.length)], known: null };
  }
  // What InfluxDB keeps of the minutes is 90 days; long and old periods are shown by the hour, which is kept for ever.
  const hourly = chart.from === 'hours' || (chart.long && (doc.step_ms > 7200000 || from < Date.now() / 1000 - 90 * 86400));
  const src = hourly ? doc.hours : doc;
  const found = Object.fromEntries(src.series.map((s) => [s.name, s.values]));
  const time = src.time.map((t) => t / 1000);
  const columns = chart.lines.map((l) => found[l.name] ?? time.map(() => null));
  const now = Date.now();
  const due = src.time.filter((t) => t < now).length;
  const told = time.filter((_, i) => columns.some((c) => c[i] != null)).length;
  return { data: [time, ...columns], known: due ? told / due : null };
}

export const empty = (data) => data.slice(1).every((c) => c.every((v) => v == null));

// A value between two gaps has no line to show it, so it gets a dot.
const alone = (u, i) => {
  const v = u.data[i];
  const out = [];
  for (let k = 0; k < v.length; k++) if (v[k] != null && v[k - 1] == null && v[k + 1] == null) out.push(k);
  return out.length ? out : null;
};

export const widthOf = (el) => Math.max(240, Math.floor(el.clientWidth));
export const height = 190;

// draw makes one chart. view tells the period that all charts show, chosen hears of one that somebody has marked.
export function draw(el, chart, data, zone, view, chosen) {
  const axis = { stroke: colour('--muted'), grid: { stroke: colour('--line'), width: 1 }, ticks: { show: false }, font: '12px system-ui, sans-serif' };
  const opts = {
    width: widthOf(el),
    height,
    tzDate: (ts) => uPlot.tzDate(new Date(ts * 1000), zone),
    cursor: {
      y: false,
      points: { size: 6 },
      dataIdx: (u, _, near, at) => (chart.from !== 'tests' && near > 0 && u.data[0][near] > at ? near - 1 : near), // a step reaches from its time to the next
      drag: { x: true, y: false, setScale: false, dist: 8 },
      bind: { dblclick: () => () => null },
      sync: { key: 'site', scales: ['x', null], filters: { pub: (type) => type === 'mousemove' || type === 'mouseleave' } },
    },
    legend: { live: true, markers: { width: 2 } },
    scales: { x: { time: true, range: () => [view.from, view.to] }, y: { range: (u, lo, hi) => [0, Math.min(chart.most ?? Infinity, Math.max(chart.least, (hi ?? 0) * 1.05))] } },
    axes: [
      { ...axis, values: [[86400 * 28, '{MMM} {YYYY}', null, null, null, null, null, null, 1], [86400, '{D} {MMM}', null, null, null, null, null, null, 1], [3600, '{HH}:{mm}', '\n{D} {MMM}', null, '\n{D} {MMM}', null, null, null, 1], [60, '{HH}:{mm}', '\n{D} {MMM}', null, '\n{D} {MMM}', null, null, null, 1]] },
      { ...axis, size: 74, values: (u, vs) => vs.map((v) => chart.say(v)) },
    ],
    series: [
      { label: 'time', value: '{D} {MMM} {HH}:{mm}' },
      ...chart.lines.map((l) => ({ label: l.label, stroke: colour(l.ink), width: l.points ? 0 : l.width, dash: l.dash, fill: l.fill && colour(l.fill), spanGaps: false,
        paths: l.points ? () => null : chart.steps ? uPlot.paths.stepped({ align: 1 }) : undefined,
        points: l.points ? { show: true, size: 6, fill: colour(l.ink), width: 0 } : { show: false, filter: alone, size: 4, fill: colour(l.ink) },
        value: (u, v, _, i) => (l.say ? l.say(u, v, i) : chart.say(v)) })),
    ],
    bands: chart.band ? [{ series: chart.band, fill: colour('--chart-a-wash') }] : [],
    hooks: {
      setSelect: [(u) => {
        const { left, width } = u.select;
        if (width < 8) return;
        u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        chosen(u.posToVal(left, 'x'), u.posToVal(left + width, 'x'));
      }],
    },
  };
  return new uPlot(opts, data, el);
}
