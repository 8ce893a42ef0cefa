// The same request count times, one after another or all together, in a browser and in Node.js:
// node fetch.js URL COUNT seq|all prints when each answer was there, in ms.
'use strict';

async function ask(url, count, mode) {
    const begin = performance.now();
    const ends = [];
    const one = async number => {
        const answer = await fetch(`${url}?n=${number}`, {cache: 'no-store'});
        if (!answer.ok) throw new Error(`the server answers ${answer.status}`);
        await answer.text();
        ends.push(performance.now() - begin);
    };
    const numbers = Array.from({length: count}, (_, number) => number);
    if (mode === 'seq') {
        for (const number of numbers) await one(number);
    } else {
        await Promise.all(numbers.map(one));
    }
    return ends;
}

if (typeof process !== 'undefined') {
    const [url, count, mode] = process.argv.slice(2);
    fetch(new URL('/plaintext', url)) // the first fetch takes longer: it loads what fetches
        .then(answer => answer.text())
        .then(() => ask(url, Number(count), mode))
        .then(ends => console.log(JSON.stringify(ends)));
}
