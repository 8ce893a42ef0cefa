// The handlers of the experiments on Node.js: node handlers.js PORT [UPSTREAM]
'use strict';

const http = require('node:http');
const crypto_ = require('node:crypto');
const fs = require('node:fs/promises');
const {setTimeout: sleep} = require('node:timers/promises');

const upstream = process.argv[3];
let pool; // of PostgreSQL: npm install pg

// A request that waits gives its thread to the others.
async function delay(req, res, url) {
    const ms = Number(url.pathname.slice('/delay/'.length));
    await sleep(ms);
    res.end(String(ms));
}

// Inline, nothing else runs until this returns. The pool of libuv has four threads, unless told otherwise.
async function crypto(req, res, url) {
    const end = performance.now() + Number(url.searchParams.get('ms'));
    const derive = () => url.searchParams.get('where') === 'inline'
        ? crypto_.pbkdf2Sync('torc', 'salt', 200, 16, 'sha256')
        : new Promise((done, failed) => crypto_.pbkdf2('torc', 'salt', 200, 16, 'sha256',
            (error, key) => error ? failed(error) : done(key)));
    let rounds = 0;
    do {
        const key = derive();
        if (key instanceof Promise) await key;
        rounds += 200;
    } while (performance.now() < end);
    res.end(`${rounds} rounds\n`);
}

// In a loop each await waits for the one before it; Promise.all starts them together.
async function fetchAll(req, res, url) {
    const n = Number(url.searchParams.get('n'));
    const one = async () => (await (await fetch(upstream + url.searchParams.get('path'))).text()).length;
    let bytes = [];
    if (url.searchParams.get('mode') === 'all') bytes = await Promise.all(Array.from({length: n}, one));
    else for (let i = 0; i < n; i++) bytes.push(await one());
    res.end(String(bytes.reduce((a, b) => a + b, 0)));
}

// Each read is done by a thread of libuv's pool: asynchronous for the handler, blocking for that thread.
async function file(req, res, url) {
    const n = Number(url.searchParams.get('n'));
    const opened = await fs.open('/proc/self/exe');
    const one = async i => (await opened.read(Buffer.alloc(4096), 0, 4096, i * 4096)).bytesRead;
    let bytes = [];
    if (url.searchParams.get('mode') === 'all') bytes = await Promise.all(Array.from({length: n}, (_, i) => one(i)));
    else for (let i = 0; i < n; i++) bytes.push(await one(i));
    await opened.close();
    res.end(String(bytes.reduce((a, b) => a + b, 0)));
}

// A query waits for one of the pool's connections; without a limit as many wait as come.
async function db(req, res, url) {
    const seconds = Number(url.searchParams.get('ms')) / 1000;
    pool ??= new (require('pg').Pool)({max: 4});
    const id = 1 + Math.floor(Math.random() * 10000);
    const {rows} = await pool.query(
        'SELECT id, randomnumber FROM world, pg_sleep($2::float8) WHERE id = $1', [id, seconds]);
    res.setHeader('Content-Type', 'application/json');
    res.end(JSON.stringify(rows));
}

// The calls of a request carry its trace on, each with a span of its own: fetch does not do so by itself.
async function stack(req, res, url) {
    const [, trace, , flags] = (req.headers.traceparent ?? '').split('-');
    const span = () => trace ? `00-${trace}-${crypto_.randomBytes(8).toString('hex')}-${flags}` : '';
    pool ??= new (require('pg').Pool)({max: 4});
    const service = async () => {
        const headers = trace ? {traceparent: span()} : {};
        return (await (await fetch(upstream + url.searchParams.get('path'), {headers})).text()).length;
    };
    const database = async () => (await pool.query(
        "SELECT id, randomnumber FROM set_config('application_name', $3, false) AS trace, " +
        'pg_sleep($2::float8 + 0 * length(trace)), world WHERE id = $1',
        [1 + Math.floor(Math.random() * 10000), Number(url.searchParams.get('ms')) / 1000, span()])).rows[0];
    const [bytes, row] = url.searchParams.get('mode') === 'all'
        ? await Promise.all([service(), database()])
        : [await service(), await database()];
    res.setHeader('Content-Type', 'application/json');
    res.end(JSON.stringify({bytes, row}));
}

const routes = [['/delay/', delay], ['/crypto', crypto], ['/fetch', fetchAll], ['/file', file], ['/db', db],
    ['/stack', stack]];

const server = http.createServer((req, res) => {
    const url = new URL(req.url, 'http://localhost');
    const route = routes.find(([path]) => url.pathname.startsWith(path));
    if (!route) return res.writeHead(404).end('no such path\n');
    route[1](req, res, url).catch(error => res.writeHead(500).end(`${error.message}\n`));
});
server.listen(Number(process.argv[2]), '127.0.0.1', () =>
    console.error(`node: ready http://127.0.0.1:${server.address().port} pid=${process.pid}`));
