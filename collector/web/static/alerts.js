// The lists of alerts are drawn by the collector and put in place when they change.
import { byId, connect } from './live.js';
import { keys } from './keys.js';
import { tellAges } from './words.js';

let waiting; // a list that came while somebody was writing

function put(html) {
  const list = byId('alert-list');
  if (!list) return;
  const field = document.activeElement;
  const form = field?.closest?.('form.ack');
  if (form && field.value) { // not under the hands of who writes
    waiting = html;
    return;
  }
  waiting = undefined;
  const alert = field?.closest?.('li.alert')?.id;
  const tag = field?.tagName.toLowerCase();
  list.innerHTML = html;
  if (alert) byId(alert)?.querySelector(tag)?.focus({ preventScroll: true });
  tellAges();
}

document.addEventListener('focusout', () => setTimeout(() => { if (waiting !== undefined) put(waiting); }));
connect((update) => { if (update.list) put(update.list); });
keys();
