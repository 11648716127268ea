// Pages of reports work without this. It prints, moves by keys, and asks how far a report is without drawing the page anew.
import { keys } from './keys.js';

const print = document.getElementById('print');
if (print) {
  print.hidden = false;
  print.addEventListener('click', () => window.print());
}
document.querySelector('input.link')?.addEventListener('focus', (e) => e.target.select());

const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });

async function follow() {
  for (;;) {
    await pause(300);
    let answer;
    try {
      answer = await fetch(location.href, { headers: { Accept: 'text/html' }, credentials: 'same-origin', cache: 'no-store' });
    } catch { // no connection: it may come back
      await pause(2000);
      continue;
    }
    if (answer.status !== 202 || answer.redirected) {
      location.reload();
      return;
    }
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
    const [bar, fresh] = [document, page].map((d) => d.querySelector('progress'));
    bar.value = fresh.value;
    document.getElementById('how-far').textContent = page.getElementById('how-far').textContent;
  }
}

if (document.body.classList.contains('making')) follow();
if (document.getElementById('help')) keys();
