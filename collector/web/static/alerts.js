// The lists of alerts are drawn by the collector and put in place when they change.
import { byId, connect } from './live.js';
import { keys } from './keys.js';
import { tellAges } from './words.js';

let waiting; // a list that came while somebody was writing
let pressed = false; // a button that is replaced between down and up is never clicked

function put(html) {
  const list = byId('alert-list');
  if (!list) return;
  const field = document.activeElement;
  if (pressed || (field?.closest?.('form.ack') && field.value)) { // not under the hands of who writes
    waiting = html;
    return;
  }
  waiting = undefined;
  const alert = field?.closest?.('li.alert')?.id;
  const tag = field?.tagName.toLowerCase();
  const typed = [...list.querySelectorAll('form.ack input')].filter((i) => i.value).map((i) => [i.closest('li').id, i.value]);
  const unfolded = [...list.querySelectorAll('li.alert details[open]')].map((d) => d.closest('li').id);
  list.innerHTML = html;
  for (const [id, text] of typed) {
    const input = byId(id)?.querySelector('form.ack input');
    if (input) input.value = text;
  }
  for (const id of unfolded) byId(id)?.querySelector('details')?.setAttribute('open', '');
  if (alert) byId(alert)?.querySelector(tag)?.focus({ preventScroll: true });
  tellAges();
}

const later = () => setTimeout(() => { if (waiting !== undefined) put(waiting); });
document.addEventListener('focusout', later);
document.addEventListener('pointerdown', () => { pressed = true; });
for (const end of ['pointerup', 'pointercancel']) document.addEventListener(end, () => { pressed = false; later(); });
connect((update) => { if (update.list) put(update.list); });
keys();
