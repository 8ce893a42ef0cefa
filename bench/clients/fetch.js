// The same request count times, one after another or all together, in a browser and in Node.js:
// node fetch.js URL COUNT seq|all prints of each when it was asked for, sent and answered, in ms.
'use strict';

const ENTRY_MS = 1000; // that a browser may take to say what it has measured

// When a request was sent, as the browser has measured it; where none does, it was when it was asked for.
async function sentAt(url, asked) {
    const until = performance.now() + (typeof process === 'undefined' ? ENTRY_MS : 0);
    do {
        const [entry] = performance.getEntriesByName(url, 'resource');
        if (entry && entry.requestStart > 0) return Math.max(entry.requestStart, asked);
        await new Promise(done => setTimeout(done, 5));
    } while (performance.now() < until);
    return asked;
}

async function ask(url, count, mode) {
    const one = async number => {
        const mine = `${url}?n=${number}`, asked = performance.now();
        const answer = await fetch(mine, {cache: 'no-store'});
        if (!answer.ok) throw new Error(`the server answers ${answer.status}`);
        await answer.text();
        return {url: mine, asked, end: performance.now()};
    };
    const numbers = Array.from({length: count}, (_, number) => number);
    const all = [];
    if (mode === 'seq') {
        for (const number of numbers) all.push(await one(number));
    } else {
        all.push(...await Promise.all(numbers.map(one)));
    }
    const begin = Math.min(...all.map(one => one.asked)), round = ms => Math.round((ms - begin) * 100) / 100;
    const spans = [];
    for (const {url, asked, end} of all)
        spans.push([round(asked), round(await sentAt(url, asked)), round(end)]);
    return spans;
}

// client.html?fetch&PATH&COUNT&seq|all
function askByQuery(query) {
    const [path, count, mode] = query.split('&');
    return ask(new URL(path, location.href).href, Number(count), mode);
}

if (typeof process !== 'undefined') {
    const [url, count, mode] = process.argv.slice(2);
    fetch(new URL('/plaintext', url)) // the first fetch takes longer: it loads what fetches
        .then(answer => answer.text())
        .then(() => ask(url, Number(count), mode))
        .then(spans => console.log(JSON.stringify(spans)));
}
