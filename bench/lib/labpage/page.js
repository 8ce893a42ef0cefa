// The page of torc-bench lab. waterfall.js draws the requests of a run, pictures.js what came out.
'use strict';

const SLIDER = 200; // steps

let experiments = [], now; // the experiment that is shown
let steps = [], shown = -1, follows = true; // the newest step is shown until the reader chooses one
let running = null; // an AbortController

// ---- small things ----

function time(seconds) {
    const ms = seconds * 1000;
    if (ms < 1) return `${number(ms * 1000)} µs`;
    return `${number(ms, ms < 100 ? 1 : 0)} ms`;
}

function bound(text) { // a line does not end within '10 ms' or '≤ 1'
    return text.replace(/(?<=\d) (?=(%|µs|ms)(\W|$))|(?<=[≤≥]) /g, '\u00a0');
}

function plural(count, word) {
    return `${number(count)} ${word}${count === 1 ? '' : 's'}`;
}

// ---- the address: #models?connections=500&engine=epoll ----

function address() {
    const [name, query = ''] = decodeURI(location.hash.slice(1)).split('?');
    return {name, given: new URLSearchParams(query)};
}

function link() {
    const query = new URLSearchParams(new FormData($('form')));
    query.delete('guess');
    return query.size ? `${now.name}?${query}` : now.name;
}

function remember() {
    history.replaceState(null, '', '#' + link());
    $('command').textContent = `bench/torc-bench lab '${link()}'`;
    const values = Object.fromEntries(new FormData($('form')));
    $('question').textContent = now.template
        ? now.template.replace(/\{(\w+)\}/g, (_, name) => Number(values[name]).toLocaleString('en-US'))
        : now.question;
}

// ---- an experiment before its run ----

function showExperiment() {
    const {name, given} = address();
    const wanted = experiments.find(one => one.name === name);
    if (wanted === now && now) { // a link to other parameters
        if ('#' + link() === location.hash) return;
    }
    stop();
    now = wanted || experiments[0];
    document.title = `${now.title} – torc lab`;
    $('title').textContent = now.title;
    $('lacks').hidden = !now.lacks;
    $('lacks').textContent = now.lacks ? `It cannot run here: it ${now.lacks}.` : '';
    $('run').disabled = Boolean(now.lacks);
    for (const a of $('experiments').querySelectorAll('a')) {
        if (a.dataset.name === now.name) a.setAttribute('aria-current', 'page');
        else a.removeAttribute('aria-current');
    }
    showChosen();
    showGuess(now.guess);
    showParameters(given);
    showSources();
    clear();
    $('result').style.minHeight = '';
    $('result').replaceChildren(
        make('p', {className: 'empty'}, 'After a run: your guess beside the result, the verdict, and the figures.'));
    remember();
    if (name && !wanted) say(`There is no experiment ${name} here: this is another one.`, true);
    else say(now.lacks ? '' : `A run takes about ${Math.max(5, Math.round(now.seconds / 5) * 5)} s.`);
}

// In the strip of experiments, which a phone scrolls.
function showChosen() {
    const list = $('experiments'), a = list.querySelector('[aria-current]');
    if (!a) return;
    const at = a.getBoundingClientRect(), room = list.getBoundingClientRect();
    list.scrollLeft += at.left + at.width / 2 - room.left - room.width / 2;
}

function showGuess(guess) {
    $('prompt').textContent = guess.prompt;
    if (guess.kind === 'choice') {
        $('choices').replaceChildren(...guess.choices.map((text, i) => {
            const input = make('input', {type: 'radio', name: 'guess', value: i, id: `guess-${i}`});
            return make('div', {className: 'choice'}, input, make('label', {htmlFor: input.id}, text));
        }));
        return;
    }
    const output = make('output', {htmlFor: 'amount'}, 'move the slider');
    const slider = make('input', {
        type: 'range', id: 'amount', min: 0, max: SLIDER, value: SLIDER / 2, 'aria-labelledby': 'prompt',
    });
    slider.addEventListener('input', () => {
        slider.dataset.guessed = amount(guess, Number(slider.value));
        output.textContent = `${number(Number(slider.dataset.guessed))} ${guess.unit}`;
        slider.setAttribute('aria-valuetext', output.textContent);
    });
    const ends = make('small', {}, `${number(guess.low)} to ${number(guess.high)}`);
    $('choices').replaceChildren(slider, make('p', {}, output), ends);
}

