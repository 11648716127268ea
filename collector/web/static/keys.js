// What one can do without a mouse; the dialog says the same.
import { byId } from './live.js';

function step(by) {
  const links = [...document.querySelectorAll('#rows th.site a')];
  if (!links.length) return false;
  const here = links.findIndex((a) => a.closest('tr').contains(document.activeElement));
  const next = here < 0 ? (by > 0 ? 0 : links.length - 1) : Math.min(links.length - 1, Math.max(0, here + by));
  links[next].focus();
  links[next].closest('tr').scrollIntoView({ block: 'nearest' });
  return true;
}

const go = (path) => () => {
  const link = [...document.querySelectorAll('.pages-nav a')].find((a) => new URL(a.href).pathname === path);
  if (link) location.assign(link.href);
  return !!link;
};

const help = () => { byId('help').showModal(); return true; };

const actions = {
  '/': () => { byId('search')?.focus(); byId('search')?.select(); return !!byId('search'); },
  j: () => step(1), k: () => step(-1), ArrowDown: () => step(1), ArrowUp: () => step(-1),
  b: go('/'), m: go('/map'), a: go('/alerts'), r: go('/reports'), '?': help,
};

export function keys() {
  document.addEventListener('keydown', (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || byId('help').open) return;
    const at = e.target;
    const typing = at.matches?.('input, select, textarea');
    if (e.key === 'Escape' && at.id === 'search') at.blur();
    if (typing || at.closest?.('.leaflet-container')) return;
    if (e.key.startsWith('Arrow') && at !== document.body && !at.closest?.('#rows')) return; // there they scroll
    if (actions[e.key]?.()) e.preventDefault();
  });
  const open = byId('help-open');
  if (open) {
    open.hidden = false;
    open.addEventListener('click', help);
  }
}
