// Another view of the same page without loading it anew: its address is fetched, its parts are put in place, and the address of the window is
// the new one. Without this script the same links and the same form load the page.
import { byId } from './live.js';
import { tellAges } from './words.js';

const body = document.body;
let turn = 0;

function syncForm(fresh) {
  const old = byId('filters');
  if (!old || !fresh) return;
  const selects = [...fresh.querySelectorAll('select')];
  if (selects.some((s) => !old.elements[s.name]) || selects.length !== old.querySelectorAll('select').length) {
    if (!old.contains(document.activeElement)) old.replaceWith(fresh);
    return;
  }
  for (const s of selects) {
    old.elements[s.name].innerHTML = s.innerHTML;
    old.elements[s.name].value = s.value;
  }
  old.elements.sort.value = fresh.elements.sort.value;
  const search = old.elements.q;
  if (document.activeElement !== search) search.value = fresh.elements.q.value;
  for (const part of ['.clear', '.other']) old.querySelector(part).replaceWith(fresh.querySelector(part));
}

async function show(url, how, after) {
  const mine = ++turn;
  body.setAttribute('aria-busy', 'true');
  try {
    const answer = await fetch(url, { headers: { Accept: 'text/html' }, credentials: 'same-origin' });
    const text = await answer.text();
    if (mine !== turn) return; // another was wanted meanwhile
    const page = new DOMParser().parseFromString(text, 'text/html');
    if (!answer.ok || answer.redirected || page.body.dataset.build !== body.dataset.build || !page.getElementById('list')) {
      location.assign(url); // signed out, or a newer version
      return;
    }
    const focused = document.activeElement?.dataset?.swap !== undefined ? document.activeElement.textContent : null;
    syncForm(page.getElementById('filters'));
    for (const id of ['summary', 'list']) byId(id)?.replaceWith(page.getElementById(id));
    for (const name of ['events', 'at', 'order']) {
      if (page.body.dataset[name] === undefined) delete body.dataset[name];
      else body.dataset[name] = page.body.dataset[name];
    }
    document.querySelector('.pages-nav')?.replaceWith(page.querySelector('.pages-nav'));
    document.title = page.title;
    if (how === 'push') history.pushState(null, '', url);
    if (how === 'replace') history.replaceState(null, '', url);
    const found = Number(byId('list').dataset.found);
    byId('said').textContent = `${found} ${found === 1 ? 'site' : 'sites'}`;
    if (focused !== null && !document.activeElement?.dataset?.swap) {
      [...document.querySelectorAll('a[data-swap]')].find((a) => a.textContent === focused)?.focus({ preventScroll: true });
    }
    tellAges();
    after();
  } catch { // no connection: the browser says so itself
    if (mine === turn && how) location.assign(url);
  } finally {
    if (mine === turn) body.removeAttribute('aria-busy');
  }
}

function wanted(form) {
  const url = new URL(form.action, location);
  url.search = '';
  for (const [k, v] of new FormData(form)) if (v.trim()) url.searchParams.set(k, v.trim());
  return url;
}

// swap has links and the form change the view in place; after is called when one stands. It returns what draws the present view anew.
export function swap(after) {
  let typing;
  document.addEventListener('click', (e) => {
    const link = e.target.closest?.('a[data-swap]');
    if (!link || e.defaultPrevented || e.button || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return;
    e.preventDefault();
    const search = byId('search');
    if (link.classList.contains('clear') && search) search.value = '';
    show(link.href, 'push', after);
  });
  document.addEventListener('submit', (e) => {
    if (e.target.id !== 'filters') return;
    e.preventDefault();
    clearTimeout(typing);
    show(wanted(e.target), 'push', after);
  });
  document.addEventListener('change', (e) => {
    if (e.target.form?.id === 'filters' && e.target.tagName === 'SELECT') show(wanted(e.target.form), 'push', after);
  });
  document.addEventListener('input', (e) => {
    if (e.target.id !== 'search') return;
    clearTimeout(typing);
    typing = setTimeout(() => show(wanted(e.target.form), 'replace', after), 250);
  });
  window.addEventListener('popstate', () => show(location.href, '', after));
  body.classList.add('scripted');
  return () => show(location.href, '', after);
}