function amount(guess, step) {
    const value = guess.low * (guess.high / guess.low) ** (step / SLIDER);
    return Number(value.toPrecision(2));
}

function guessed() {
    if (now.guess.kind === 'choice') {
        const chosen = $('choices').querySelector('input:checked');
        return chosen ? Number(chosen.value) : null;
    }
    const value = $('amount').dataset.guessed;
    return value === undefined ? null : Number(value);
}

function showParameters(given) {
    const rows = now.parameters.map(one => {
        const input = make('input', {
            type: 'number', id: `p-${one.name}`, name: one.name, min: one.low, max: one.high, step: 1, required: true,
            value: given.get(one.name) ?? one.usual,
        });
        const label = make('label', {htmlFor: input.id}, one.label,
            make('small', {}, `${number(one.low)} to ${number(one.high)}`));
        return make('div', {className: 'parameter'}, label, input);
    });
    if (now.engines.length) {
        const options = now.engines.map(name => make('option', {value: name}, name));
        const select = make('select', {id: 'p-engine', name: 'engine'}, ...options);
        if (now.engines.includes(given.get('engine'))) select.value = given.get('engine');
        rows.push(make('div', {className: 'parameter'},
            make('label', {htmlFor: select.id}, 'engine of the server',
                make('small', {}, 'how it learns from Linux which requests are ready')), select));
    }
    if (!rows.length) rows.push(make('p', {}, 'Nothing: both engines are part of this experiment.'));
    $('parameters').replaceChildren(...rows);
}

function showSources() {
    const parts = now.sources.map(({file, c, node}) => make('div', {className: 'code'},
        make('h3', {}, 'JavaScript for Node.js'), make('pre', {tabIndex: 0}, make('code', {}, node)),
        make('details', {}, make('summary', {}, `The same in C, as the server here runs it: ${file}`),
            make('pre', {tabIndex: 0}, make('code', {}, c)))));
    $('sources').replaceChildren(...(parts.length ? parts : [make('p', {}, 'See src/lab in the sources of torc.')]));
}

// ---- a run ----

const on = {
    begin() {
        say('The run has begun.');
    },
    step(event) {
        steps.push({...event, strips: [], done: false});
        if (follows) showStep(steps.length - 1);
        else showTurns();
        say(`Step ${steps.length}: ${event.server}.`);
    },
    strip(event) {
        steps[event.step].strips.push(event);
        if (event.step === shown) drawStep();
    },
    visit(event) {
        visit(event).catch(error => say(`Your browser could not ask: ${error.message}`, true));
    },
    measured(event) {
        Object.assign(steps[event.step], {done: true, measured: event});
        if (event.step === shown && !steps[event.step].strips.length) drawStep();
    },
    finding(event) {
        showResult(event);
        say('The run has ended: what came out is below the picture.');
    },
    failed(event) {
        say(`The run failed: ${event.text}`, true);
    },
};

// This browser asks the server of the experiment, from a frame that may ask nobody else.
async function visit({url, count, mode}) {
    say('Your browser asks the server.');
    const frame = make('iframe', {hidden: true, src: 'visit.html', title: 'requests of this browser'});
    const seen = new Promise(done => addEventListener('message', function hear(event) {
        if (event.origin !== location.origin || event.source !== frame.contentWindow) return;
        removeEventListener('message', hear);
        done(event.data);
    }));
    const loaded = new Promise(done => frame.addEventListener('load', done));
    document.body.append(frame);
    await loaded;
    frame.contentWindow.postMessage({url, count, mode}, location.origin);
    await fetch('visited', {
        method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(await seen),
    });
    frame.remove();
}

