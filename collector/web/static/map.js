// The sites of a view on a map: clustered, each cluster with the sign of its worst state, live. No tile is loaded: the outline comes with the program.
/* global L, Supercluster, topojson */
import { byId, connect } from './live.js';
import { keys } from './keys.js';
import { swap } from './swap.js';
import { span, serverNow } from './words.js';

const worst = ['down', 'unreachable', 'off', 'degraded', 'maintenance', 'never', 'up']; // the most urgent first
const troubled = new Set(['down', 'unreachable', 'off']);
const mostZoom = 12;
const listed = 25; // sites of a place that a popup names
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;

const points = new Map();
const drawn = new Map(); // by key: what stands on the map
let index;
let settled = false; // the part of the world that is shown is one that somebody chose
let planned;

byId('plain').hidden = true;
byId('map').hidden = false;
const map = L.map('map', { attributionControl: false, preferCanvas: true, minZoom: 2, maxZoom: mostZoom, worldCopyJump: true, zoomAnimation: !calm, fadeAnimation: !calm,
  renderer: L.canvas({ padding: 0.4 }) });
const [, z, lat, lon] = /^#(\d+)\/(-?[\d.]+)\/(-?[\d.]+)$/.exec(location.hash) ?? [];
if (z) {
  map.setView([Number(lat), Number(lon)], Number(z));
  settled = true;
} else {
  map.setView([20, 30], 3);
}
L.control.scale({ imperial: false }).addTo(map);
const layer = L.layerGroup().addTo(map);

// A ring across the 180th meridian (Fiji) goes on beyond it, and not once around the world. Antarctica may: it does.
function unbroken(land) {
  const polygons = (land.features ?? [land]).flatMap((f) => (f.geometry.type === 'Polygon' ? [f.geometry.coordinates] : f.geometry.coordinates));
  for (const ring of polygons.flat()) {
    if (ring.some(([, y]) => y < -60)) continue;
    for (let i = 1; i < ring.length; i++) {
      const jump = ring[i][0] - ring[i - 1][0];
      if (Math.abs(jump) > 180) ring[i] = [ring[i][0] - 360 * Math.sign(jump), ring[i][1]];
    }
  }
  return land;
}

// names puts each country's name in the middle of its largest part, where there is room to read it.
function names(countries) {
  const pane = map.createPane('names');
  pane.style.zIndex = 450;
  const group = L.layerGroup();
  for (const f of countries.features) {
    if (!f.id) continue; // no country of ISO 3166
    const parts = f.geometry.type === 'Polygon' ? [f.geometry.coordinates] : f.geometry.coordinates;
    const boxes = parts.map((p) => L.latLngBounds(p[0].map(([x, y]) => [y, x])));
    const area = (b) => (b.getEast() - b.getWest()) * (b.getNorth() - b.getSouth());
    const best = boxes.reduce((a, b) => (area(a) >= area(b) ? a : b));
    const label = L.divIcon({ className: 'country', iconSize: [140, 16] });
    label.options.html = element('span', '', f.properties.name);
    group.addLayer(L.marker(best.getCenter(), { icon: label, interactive: false, keyboard: false, pane: 'names' }));
  }
  const show = () => (map.getZoom() >= 4 ? group.addTo(map) : group.remove());
  map.on('zoomend', show);
  show();
}

async function outline() {
  const world = await (await fetch(byId('map').dataset.outline)).json();
  const land = L.geoJSON(unbroken(topojson.feature(world, world.objects.land)), { interactive: false });
  const borders = L.geoJSON(topojson.mesh(world, world.objects.countries, (a, b) => a !== b), { interactive: false });
  const paint = () => {
    land.setStyle({ fillColor: colour('--land'), fillOpacity: 1, color: colour('--coast'), weight: 1 });
    borders.setStyle({ color: colour('--border'), weight: 1, dashArray: '4 3', fill: false });
  };
  paint();
  land.addTo(map);
  borders.addTo(map);
  names(topojson.feature(world, world.objects.countries));
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', paint);
  byId('map').dataset.outlined = 'yes';
}

function build() {
  index = new Supercluster({ radius: 56, maxZoom: mostZoom,
    map: (p) => ({ worst: worst.indexOf(p.state), bad: troubled.has(p.state) ? 1 : 0 }),
    reduce: (sum, p) => { sum.worst = Math.min(sum.worst, p.worst); sum.bad += p.bad; } });
  const features = [];
  for (const [id, p] of points) {
    if (p.place) features.push({ type: 'Feature', properties: { id, state: p.state }, geometry: { type: 'Point', coordinates: [p.lon, p.lat] } });
  }
  index.load(features);
  if (!settled && features.length) {
    settled = true;
    map.fitBounds(L.latLngBounds(features.map((f) => [f.geometry.coordinates[1], f.geometry.coordinates[0]])), { padding: [48, 48], maxZoom: 9, animate: false });
  }
  draw();
}

function element(name, cls, text) {
  const e = document.createElement(name);
  if (cls) e.className = cls;
  if (text) e.textContent = text;
  return e;
}

function badge(p) {
  const b = element('span', `badge s-${p.state}`);
  b.innerHTML = `<svg class="shape" aria-hidden="true"><use href="#shape-${p.state}"/></svg>`;
  b.append(p.word);
  return b;
}

function told(p) {
  const since = p.since ? ` for ${span(serverNow() - Date.parse(p.since))}` : '';
  return `${p.word}${since}${p.known ? ': ' + p.known : ''}`;
}

