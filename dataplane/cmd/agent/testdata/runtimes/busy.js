// Burns CPU time in two functions, in turn, and says how much in each.
'use strict';

let sum = 0;

function heavy(n) {
  for (let i = 0; i < n; i++) sum = (sum + i * i) % 1000003;
}

function light(n) {
  for (let i = 0; i < n; i++) sum ^= i << i % 7;
}

function used() {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1000;
}

function burn(work, long) {
  const start = used();
  let spent;
  do {
    work(1 << 18);
    spent = used() - start;
  } while (spent < long);
  return spent;
}

let inHeavy = 0;
let inLight = 0;
while (inHeavy + inLight < Number(process.argv[2]) * 1e9) {
  inHeavy += burn(heavy, 70e6);
  inLight += burn(light, 30e6);
}
console.log(JSON.stringify({ heavy: inHeavy, light: inLight }));
