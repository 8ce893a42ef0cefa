// The workloads of torc-bench on Node.js's http module: node server.js PORT CORES WWW
'use strict';

const cluster = require('node:cluster');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');

const BACKLOG = 4096;
const DELAY_MAX = 60000;
const WHOLE_FILE = 65536; // up to here a file is read at once and not streamed
const WHOLE_NUMBER = /^-?[0-9]{1,13}$/;

const [port, cores] = process.argv.slice(2, 4).map(Number);
const root = path.resolve(process.argv[4], 'static') + path.sep;
const files = new Map(); // open files by path, as nginx's open_file_cache keeps them

function reply(res, status, body, type = 'text/plain') {
    res.writeHead(status, {
        'Server': 'node', 'Content-Type': type, 'Content-Length': Buffer.byteLength(body),
    });
    res.end(body);
}

function wholeBody(req, then) {
    const parts = [];
    req.on('data', part => parts.push(part));
    req.on('end', () => then(parts.length === 1 ? parts[0] : Buffer.concat(parts)));
}

function baseline(req, res, query) {
    let sum = 0;
    for (const [name, value] of new URLSearchParams(query)) {
        if (!WHOLE_NUMBER.test(value)) {
            reply(res, 400, `${name} must be a whole number\n`);
            return;
        }
        sum += Number(value);
    }
    if (req.method !== 'POST') {
        reply(res, 200, String(sum));
        return;
    }
    wholeBody(req, body => {
        const text = body.toString('latin1');
        if (WHOLE_NUMBER.test(text)) reply(res, 200, String(sum + Number(text)));
        else reply(res, 400, 'the body must be a whole number\n');
    });
}

function delay(res, text) {
    const ms = Number(text);
    if (!/^[0-9]{1,5}$/.test(text) || ms > DELAY_MAX) {
        reply(res, 400, `the delay must be a whole number from 0 to ${DELAY_MAX}\n`);
        return;
    }
    const end = performance.now() + ms;
    const look = () => { // Node's timers may fire a little early
        const left = end - performance.now();
        if (left > 0) setTimeout(look, Math.ceil(left));
        else reply(res, 200, String(ms));
    };
    setTimeout(look, ms);
}

function upload(req, res) {
    let total = 0;
    req.on('data', part => { total += part.length; });
    req.on('end', () => reply(res, 200, String(total)));
}

function openFile(name, then) {
    const known = files.get(name);
    if (known) {
        then(null, known);
        return;
    }
    fs.open(name, (failed, fd) => {
        if (failed) {
            then(failed);
            return;
        }
        fs.fstat(fd, (error, stat) => {
            if (error || !stat.isFile() || files.has(name)) fs.close(fd, () => {});
            else files.set(name, {fd, size: stat.size});
            then(error, files.get(name));
        });
    });
}

function staticFile(res, name) {
    const full = path.resolve(root, name);
    if (!full.startsWith(root)) {
        reply(res, 404, 'no such file\n');
        return;
    }
    openFile(full, (failed, file) => {
        if (failed || !file) {
            reply(res, 404, 'no such file\n');
            return;
        }
        if (file.size > WHOLE_FILE) {
            res.writeHead(200, {
                'Server': 'node', 'Content-Type': 'text/plain', 'Content-Length': file.size,
            });
            fs.createReadStream(null, {fd: file.fd, autoClose: false, start: 0}).pipe(res);
            return;
        }
        const body = Buffer.allocUnsafe(file.size);
        fs.read(file.fd, body, 0, file.size, 0, (error, count) => {
            if (error || count !== file.size) reply(res, 500, 'cannot read the file\n');
            else reply(res, 200, body);
        });
    });
}

function handle(req, res) {
    const mark = req.url.indexOf('?');
    const name = mark < 0 ? req.url : req.url.slice(0, mark);
    if (name === '/plaintext') reply(res, 200, 'Hello, World!');
    else if (name === '/json')
        reply(res, 200, JSON.stringify({message: 'Hello, World!'}), 'application/json');
    else if (name === '/pipeline') reply(res, 200, 'ok');
    else if (name === '/baseline11') baseline(req, res, mark < 0 ? '' : req.url.slice(mark + 1));
    else if (name.startsWith('/delay/')) delay(res, name.slice(7));
    else if (name.startsWith('/static/')) staticFile(res, name.slice(8));
    else if (name === '/upload' && req.method === 'POST') upload(req, res);
    else if (name === '/echo' && req.method === 'POST')
        wholeBody(req, body => reply(res, 200, body, 'application/octet-stream'));
    else reply(res, 404, 'no such path\n');
}

function serve(ready) {
    const server = http.createServer({
        noDelay: true, keepAliveTimeout: 0, headersTimeout: 0, requestTimeout: 0,
    }, handle);
    server.listen({port, host: '127.0.0.1', backlog: BACKLOG}, () => ready(server.address().port));
}

const say = bound => console.error(`node: ready http://127.0.0.1:${bound} pid=${process.pid}`);

if (cores > 1 && cluster.isPrimary) {
    let waiting = cores;
    cluster.on('listening', (worker, address) => {
        if (--waiting === 0) say(address.port);
    });
    cluster.on('exit', () => process.exit(1));
    for (let i = 0; i < cores; i++) cluster.fork();
} else {
    serve(cores > 1 ? () => {} : say);
}
process.on('SIGTERM', () => process.exit(0));
