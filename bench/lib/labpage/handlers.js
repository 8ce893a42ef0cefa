// The handlers of the experiments on Node.js, which answer as torc-lab does:
// node handlers.js PORT [UPSTREAM [CONNINFO]]; node-pg has to be where NODE_PATH says.
'use strict';

const http = require('node:http');
const crypto_ = require('node:crypto');
const fs = require('node:fs/promises');
const {setTimeout: sleep} = require('node:timers/promises');

const [port, upstream, conninfo] = process.argv.slice(2);
const pool = conninfo && new (require('pg').Pool)({connectionString: conninfo, max: 4});

class Refused extends Error {
    constructor(status, text) {
        super(text);
        this.status = status;
    }
}

// A whole number from low to high.
function number(name, text, low, high) {
    const value = Number(text);
    if (/^-?[0-9]+$/.test(text ?? '') && value >= low && value <= high) return value;
    throw new Refused(400, `${name} must be a whole number from ${low} to ${high}`);
}

function choice(name, text, one, other) {
    if (text === one || text === other) return text;
    throw new Refused(400, `${name} must be ${one} or ${other}`);
}

// How often, and whether together.
function times(query, most) {
    return [number('n', query.get('n'), 1, most), choice('mode', query.get('mode'), 'seq', 'all') === 'all'];
}

function given(option, value) {
    if (!value) throw new Refused(501, `this server was started without --${option}`);
}

// In a loop each await waits for the one before it; Promise.all starts them together.
async function each(n, together, one) {
    const numbers = Array.from({length: n}, (_, i) => i);
    if (together) return Promise.all(numbers.map(one));
    const found = [];
    for (const i of numbers) found.push(await one(i));
    return found;
}

// A request that waits gives its thread to the others.
async function delay(req, res, url) {
    const ms = number('the delay', url.pathname.slice('/delay/'.length), 0, 60000);
    await sleep(ms);
    res.end(`${ms}`);
}

// Inline, nothing else runs until this returns. The pool of libuv has four threads, unless told otherwise.
async function crypto(req, res, url) {
    const ms = number('ms', url.searchParams.get('ms'), 0, 10000), end = performance.now() + ms;
    const inline = choice('where', url.searchParams.get('where'), 'inline', 'work') === 'inline';
    let rounds = 0;
    do {
        if (inline) crypto_.pbkdf2Sync('torc', 'salt', 200, 16, 'sha256');
        else await new Promise(done => crypto_.pbkdf2('torc', 'salt', 200, 16, 'sha256', done));
        rounds += 200;
    } while (performance.now() < end);
    res.end(`${rounds} rounds\n`);
}

async function fetchAll(req, res, url) {
    given('upstream', upstream);
    const [n, together] = times(url.searchParams, 100), path = url.searchParams.get('path');
    const sizes = await each(n, together, async () => {
        const answer = await fetch(upstream + path);
        if (!answer.ok) throw new Refused(502, `the upstream: status ${answer.status}`);
        return (await answer.arrayBuffer()).byteLength;
    });
    res.end(`${sizes.reduce((a, b) => a + b)}`);
}

// Each read is done by a thread of libuv's pool: asynchronous for the handler, blocking for that thread.
async function file(req, res, url) {
    const [n, together] = times(url.searchParams, 100), size = 4096;
    const opened = await fs.open('/proc/self/exe'), blocks = Math.floor((await opened.stat()).size / size);
    const reads = await each(n, together, i => opened.read(Buffer.alloc(size), 0, size, i % blocks * size));
    await opened.close();
    res.end(`${reads.reduce((sum, {bytesRead}) => sum + bytesRead, 0)}`);
}

// A query waits for one of the pool's connections; without a limit as many wait as come.
async function db(req, res, url) {
    given('pg', pool);
    const [n, together] = times(url.searchParams, 500), ms = url.searchParams.get('ms');
    const seconds = ms === null ? 0 : number('ms', ms, 0, 60000) / 1000;
    const results = await each(n, together, () => pool.query(
        'SELECT id, randomnumber FROM world, pg_sleep($2::float8) WHERE id = $1',
        [1 + Math.floor(Math.random() * 10000), seconds]));
    res.setHeader('Content-Type', 'application/json');
    res.end(JSON.stringify(results.map(({rows: [row]}) => ({id: row.id, randomNumber: row.randomnumber}))));
}

// The calls of a request carry its trace on, each with a span of its own: fetch does not do so by itself.
async function stack(req, res, url) {
    given('pg', pool);
    given('upstream', upstream);
    const together = choice('mode', url.searchParams.get('mode'), 'seq', 'all') === 'all';
    const ms = url.searchParams.get('ms'), seconds = ms === null ? 0 : number('ms', ms, 0, 60000) / 1000;
    const [, trace, , flags] = (req.headers.traceparent ?? '').split('-');
    const span = () => trace ? `00-${trace}-${crypto_.randomBytes(8).toString('hex')}-${flags}` : '';
    const service = async () => {
        const headers = trace ? {traceparent: span()} : {};
        return (await (await fetch(upstream + url.searchParams.get('path'), {headers})).text()).length;
    };
    const database = async () => (await pool.query(
        "SELECT id, randomnumber FROM set_config('application_name', $3, false) AS trace, " +
        'pg_sleep($2::float8 + 0 * length(trace)), world WHERE id = $1',
        [1 + Math.floor(Math.random() * 10000), seconds, span()])).rows[0];
    const calls = [service, database];
    const [bytes, row] = await each(2, together, i => calls[i]());
    res.setHeader('Content-Type', 'application/json');
    res.end(JSON.stringify({bytes, row: {id: row.id, randomNumber: row.randomnumber}}));
}

const routes = [['/delay/', delay], ['/crypto', crypto], ['/fetch', fetchAll], ['/file', file], ['/db', db],
    ['/stack', stack]];

const server = http.createServer(async (req, res) => {
    const url = new URL(req.url, 'http://localhost');
    const [, handler] = routes.find(([path]) => url.pathname.startsWith(path)) ?? [];
    res.setHeader('Content-Type', 'text/plain');
    if (!handler) return res.writeHead(404).end('no such path\n');
    try {
        await handler(req, res, url);
    } catch (error) {
        res.writeHead(error.status ?? 502).end(`${error.message}\n`);
    }
});
server.listen(Number(port), '127.0.0.1', () =>
    console.error(`node: ready http://127.0.0.1:${server.address().port} pid=${process.pid}`));
