// The same request rounds times, one after another, each as the beginning of a trace of its own, in a browser and in
// Node.js: node stack.js URL ROUNDS prints for each its traceparent, in ms since 1970 when it was begun and when it was
// answered, and what the server has told by Server-Timing, which Node.js does not show.
'use strict';

function hex(bytes) {
    return Array.from(crypto.getRandomValues(new Uint8Array(bytes)), one => one.toString(16).padStart(2, '0')).join('');
}

async function begun(url) {
    const traceparent = `00-${hex(16)}-${hex(8)}-01`;
    const begin = performance.now();
    const answer = await fetch(url, {cache: 'no-store', headers: {traceparent}});
    if (!answer.ok) throw new Error(`the server answers ${answer.status}: ${await answer.text()}`);
    await answer.text();
    return {traceparent, begin, end: performance.now()};
}

// What the resource timing has is closer to the network than a clock around fetch.
async function askTraced(url, rounds) {
    const found = [];
    for (let i = 0; i < rounds; i++) {
        const numbered = `${url}&round=${i}`, one = await begun(numbered);
        await new Promise(done => setTimeout(done, 0)); // its entry comes after its answer
        const [entry] = performance.getEntriesByName(numbered, 'resource');
        const told = (entry && entry.serverTiming || []).map(({name, duration}) => [name, duration]);
        const since1970 = ms => performance.timeOrigin + ms;
        found.push({
            traceparent: one.traceparent,
            begin: since1970(entry ? entry.startTime : one.begin),
            end: since1970(entry && entry.responseEnd ? entry.responseEnd : one.end),
            told: Object.fromEntries(told),
        });
    }
    return found;
}

// client.html?stack&ROUNDS&PATH
function askByQuery(query) {
    const [, rounds, path] = query.match(/^(\d+)&(.*)$/);
    return askTraced(new URL(path, location.origin).href, Number(rounds));
}

if (typeof process !== 'undefined') {
    const [url, rounds] = process.argv.slice(2);
    globalThis.crypto ??= require('node:crypto').webcrypto;
    askTraced(url, Number(rounds)).then(found => console.log(JSON.stringify(found)));
}
