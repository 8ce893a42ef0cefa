// One request through the layers: a bar for each, from when to when it had the request.
'use strict';

const SPAN = 36, SPAN_BAR = 14; // px, of a row and of its bar

function spanWords(one) {
    return `${one.name}: ${time((one.end - one.begin) / 1000)}, from ${time(Math.max(one.begin, 0) / 1000)}`;
}

function drawSpan(svg, one, row, x) {
    const y = row * SPAN;
    const rect = (kind, word, from, to, high) => draw('rect', {
        class: kind, x: x(from), y: y + 16 + (SPAN_BAR - high) / 2, height: high,
        width: x(Math.max(to, from)) - x(from),
    }, draw('title', {}, word));
    const bars = one.parts.length
        ? one.parts.map(([kind, word, from, to]) => rect(kind, `${word} ${time((to - from) / 1000)}`, from, to,
            SPAN_BAR * HEIGHTS[kind]))
        : [rect('span', spanWords(one), one.begin, one.end, SPAN_BAR)];
    svg.append(draw('text', {x: 12 * one.depth, y: y + 12}, one.name),
        draw('text', {x: '100%', y: y + 12, 'text-anchor': 'end'}, time((one.end - one.begin) / 1000)), ...bars);
}

function drawSpans(svg) {
    const times = enlarged(svg.clientWidth), wide = svg.clientWidth / times, high = svg.spans.length * SPAN;
    const last = Math.max(...svg.spans.map(one => one.end));
    svg.replaceChildren();
    svg.setAttribute('viewBox', `0 0 ${wide} ${high}`);
    svg.style.height = `${high * times}px`;
    svg.spans.forEach((one, row) => drawSpan(svg, one, row, ms => Math.max(ms, 0) / last * wide));
}

function drawTrace({title, caption, spans}) {
    const svg = draw('svg', {role: 'img', 'aria-label': `${title}. ${spans.map(spanWords).join('; ')}.`});
    svg.spans = spans;
    return make('div', {className: 'trace'}, make('h3', {}, title), svg, make('p', {}, caption));
}
