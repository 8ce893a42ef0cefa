// The page of torc-lab: asks the server that sent it, and draws what came of that.
'use strict';

const LIMIT = 6; // connections of a browser to an origin over HTTP/1.1
const PG_CONNECTIONS = 4; // of a core of the server to its database
const ROUNDS = 4; // of each mode: that all of one take longer than all of the other is chance once in seventy
const LESS = 0.6; // of the time one after another, at most, that requests or waits together take
const EVERY = 2000; // ms, of the live measures
const HEAD = 20, FOOT = 20, LANE_MOST = 32; // px
const calm = matchMedia('(prefers-reduced-motion: reduce)');

let now, v; // the experiment that is shown, and its parameters
let groups = []; // what is drawn: the requests of each way to ask
let running = null; // an AbortController
let server = null, last = null; // the last reading of the measures, and what the next is compared with
let asked = 0; // no two have the same URL, so that none waits for another's answer in the cache

class Refused extends Error {
    constructor(status, text) {
        super(text.trim());
        this.status = status;
    }
}

// ---- small things ----

function time(ms) {
    return `${number(ms, ms < 10 ? 1 : 0)} ms`;
}

function median(values) {
    const sorted = [...values].sort((a, b) => a - b), half = sorted.length >> 1;
    return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

// ---- the server's measures ----

async function read() {
    const answer = await fetch('measures', {cache: 'no-store'});
    if (!answer.ok) throw new Refused(answer.status, await answer.text());
    return answer.json();
}

// L, P and A of the time between readings: pairs of them.
function measures(pairs) {
    const sum = key => pairs.reduce((all, [from, to]) => all + Math.max(to[key] - from[key], 0), 0);
    const wall = sum('wall_seconds'), lived = sum('request_lifetime_seconds');
    return {
        L: lived / wall, P: sum('request_oncore_seconds') / wall,
        A: lived ? Math.max(1 - sum('request_held_seconds') / lived, 0) : 0,
    };
}

function showLive(found) {
    const text = {
        l: found ? number(found.L, 2) : '–', p: found ? number(found.P, 3) : '–',
        a: found && found.L >= 0.01 ? number(found.A, 2) : '–', // else of little but the readings themselves
    };
    for (const [key, value] of Object.entries(text)) $(`live-${key}`).textContent = value;
}

// They stop while an experiment runs, which needs all connections, and while nobody looks.
async function live() {
    const may = () => $('live').checked && !running && !document.hidden;
    try {
        const found = may() ? await read() : null;
        showLive(last && found && may() ? measures([[last, found]]) : null);
        last = may() ? found : null;
        if (found) showServer(found);
    } catch {
        last = null;
        showLive(null);
        $('server').textContent = 'The server does not answer.';
    }
    setTimeout(live, EVERY);
}

function showServer(found) {
    server = found;
    const what = found.engine === 'threads' ? 'threads, a connection each' : found.cores === 1 ? 'core' : 'cores';
    $('server').textContent = `Engine ${found.engine}, ${number(found.cores)} ${what}.`;
}

// ---- a request ----

async function ask(group, path, signal) {
    const url = new URL(`${path}${path.includes('?') ? '&' : '?'}request=${++asked}`, location.href).href;
    const bar = {url, called: performance.now(), sent: null, end: null};
    group.bars.push(bar);
    drawGroups();
    const answer = await fetch(url, {cache: 'no-store', signal});
    const text = await answer.text();
    bar.end = performance.now();
    if (!answer.ok) throw new Refused(answer.status, text);
    took(bar);
    drawGroups();
    return bar;
}

// When it was sent and answered, only the browser knows, and a little later.
function took(bar) {
    const [entry] = performance.getEntriesByName(bar.url);
    if (!entry || !entry.responseEnd) return false;
    bar.sent = entry.requestStart || bar.called;
    bar.end = entry.responseEnd;
    return true;
}

async function settle(group) {
    for (let i = 0; i < 50 && !group.bars.map(took).every(Boolean); i++)
        await new Promise(done => setTimeout(done, 20));
    for (const bar of group.bars) bar.sent ??= bar.called;
}

function peak(bars) {
    return Math.max(...bars.map(one => bars.filter(bar => bar.sent <= one.sent && one.sent < bar.end).length));
}

// ---- the experiments ----

function theoryOfA(what) {
    return what.engine === 'threads' ? '0' : '1';
}

const client = {
    title: 'The client decides',
    parameters: [
        {name: 'n', label: 'requests', low: 2, high: 48, usual: 12},
        {name: 'ms', label: 'ms that each takes the server', low: 20, high: 2000, usual: 200},
    ],
    question: v => `A page needs ${v.n} answers, each of which takes the server ${time(v.ms)}. How long does it take ` +
        'to have all?',
    prompt: 'Asked for together, all are there after about:',
    choices: v => {
        const rounds = Math.ceil(v.n / LIMIT);
        return [
            {value: v.ms, text: `${time(v.ms)}, for the server handles them in parallel`},
            ...(rounds > 1 ? [{value: rounds * v.ms, text: `${time(rounds * v.ms)}: some of them have to wait`}] : []),
            {value: v.n * v.ms, text: `${time(v.n * v.ms)}: one after another`},
        ];
    },
    seconds: v => (v.n + Math.ceil(v.n / LIMIT)) * v.ms / 1000,
    groups: () => [{title: 'one after another', bars: []}, {title: 'together', bars: []}],
    commands: v => [1, v.n].map(c => `torc-load --connections ${c} --requests ${v.n} ${location.origin}/delay/${v.ms}`),

    async run(v, [one, together], signal) {
        const path = `delay/${v.ms}`;
        await measured(one, async () => {
            for (let i = 0; i < v.n; i++) await ask(one, path, signal);
        });
        await measured(together, () => Promise.all(Array.from({length: v.n}, () => ask(together, path, signal))));
    },

    conclude(v, [one, together]) {
        const took = group => Math.max(...group.bars.map(bar => bar.end)) - group.bars[0].called;
        const a = took(one), b = took(together), most = peak(together.bars), alone = peak(one.bars);
        const waited = Math.max(...together.bars.map(bar => bar.sent - bar.called));
        const rounds = Math.ceil(v.n / LIMIT);
        const nearest = this.choices(v).map(choice => ({...choice, far: Math.abs(Math.log(b / choice.value))}))
            .reduce((best, choice) => choice.far < best.far ? choice : best);
        const limit = most < v.n ? ` The browser had at most ${most} of them in progress at once: the last one waited ` +
            `${time(waited)} before it was sent, and the server did not know of it.` : ` All ${v.n} were in progress at once.`;
        return {
            found: nearest, shown: time(b),
            holds: a >= v.n * v.ms * 0.99 && alone === 1 && most > 1 && b <= LESS * a,
            verdict: `${v.n} requests of ${time(v.ms)} took ${time(a)} one after another and ${time(b)} together, ` +
                `${number(a / b, 1)} times as fast. The server is the same, the client decides.${limit}`,
            theory: `One after another: ${v.n} × ${time(v.ms)} = ${time(v.n * v.ms)} at least. Together: a browser has ` +
                `${LIMIT} connections to an origin over HTTP/1.1, with one request on each, so ${v.n} requests take ` +
                `${rounds} × ${time(v.ms)}. L = λW: ${v.n} ÷ ${time(rounds * v.ms)} × ${time(v.ms)} = ` +
                `${number(v.n / rounds, 1)}. A request that waits for a timer needs no core, so P is near 0; it holds ` +
                'no thread either, so A is near 1, except on the engine threads, where A is 0.',
            rows: [
                ['Time', time(a), time(v.n * v.ms), time(b), time(rounds * v.ms)],
                ['Most in progress', alone, 1, most, Math.min(v.n, LIMIT)],
                ...threeRows(one, '≤ 1', together, `≤ ${number(v.n / rounds, 1)}`),
            ],
        };
    },
};

const WAITS = {
    fetch: {
        text: 'HTTP calls: /fetch', path: v => `fetch?n=${v.n}&path=/delay/${v.ms}`, needs: 'upstream',
        start: () => `Start it with --upstream ${location.origin}, and it asks itself.`, together: v => v.ms,
    },
    db: {
        text: 'queries: /db', path: v => `db?n=${v.n}&ms=${v.ms}`, needs: 'pg',
        start: () => 'Start it with --pg and the address of a PostgreSQL.',
        together: v => Math.ceil(v.n / PG_CONNECTIONS) * v.ms,
    },
    file: {text: 'reads of a file: /file', path: v => `file?n=${v.n}`},
};

const sequence = {
    title: 'Awaiting in a loop is sequential',
    parameters: [
        {name: 'what', label: 'what the handler waits for', options: WAITS},
        {name: 'n', label: 'answers that it needs', low: 2, high: 20, usual: 8},
        {name: 'ms', label: 'ms that each takes (a file: as it comes)', low: 5, high: 1000, usual: 50},
    ],
    question: v => v.what === 'file'
        ? `A handler that never blocks its thread reads ${v.n} pieces of a file in memory. Does it help to read them together?`
        : `A handler that never blocks its thread needs ${v.n} answers of ${time(v.ms)}. How long does it take?`,
    prompt: 'Waiting for all together takes, beside waiting in a loop:',
    choices: () => [
        {value: 'long', text: 'as long, for the server is asynchronous'},
        {value: 'part', text: 'a part of the time, for waits in a loop add up'},
    ],
    seconds: v => ROUNDS * (v.what === 'file' ? 0.02 : (v.n + 1) * v.ms / 1000),
    groups: () => ['seq', 'all'].map(mode => ({title: `mode=${mode}`, mode, bars: [], apart: true})),
    commands: v => ['seq', 'all'].map(mode => `curl -sS -w ' bytes, %{time_total} s\\n' ` +
        `'${location.origin}/${WAITS[v.what].path(v)}&mode=${mode}'`),

    async run(v, modes, signal) {
        for (let i = 0; i < ROUNDS; i++) {
            for (const group of i % 2 ? [...modes].reverse() : modes)
                await measured(group, () => ask(group, `${WAITS[v.what].path(v)}&mode=${group.mode}`, signal));
        }
    },

    conclude(v, [seq, all]) {
        const times = group => group.bars.map(bar => bar.end - bar.sent);
        const [a, b] = [times(seq), times(all)], [one, other] = [median(a), median(b)];
        const wait = WAITS[v.what], part = other <= LESS * one && Math.max(...b) < Math.min(...a);
        const limit = v.what === 'db' ? ` With ${PG_CONNECTIONS} connections of a core to the database, ` +
            `${v.n} ÷ ${PG_CONNECTIONS} rounds.` : '';
        const said = `took ${time(one)} one after another and ${time(other)} together, ` +
            `${number(one / other, 1)} times as fast.`;
        const [found] = this.choices().filter(choice => choice.value === (part ? 'part' : 'long'));
        const range = values => [Math.min(...values), Math.max(...values)].map(ms => number(ms, ms < 10 ? 1 : 0)).join('–');
        const least = wait.needs ? [time(v.n * v.ms), time(wait.together(v))] : ['–', '–'];
        return {
            found, shown: found.text,
            holds: wait.needs ? part && one >= v.n * v.ms * 0.99 : null,
            verdict: wait.needs
                ? `${v.n} waits of ${time(v.ms)} ${said} The same handler, the same server: awaiting in a loop is sequential.`
                : `${v.n} reads of a file in memory ${said} They hardly wait, so there is ${part ? 'little' : 'nothing'} ` +
                    'to save but turns of the loop (take what is ready, run it, wait again): choose what waits, and compare.',
            theory: wait.needs
                ? `In a loop waits add up: ${v.n} × ${time(v.ms)} = ${time(v.n * v.ms)} at least. Together they take as ` +
                    `long as the longest: ${least[1]}.${limit} One request of this browser is in progress, and those ` +
                    'that it makes, if the server asks itself. It waits either way, so P is near 0 and A near 1, on ' +
                    'the engine threads 0: that a wait holds no thread does not make it shorter.'
                : 'A read of what is in memory does not wait, and what does not wait cannot overlap. One request is in ' +
                    "progress; nearly all its time is the browser's and the network's.",
            rows: [
                ['Time, median', time(one), least[0], time(other), least[1]],
                ['Range, ms', range(a), '', range(b), ''],
                ...threeRows(seq, '≤ 1', all, '≤ 1'),
            ],
        };
    },
};

const EXPERIMENTS = {client, sequence};

async function measured(group, what) {
    const before = await read();
    group.begun ??= performance.now();
    await what();
    (group.pairs ??= []).push([before, await read()]);
    await settle(group);
    drawGroups();
}

function threeRows(one, lOfOne, other, lOfOther) {
    const [a, b] = [one, other].map(group => measures(group.pairs)), [[, last]] = other.pairs;
    const held = theoryOfA(last);
    return [
        ['L', number(a.L, 2), lOfOne, number(b.L, 2), lOfOther],
        ['P', number(a.P, 3), '0', number(b.P, 3), '0'],
        ['A', number(a.A, 2), held, number(b.A, 2), held],
    ];
}

// ---- the address: #client?n=12&ms=200 ----

function address() {
    const [name, query = ''] = location.hash.slice(1).split('?');
    return {name, given: new URLSearchParams(query)};
}

function link() {
    return `${nameOf(now)}?${new URLSearchParams(now.parameters.map(({name}) => [name, v[name]]))}`;
}

function nameOf(experiment) {
    return Object.keys(EXPERIMENTS).find(name => EXPERIMENTS[name] === experiment);
}

// Within their bounds, whatever is being typed: an invalid form does not run.
function values() {
    const form = new FormData($('form')), within = ({name, low, high, usual}) =>
        Math.min(Math.max(Math.round(Number(form.get(name))) || usual, low), high);
    return Object.fromEntries(now.parameters.map(one => [one.name, one.options ? form.get(one.name) : within(one)]));
}

// ---- an experiment before its run ----

function showExperiment() {
    const {name, given} = address();
    if (now && !(name in EXPERIMENTS)) { // another part of the page
        history.replaceState(null, '', '#' + link());
        return;
    }
    if (now && '#' + link() === location.hash) return;
    stop();
    turnButtons(false);
    now = EXPERIMENTS[name] || client;
    document.title = `${now.title} – torc lab`;
    $('title').textContent = now.title;
    for (const a of document.querySelectorAll('nav a')) {
        if (a.hash === '#' + nameOf(now)) a.setAttribute('aria-current', 'page');
        else a.removeAttribute('aria-current');
    }
    showParameters(given);
    changed();
    $('prompt').textContent = now.prompt;
    showEmpty('After a run: your guess beside the result, the verdict, and the figures.');
}

function showParameters(given) {
    $('parameters').replaceChildren(...now.parameters.map(one => {
        const id = `p-${one.name}`;
        if (one.options) {
            const options = Object.entries(one.options).map(([value, {text}]) => make('option', {value}, text));
            const select = make('select', {id, name: one.name}, ...options);
            select.value = given.get(one.name) in one.options ? given.get(one.name) : usual(one.options);
            return make('div', {className: 'parameter wide'}, make('label', {htmlFor: id}, one.label), select);
        }
        const input = make('input', {
            type: 'number', id, name: one.name, min: one.low, max: one.high, step: 1, required: true,
            value: given.get(one.name) ?? one.usual,
        });
        return make('div', {className: 'parameter'}, make('label', {htmlFor: id}, one.label,
            make('small', {}, `${number(one.low)} to ${number(one.high)}`)), input);
    }));
}

// What this server has, if that is known.
function usual(options) {
    const [name] = Object.entries(options).find(([, {needs}]) => !needs || server && server[needs]);
    return name;
}

function changed() {
    const chosen = $('choices').querySelector('input:checked');
    v = values();
    history.replaceState(null, '', '#' + link());
    $('question').textContent = now.question(v);
    $('command').textContent = [...now.commands(v), `curl ${location.origin}/measures`].join('\n');
    $('choices').replaceChildren(...now.choices(v).map(({value, text}, i) => {
        const input = make('input', {type: 'radio', name: 'guess', value, id: `guess-${i}`});
        input.checked = chosen !== null && chosen.id === input.id;
        return make('div', {className: 'choice'}, input, make('label', {htmlFor: input.id}, text));
    }));
    const wait = WAITS[v.what];
    if (wait && server && !server[wait.needs] && wait.needs)
        say(`This server was started without --${wait.needs}, so it would answer 501. ${wait.start()}`);
    else say(`A run takes about ${number(Math.max(now.seconds(v), 0.1), 1)} s.`);
}

// As after a run, so that nothing moves.
function showEmpty(text) {
    groups = now.groups();
    drawGroups();
    $('guessed').textContent = $('found').textContent = '–';
    $('found-title').textContent = 'Found';
    $('verdict').className = '';
    $('verdict').textContent = text;
    $('theory').textContent = '';
    const rows = now === client ? ['Time', 'Most in progress'] : ['Time, median', 'Range, ms'];
    showTable([...rows, 'L', 'P', 'A'].map(name => [name, '–', '–', '–', '–']));
}

function showTable(rows) {
    const [one, other] = groups.map(group => group.title);
    const cell = text => make('td', {}, String(text));
    $('table').replaceChildren(
        make('caption', {}, 'Measured, beside what arithmetic says'),
        make('thead', {}, make('tr', {}, make('td'),
            ...[one, 'theory', other, 'theory'].map(text => make('th', {scope: 'col'}, text)))),
        make('tbody', {}, ...rows.map(([name, ...row]) =>
            make('tr', {}, make('th', {scope: 'row'}, name), ...row.map(cell)))));
}

// ---- the waterfall ----

function zero(group, bar) {
    return group.apart ? bar.called : group.begun;
}

function drawGroups() {
    const svg = $('waterfall'), frame = $('frame'), times = enlarged(frame.clientWidth);
    const wide = frame.clientWidth / times, high = frame.clientHeight / times;
    if (wide < 100) return; // not laid out now
    svg.setAttribute('viewBox', `0 0 ${wide} ${high}`);
    const clock = performance.now();
    const least = now === client ? v.n * v.ms : v.what === 'file' ? 1 : v.n * v.ms;
    const ends = groups.flatMap(group => group.bars.map(bar => (bar.end ?? clock) - zero(group, bar)));
    const most = Math.max(least * 1.02, ...ends) || 1;
    const lanes = now === client ? v.n : ROUNDS;
    const lane = Math.min((high - FOOT - HEAD * groups.length) / (lanes * groups.length), LANE_MOST);
    const x = ms => ms / most * wide;
    const foot = groups.length * (HEAD + lanes * lane), front = draw('g', {});
    svg.replaceChildren();
    groups.forEach((group, i) => {
        const top = i * (HEAD + lanes * lane) + HEAD;
        svg.append(draw('text', {x: 0, y: top - 6}, group.title));
        for (let k = 0; k < lanes; k++)
            svg.append(draw('rect', {class: 'lane', x: 0, y: top + k * lane, width: wide, height: lane * 0.85}));
        group.bars.forEach((bar, k) => front.append(drawBar(group, bar, k, x, top + k * lane, lane * 0.85, clock)));
    });
    for (let k = 0; k < 4; k++) {
        const at = k / 4 * wide;
        svg.append(draw('line', {class: 'tick', x1: at, x2: at, y1: HEAD, y2: foot}),
            draw('text', {x: at, y: foot + 14}, k ? time(k / 4 * most) : '0'));
    }
    svg.append(front);
    describe();
}

function drawBar(group, bar, k, x, y, height, clock) {
    const from = zero(group, bar), end = bar.end ?? clock, sent = bar.sent ?? bar.called;
    const rect = (name, a, b, part) => draw('rect', {
        class: name, x: x(a - from), y: y + height * (1 - part) / 2, width: Math.max(x(b - a), 1), height: height * part,
    });
    const words = bar.sent === null ? 'no answer yet'
        : `${time(sent - bar.called)} in the browser, then ${time(end - sent)} until its answer was there`;
    const parts = bar.sent === null ? [rect('open', bar.called, end, 0.6)]
        : [...(sent - bar.called >= 1 ? [rect('queue', bar.called, sent, 0.4)] : []), rect('sent', sent, end, 1)];
    return draw('g', {class: 'request'}, draw('title', {}, `Request ${k + 1}, ${group.title}: ${words}`), ...parts);
}

function describe() {
    const count = groups.reduce((all, group) => all + group.bars.length, 0);
    const done = groups.filter(group => group.bars.length && group.bars.every(bar => bar.sent !== null));
    const said = done.map(({title, bars}) =>
        `${title}: ${bars.length}, at most ${peak(bars)} in progress at once`);
    $('drawn').textContent = count ? `Drawn: ${count} ${count === 1 ? 'request' : 'requests'}` +
        (said.length ? `. ${said.join('; ')}.` : '.') : 'No requests yet.';
}

// ---- a run ----

// A keyboard's focus goes from one button to the other.
function turnButtons(runs) {
    const from = $(runs ? 'run' : 'stop'), to = $(runs ? 'stop' : 'run'), focused = document.activeElement === from;
    $('run').disabled = runs;
    $('stop').disabled = !runs;
    $('guess').disabled = $('change').disabled = runs;
    if (focused) to.focus({preventScroll: true});
}

function inWords(error, {what}) {
    if (!(error instanceof Refused)) return 'The server does not answer: is it still running?';
    const wait = WAITS[what];
    if (error.status === 501)
        return `This server cannot show that (501): ${error.message}. ${wait && wait.start ? wait.start() : ''}`;
    if (error.status === 502) return `What this server asks is down (502): ${error.message}.`;
    if (error.status === 504) return `What this server asks is too slow (504): ${error.message}.`;
    if (error.status === 503 || error.status === 429)
        return `This server has too much to do, or has a limit for you (${error.status}): ${error.message}.`;
    return `This server does not do that (${error.status}): ${error.message}.`;
}

async function run() {
    const chosen = $('choices').querySelector('input:checked');
    const guess = chosen && now.choices(v)[Number(chosen.id.slice(6))];
    const mine = running = new AbortController(), shown = now, given = v, begun = performance.now();
    showEmpty('The run goes on.');
    const own = groups;
    performance.clearResourceTimings();
    performance.setResourceTimingBufferSize(1000);
    turnButtons(true);
    showLive(null);
    say('The run has begun. The live measures rest meanwhile: they would take one of the browser’s connections.');
    const clock = setInterval(() => {
        $('progress').value = Math.min((performance.now() - begun) / 1000 / shown.seconds(given), 0.98);
        if (!calm.matches) drawGroups();
    }, 100);
    try {
        await shown.run(given, own, mine.signal);
        showResult(shown.conclude(given, own), guess);
        say('The run has ended: what came out is below the picture.');
    } catch (error) {
        if (own !== groups) return; // another experiment is shown
        $('verdict').textContent = 'The run brought no result.';
        if (mine.signal.aborted) say('Stopped.');
        else say(inWords(error, given), true);
        mine.abort(); // the others of a run that failed
    } finally {
        clearInterval(clock);
        $('progress').value = 0;
        running = null;
        turnButtons(false);
        for (const bar of own.flatMap(group => group.bars)) bar.end ??= performance.now();
        drawGroups();
    }
}

function showResult({found, shown, holds, verdict, theory, rows}, guess) {
    const right = guess && guess.value === found.value;
    $('guessed').textContent = guess ? guess.text : 'none';
    $('found').textContent = shown;
    $('found-title').textContent = right ? 'Found, as you guessed' : 'Found';
    $('verdict').className = holds === false ? 'not' : '';
    $('verdict').replaceChildren(
        make('b', {}, holds === null ? 'Here: ' : holds ? 'So it is here: ' : 'Not so here: '), verdict);
    $('theory').replaceChildren(make('b', {}, 'What arithmetic says: '), theory);
    showTable(rows);
}

function stop() {
    if (running) running.abort();
}

// ---- the page ----

async function begin() {
    document.documentElement.className = 'runs';
    await read().then(showServer, () => null);
    showExperiment();
    addEventListener('hashchange', showExperiment);
    addEventListener('pagehide', stop);
    new ResizeObserver(drawGroups).observe($('frame'));
    $('form').addEventListener('submit', event => {
        event.preventDefault();
        if (!running) run();
    });
    $('parameters').addEventListener('input', () => {
        changed();
        showEmpty('After a run: your guess beside the result, the verdict, and the figures.');
    });
    $('stop').addEventListener('click', stop);
    setTimeout(live, EVERY);
}

begin();
