// The rule for durations is the same as the server's.
export function span(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  const two = (a, ua, b, ub) => (b ? `${a} ${ua} ${b} ${ub}` : `${a} ${ua}`);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return two(Math.floor(s / 3600), 'h', Math.floor((s % 3600) / 60), 'min');
  return two(Math.floor(s / 86400), 'd', Math.floor((s % 86400) / 3600), 'h');
}

// The server's clock, not that of the screen on the wall.
let skew = Number(document.body.dataset.at) - Date.now();
export const setNow = (ms) => { skew = ms - Date.now(); };
export const serverNow = () => Date.now() + skew;

export function tellAges() {
  const now = serverNow();
  for (const t of document.querySelectorAll('time[data-ago]')) {
    const text = span(now - Date.parse(t.dateTime));
    if (t.textContent !== text) t.textContent = text;
  }
}
