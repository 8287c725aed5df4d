// Work until stopped, so that a service without visitors has profiles too.
const INTERVAL_MS = 100;
// The pause is this many times the work before it, so the load stays near 3 % of a core on any machine.
const REST_PER_WORK = 30;

export function startLoad(work) {
  let timer;
  const round = () => {
    const start = performance.now();
    work();
    timer = setTimeout(round, Math.max(INTERVAL_MS, REST_PER_WORK * (performance.now() - start)));
  };
  timer = setTimeout(round, INTERVAL_MS);
  return () => clearTimeout(timer);
}
