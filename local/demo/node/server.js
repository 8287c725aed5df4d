// web-bff: renders the shop's pages for browsers.
import http from 'node:http';

import { startLoad } from './load.js';
import { renderHomePage } from './page.js';

const PORT = 8080;

const server = http.createServer((request, response) => {
  const { pathname } = new URL(request.url, 'http://web-bff');
  if (request.method !== 'GET') {
    response.writeHead(405, { allow: 'GET' }).end();
  } else if (pathname === '/healthz') {
    response.writeHead(200, { 'content-type': 'text/plain' }).end('ok\n');
  } else if (pathname === '/') {
    const { html, etag } = renderHomePage();
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', etag }).end(html);
  } else {
    response.writeHead(404, { 'content-type': 'text/plain' }).end('not found\n');
  }
});

const stopLoad = startLoad(renderHomePage);
server.listen(PORT, () => console.log(JSON.stringify({ level: 'info', msg: 'web-bff is listening', port: PORT })));

function shutdown(signal) {
  console.log(JSON.stringify({ level: 'info', msg: 'web-bff is stopping', signal }));
  stopLoad();
  server.close(() => process.exit(0));
  server.closeIdleConnections();
}

process.on('SIGTERM', shutdown);
process.on('SIGINT', shutdown);
