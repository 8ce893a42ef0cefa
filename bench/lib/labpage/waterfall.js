// The requests of a run, while they happen. It is SVG of its own: no chart library draws lanes that grow
// while they are read, and this takes fewer lines than to bend one.
'use strict';

const STRIPS = 4, LANES = 20, CORES = 4; // as strips.py draws them
const LANE = 13, HEAD = 18, GAP = 8, HIGH = 392; // px, where text is as large as usual
const HEIGHTS = {queue: 0.6, run: 1, wait: 0.4, send: 0.8}; // of a lane: a phase is not told by its colour alone

function clear() {
    steps = [];
    shown = -1;
    follows = true;
    $('step').textContent = 'Real servers on this machine, asked by torc-load. Nothing is simulated.';
    $('drawn').textContent = 'No requests yet.';
    $('waterfall').replaceChildren();
    showTurns();
}

function showTurns() {
    $('back').disabled = shown <= 0;
    $('forth').disabled = shown < 0 || shown >= steps.length - 1;
}

function showStep(i) {
    shown = i;
    const step = steps[i];
    $('step').textContent = `Step ${i + 1}${running ? '' : ` of ${steps.length}`}, ${step.server}: ` +
        `${step.asked.join('; ')}.`;
    drawStep();
    showTurns();
}

function lanesOf(step) { // which route a lane has: that of most of its requests
    const names = new Map();
    for (const bar of step.strips.flatMap(strip => strip.bars))
        names.set(bar.lane, [...(names.get(bar.lane) ?? []), bar.name]);
    const times = (all, name) => all.filter(one => one === name).length;
    return new Map([...names].map(([lane, all]) =>
        [lane, all.reduce((best, name) => times(all, name) > times(all, best) ? name : best)]));
}

function sizeFrame() {
    $('frame').style.height = `${HIGH * enlarged($('frame').clientWidth)}px`;
}

function drawStep() {
    const svg = $('waterfall'), step = steps[shown];
    svg.replaceChildren();
    if (!step || !step.strips.length) {
        if (step && !step.recorded) {
            svg.setAttribute('viewBox', `0 0 ${NARROW} ${HIGH}`);
            svg.append(draw('text', {x: NARROW / 2, y: HIGH / 2, 'text-anchor': 'middle'}, 'Nothing to draw of this server'));
        }
        $('drawn').textContent = step && !step.recorded ? 'This server is another program, which records no requests.'
            : step && step.done ? 'No request of this step was seen.' : 'No requests yet.';
        return;
    }
    const wide = $('frame').clientWidth / enlarged($('frame').clientWidth);
    if (wide < 100) return; // not laid out now
    svg.setAttribute('viewBox', `0 0 ${wide} ${HIGH}`);
    const column = (wide - (STRIPS - 1) * GAP) / STRIPS;
    const all = step.strips[0].lanes, some = Math.min(all, CORES);
    const cores = HEAD, connections = HEAD + some * LANE + HEAD;
    const high = connections + LANES * LANE;
    const lanes = some < all ? `${some} of ${all} threads` : plural(all, step.server.startsWith('threads') ? 'thread' : 'core');
    step.strips.forEach((strip, i) => {
        const left = i * (column + GAP), x = ms => left + ms / strip.ms * column;
        svg.append(draw('text', {x: left, y: high + 13}, `${number(strip.ms)} ms,`),
            draw('text', {x: left, y: high + 27}, `at ${number(strip.at, 1)} s`));
        for (let lane = 0; lane < some; lane++)
            svg.append(draw('rect', {class: 'lane', x: left, y: cores + lane * LANE, width: column, height: LANE - 2}));
        for (let lane = 0; lane < LANES; lane++) {
            const y = connections + lane * LANE;
            svg.append(draw('rect', {class: 'lane', x: left, y, width: column, height: LANE - 2}));
        }
        for (const [core, from, to] of strip.cores) {
            const right = left + column, from_x = Math.min(x(from), right - 1);
            svg.append(draw('rect', {
                class: 'run', x: from_x, y: cores + core * LANE, width: Math.max(Math.min(x(to), right) - from_x, 1),
                height: LANE - 2,
            }));
        }
        for (const bar of strip.bars) svg.append(drawBar(bar, x, connections + bar.lane * LANE, left + column));
    });
    const routes = [...new Set(lanesOf(step).values())].sort();
    svg.append(draw('text', {x: 0, y: cores - 5}, lanes));
    const where = routes.length > 1 ? `, ${routes[0]} above, ${routes.slice(1).join(', ')} below` : `: ${routes[0]}`;
    const above = draw('text', {x: 0, y: connections - 5}, `connections${where}`);
    svg.append(above);
    const fits = above.getComputedTextLength() <= wide; // a phone's words are below the picture
    if (!fits) above.textContent = 'connections';
    describe(step, fits ? '' : `Rows: connections${where}. `);
}

function drawBar(bar, x, y, right) {
    const words = bar.phases.map(([, word, from, to]) => `${word} ${time((to - from) / 1000)}`).join(', ');
    const on = bar.core === null ? '' : ` on core ${bar.core}`; // nobody has it who waits for a thread
    const text = `${bar.name}${on}, ${time(bar.ms / 1000)}${bar.in_progress ? ' so far' : ''}: ${words}`;
    const group = draw('g', {class: 'request'}, draw('title', {}, text));
    for (const [kind, , from, to] of bar.phases) {
        const height = (LANE - 2) * HEIGHTS[kind], from_x = Math.min(x(from), right - 1);
        group.append(draw('rect', {
            class: kind, x: from_x, y: y + (LANE - 2 - height) / 2, height,
            width: Math.max(Math.min(x(to), right) - from_x, kind === 'wait' ? 0.5 : 1),
        }));
    }
    return group;
}

function describe(step, above) {
    const sum = key => step.strips.reduce((all, strip) => all + strip[key], 0);
    const drawn = step.strips.reduce((all, strip) => all + strip.bars.length, 0);
    const lanes = lanesOf(step).size, most = Math.max(...step.strips.map(strip => strip.connections));
    const whole = sum('seen');
    const share = ['queue', 'run', 'wait', 'send'].map(kind => {
        const part = step.strips.reduce((all, strip) => all + strip.share[kind] * strip.seen, 0) / whole;
        return `${kind} ${number(part * 100, part < 0.1 ? 1 : 0)} %`;
    });
    const queues = step.strips.filter(strip => strip.waiting !== undefined); // of a server with threads
    const waiting = Math.max(0, ...queues.map(strip => strip.waiting ?? 0));
    const line = waiting ? `Up to ${plural(waiting, 'request')} at a time waited for a thread, as the kernel tells: ` +
        'the server has not read them yet. '
        : queues.some(strip => strip.waiting === null) ? 'Requests that wait for a thread are not drawn. ' : '';
    $('drawn').textContent = bound('This shows a small sample: one row per connection, time goes right. ' +
        `${plural(drawn, 'request')} on ${plural(lanes, 'connection')} ${drawn === 1 ? 'is' : 'are'} drawn, of ` +
        `${plural(whole, 'request')} on ${plural(most, 'connection')} in ` +
        `${plural(step.strips.length, 'short strip')} of the time. ${line}Of their time ` +
        `${waiting ? 'since they came' : 'in the server'}: ${share.join(', ')}. ${above}What is short is drawn a pixel wide.`);
    $('drawn').dataset.requests = drawn;
}
