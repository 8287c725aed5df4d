// Burns CPU in one function and pushes it as the Node.js SDK does.
const Pyroscope = require("@pyroscope/nodejs");

function hot(milliseconds) {
  let count = 0;
  for (const end = Date.now() + milliseconds; Date.now() < end; ) {
    for (let step = 0; step < 1_000_000; step++) count ^= step;
  }
  return count;
}

Pyroscope.init({
  appName: process.env.SERVICE,
  serverAddress: process.env.GATEWAY,
  authToken: process.env.TOKEN,
  tags: { team: process.env.TEAM },
  flushIntervalMs: 2000,
  wall: { collectCpuTime: true, samplingDurationMs: 2000 },
  heap: { samplingIntervalBytes: 1024 },
});
Pyroscope.start();

let kept = [];
const end = Date.now() + 1000 * process.env.SECONDS_LONG;
(function again() {
  hot(200);
  kept = Array.from({ length: 1000 }, (_, n) => ({ n })); // for the heap profile
  if (Date.now() < end) setTimeout(again, 1); // profiles are sent between two turns
  else setTimeout(() => process.exit(0), 2000); // stop() races with a round that starts, and throws
})();