// A keyboard's focus goes from the one button to the other, not astray.
function turnButtons(runs) {
    const from = $(runs ? 'run' : 'stop'), to = $(runs ? 'stop' : 'run'), focused = document.activeElement === from;
    $('run').disabled = runs || Boolean(now.lacks);
    $('stop').disabled = !runs;
    if (focused) to.focus({preventScroll: true});
}

async function run() {
    const guess = guessed();
    clear();
    $('result').style.minHeight = `${$('result').offsetHeight}px`; // what is below it does not move
    $('result').replaceChildren(make('p', {className: 'empty'}, 'The run goes on.'));
    const mine = running = new AbortController();
    mine.guess = guess;
    turnButtons(true);
    const begun = performance.now();
    const clock = setInterval(() => {
        $('progress').value = Math.min((performance.now() - begun) / 1000 / now.seconds, 0.98);
    }, 200);
    say('Starting the servers.');
    try {
        const answer = await fetch('run', {
            method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify({link: link()}),
            signal: mine.signal,
        });
        if (!answer.ok) throw new Error(await answer.text());
        await follow(answer.body.getReader());
        if (!$('status').textContent.includes('ended') && !$('status').className) say('The run was cut off.', true);
    } catch (error) {
        if (mine.signal.aborted) say('Stopped. The servers have been ended.');
        else if (error instanceof TypeError) say('The server does not answer: start bench/torc-bench lab again.', true);
        else say(error.message, true);
    } finally {
        clearInterval(clock);
        $('progress').value = 0;
        running = null;
        turnButtons(false);
        if (shown >= 0) showStep(follows ? telling() : shown);
        const empty = $('result').querySelector('.empty');
        if (empty) empty.textContent = 'The run brought no result.';
    }
}

// The step that makes the point of the experiment, where it has something to see.
function telling() {
    const point = steps.findIndex(step => step.point && step.strips.length);
    return point < 0 ? shown : point;
}

async function follow(reader) {
    const decoder = new TextDecoder();
    let rest = '';
    for (;;) {
        const {done, value} = await reader.read();
        if (done) return;
        const lines = (rest + decoder.decode(value, {stream: true})).split('\n');
        rest = lines.pop();
        for (const line of lines.filter(Boolean)) {
            const event = JSON.parse(line);
            if (event.event in on) on[event.event](event);
        }
    }
}

function stop() {
    if (running) running.abort();
}

// ---- the result ----

const FIGURE = /^([≥≤] ?)?-?[0-9][0-9.,]*( ?(%|µs|ms|s))?$|^–$/;

function table(title, header, rows) {
    const cell = (name, text, attributes = {}) => make(name, attributes, String(text));
    const whole = make('div', {className: 'scroll wide', tabIndex: 0, role: 'region', 'aria-label': title}, make('table', {},
        make('caption', {}, title),
        make('thead', {}, make('tr', {}, ...header.map(text => cell('th', text, {scope: 'col'})))),
        make('tbody', {}, ...rows.map(row => make('tr', {}, ...row.map(text => cell('td', text)))))));
    // On a phone a table for each column, so that what is to be compared stands one below the other.
    const names = Math.max(header.findIndex((_, i) => i && rows.every(row => FIGURE.test(row[i]))), 1);
    const tables = header.slice(names).map((text, i) => make('table', {}, make('caption', {}, text),
        make('tbody', {}, ...rows.map(row => make('tr', {},
            cell('th', row.slice(0, names).filter(Boolean).join(', '), {scope: 'row'}), cell('td', row[names + i]))))));
    return make('div', {}, whole, make('div', {className: 'narrow'}, make('h3', {}, title), ...tables));
}

function inWords(value) {
    if (value === null || value === undefined) return null;
    if (now.guess.kind === 'choice') return now.guess.choices[value];
    return `${number(Number(value.toPrecision(3)))} ${now.guess.unit}`;
}