function siteLine(id, p) {
  const line = element('div', 'place');
  const link = element('a', '', p.title);
  link.href = '/sites/' + id;
  const head = element('div', 'place-head');
  head.append(link, badge(p));
  line.append(head);
  if (p.where) line.append(element('div', 'sub', p.where));
  if (p.since) line.append(element('div', 'sub', `for ${span(serverNow() - Date.parse(p.since))}`));
  if (p.known) line.append(element('div', '', p.known));
  if (p.told) line.append(element('div', 'old-word', `stale, told ${p.told}`));
  return line;
}

function popup(ids, more) {
  const box = element('div', 'places');
  for (const id of ids) if (points.has(id)) box.append(siteLine(id, points.get(id)));
  if (more > 0) box.append(element('div', 'sub', `and ${more} more at this place`));
  return box;
}

function iconOf(c) {
  const state = worst[c.properties.cluster ? c.properties.worst : worst.indexOf(c.properties.state)];
  const shape = `<svg class="shape" aria-hidden="true"><use href="#shape-${state}"/></svg>`;
  if (!c.properties.cluster) return { html: shape, className: `pin s-${state}`, size: 24 };
  const n = c.properties.point_count;
  const bad = c.properties.bad ? `<span class="bad">${c.properties.bad}<span class="unseen"> in trouble.</span></span>` : '';
  const size = (n < 10 ? 38 : n < 100 ? 44 : n < 1000 ? 50 : 58) + (bad ? 8 : 0);
  return { html: `${shape}<b>${n}<span class="unseen"> sites, the worst ${state === 'never' ? 'never heard' : state}.</span></b>${bad}`, className: `cluster s-${state}`, size };
}

// A cluster's name is what stands in it, seen and unseen.
function nameOf(c) {
  if (c.properties.cluster) return null;
  const p = points.get(c.properties.id);
  if (!p) return null; // another view was chosen, and its sites are still to come
  return `${p.title}: ${told(p)}`;
}

function openCluster(c) {
  const id = c.properties.cluster_id;
  const zoom = index.getClusterExpansionZoom(id);
  const [x, y] = c.geometry.coordinates;
  if (zoom <= mostZoom) {
    const to = () => document.querySelector('#map .pin, #map .cluster')?.focus({ preventScroll: true });
    const byKey = document.activeElement?.classList.contains('cluster');
    map.setView([y, x], zoom);
    if (byKey) map.once('moveend', () => setTimeout(to));
    return;
  }
  const ids = index.getLeaves(id, listed).map((l) => l.properties.id);
  L.popup({ minWidth: 220, maxWidth: 300, maxHeight: 280 }).setLatLng([y, x]).setContent(popup(ids, c.properties.point_count - ids.length)).openOn(map);
}

// draw puts what is in sight on the map. What stands there already and has not changed is left alone, so that neither focus nor popup is lost.
function draw() {
  if (!index) return;
  const b = map.getBounds().pad(0.3);
  const seen = new Set();
  const inSight = index.getClusters([b.getWest(), Math.max(-85, b.getSouth()), b.getEast(), Math.min(85, b.getNorth())], map.getZoom());
  inSight.sort((p, q) => q.geometry.coordinates[1] - p.geometry.coordinates[1] || p.geometry.coordinates[0] - q.geometry.coordinates[0]); // Tab goes as one reads
  for (const c of inSight) {
    const [x, y] = c.geometry.coordinates;
    const key = c.properties.cluster ? `c${map.getZoom()} ${x.toFixed(5)} ${y.toFixed(5)}` : 's ' + c.properties.id;
    const icon = iconOf(c);
    const look = icon.className + icon.html + icon.size;
    seen.add(key);
    let one = drawn.get(key);
    if (!one) {
      one = { marker: L.marker([y, x], { keyboard: true, riseOnHover: true, zIndexOffset: -1000 * worst.findIndex((s) => icon.className.endsWith('s-' + s)) }) };
      drawn.set(key, one);
      if (c.properties.cluster) one.marker.on('click', () => openCluster(one.cluster));
      else one.marker.bindPopup(() => popup([c.properties.id], 0), { minWidth: 200, maxWidth: 300 });
    }
    one.cluster = c;
    if (one.look !== look) {
      const focused = one.marker.getElement() !== undefined && one.marker.getElement() === document.activeElement;
      one.marker.setIcon(L.divIcon({ html: icon.html, className: icon.className, iconSize: [icon.size, icon.size] }));
      one.look = look;
      if (focused) one.marker.getElement().focus({ preventScroll: true });
    }
    if (!layer.hasLayer(one.marker)) layer.addLayer(one.marker);
    if (nameOf(c)) one.marker.getElement()?.setAttribute('aria-label', nameOf(c));
    if (one.marker.isPopupOpen()) one.marker.getPopup().update();
  }
  for (const [key, one] of drawn) {
    if (seen.has(key)) continue;
    layer.removeLayer(one.marker);
    drawn.delete(key);
  }
  byId('map').dataset.drawn = String(drawn.size);
}

function take(update) {
  if (update.all) points.clear();
  for (const [id, p] of Object.entries(update.points ?? {})) points.set(id, p);
  for (const id of update.gone ?? []) points.delete(id);
  if (update.all || update.points || update.gone) {
    clearTimeout(planned);
    planned = setTimeout(build); // many at once are one
  }
}

map.on('moveend', () => {
  draw();
  const c = map.getCenter();
  if (settled) history.replaceState(history.state, '', `#${map.getZoom()}/${c.lat.toFixed(4)}/${c.lng.toFixed(4)}`);
});
outline().catch(() => { byId('map').dataset.outlined = 'no'; }); // the sites are there without it
swap(() => { settled = location.hash !== ''; points.clear(); connect(take); });
connect(take);
keys();