function showResult(event) {
    const mine = inWords(running.guess), here = inWords(event.found);
    const unsure = event.state === 'unsure' ? 'this run does not tell' : 'the samples do not say';
    const beside = make('dl', {className: 'beside'},
        make('div', {}, make('dt', {}, 'You guessed'), make('dd', {}, mine ?? 'nothing')),
        make('div', {}, make('dt', {}, 'Measured here'), make('dd', {}, here ?? unsure)));
    const verdict = make('div', {className: `verdict ${event.state}`},
        make('p', {id: 'truth'}, bound(event.truth)),
        make('p', {id: 'verdict'}, make('b', {}, bound(event.heading), '. '), bound(event.verdict)),
        ...event.notes.map(text => make('p', {className: 'noise'}, bound(`Note: ${text}.`))));
    const late = (one, seconds) => (one.unsent ? '≥ ' : '') + time(seconds);
    const figures = one => one?.good ? [number(one.per_second), late(one, one.p50), late(one, one.p99)] : ['–', '–', '–'];
    const measures = steps.filter(step => step.measured).map((step, i) => {
        const {measured} = step, first = measured.flows[0]; // none where others than torc-load ask
        const of = (key, digits) => key in measured ? number(measured[key], digits) : '–';
        return [`${i + 1}: ${step.server}: ${step.asked.join('; ')}`, ...figures(first),
            of('concurrency', 1), of('parallelism', 2), of('asynchrony', 3)];
    }).filter(([, ...cells]) => cells.some(text => text !== '–'));
    const words = 'good/s: answers each second that came with success, and in time. p50 and p99: the times within which ' +
        '50 and 99 % of them came; ≥ where some requests were never sent, which count with the time that they had ' +
        'waited in the end. L, P and A are averages: requests in progress; requests whose code ' +
        'runs, one to a core at most (a server with threads counts those too that the system has interrupted); and the ' +
        'part of their time in which they hold no thread, from 0 to 1.';
    $('result').replaceChildren(verdict, make('p', {className: 'asked'}, now.guess.prompt), beside,
        make('p', {id: 'theory'}, make('b', {}, 'What arithmetic says: '), bound(event.theory)),
        make('div', {className: 'pictures'}, ...event.pictures.map(figureOf)),
        ...event.traces.map(drawTrace), table('The experiment', event.header, event.rows),
        ...(measures.length ? [make('details', {}, make('summary', {}, 'The figures of each step'),
            table('Of each step; where it has two kinds of requests, of the first', ['step', 'good/s', 'p50', 'p99',
                'in progress L', 'running P', 'without a thread A'], measures), make('p', {}, words))] : []));
    drawPictures();
    if (event.headline) $('headline').textContent = bound(`No: ${event.headline}.`);
}

// ---- the page ----

function turn(by) {
    follows = shown + by === steps.length - 1;
    showStep(shown + by);
}

async function begin() {
    try {
        const answer = await fetch('experiments.json');
        if (!answer.ok) throw new Error(await answer.text());
        experiments = await answer.json();
    } catch {
        say('The server does not answer: start bench/torc-bench lab again.', true);
        return;
    }
    $('experiments').replaceChildren(...experiments.map(one =>
        make('li', {}, make('a', {href: '#' + one.name, 'data-name': one.name}, one.title))));
    showExperiment();
    addEventListener('hashchange', showExperiment);
    addEventListener('pagehide', stop);
    addEventListener('resize', showChosen);
    new ResizeObserver(() => { // the window is another, or its text
        showChosen();
        sizeFrame();
        if (shown >= 0) drawStep();
        drawPictures();
    }).observe($('frame'));
    $('form').addEventListener('submit', event => {
        event.preventDefault();
        if (!running) run();
    });
    $('parameters').addEventListener('input', remember);
    $('stop').addEventListener('click', stop);
    $('back').addEventListener('click', () => turn(-1));
    $('forth').addEventListener('click', () => turn(1));
}

begin();
