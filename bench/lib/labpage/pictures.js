// The pictures of a result, drawn from the data that the report has too: bars, lines, stacks of parts, lanes.
'use strict';

const ROW = 40, BAR = 12, LANE_HIGH = 8, GROUP = 22, PLOT = 200; // px
const AXIS = 38, MARGIN = 46, LETTER = 6.6; // below a plot, left of lines, of text
const APART = 75, HIGH_APART = 45; // ticks, at most, of an axis that lies and of one that stands
const PART_HIGH = [1, 0.6, 0.3]; // a part is not told by its colour alone
const PART_LOOKS = ['k0', 'k1', 'k7'];
const DASHES = ['', '7 3', '2 2', '9 2 2 2'];

function compact(value) {
    for (const [least, by, letter] of [[1e9, 1e9, 'G'], [1e6, 1e6, 'M'], [1e4, 1e3, 'k']])
        if (Math.abs(value) >= least) return `${Number((value / by).toPrecision(3))}${letter}`;
    return Number(value.toPrecision(4)).toLocaleString('en-US', {maximumFractionDigits: 6});
}

function linear(most, pixels, apart) {
    const rough = most / Math.max(pixels / apart, 2), power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].find(times => times * power >= rough) * power;
    const ticks = Array.from({length: Math.floor(most / step + 1e-9) + 1}, (_, i) => i * step);
    return {at: value => value / most * pixels, ticks};
}

function logarithmic(low, high, pixels) {
    const steps = high / low > 300 ? [1] : [1, 2, 5], ticks = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++)
        ticks.push(...steps.map(step => step * 10 ** power).filter(value => value >= low && value <= high));
    return {at: value => Math.log(value / low) / Math.log(high / low) * pixels, ticks};
}

function scaleOf(picture, values, pixels, air, apart = APART) {
    if (!picture.log) return linear(Math.max(...values, 1e-9) * 1.03, pixels, apart);
    return logarithmic(Math.min(...values) / air, Math.max(...values) * air, pixels);
}

// The axis of x at the bottom, with its grid.
function bottom(svg, picture, scale, left, high, pixels, top = 0) {
    const places = scale.ticks.map(value => [left + scale.at(value), compact(value)]);
    let free = -Infinity; // a label that would touch the one before it is left out
    for (const [x, text] of places) {
        svg.append(draw('line', {class: 'tick', x1: x, x2: x, y1: top, y2: high}));
        const half = text.length * LETTER / 2, middle = Math.min(Math.max(x, half), left + pixels - half);
        if (middle - half < free) continue;
        svg.append(draw('text', {x: middle, y: high + 14, 'text-anchor': 'middle'}, text));
        free = middle + half + 4;
    }
    svg.append(draw('text', {x: left + pixels / 2, y: high + 32, 'text-anchor': 'middle'}, picture.x));
}

function rowText(svg, wide, y, name, text) {
    const room = Math.max(Math.floor((wide - LETTER * (text.length + 2)) / LETTER), 8);
    const shortened = name.length > room ? name.slice(0, room - 1) + '…' : name;
    svg.append(draw('text', {x: 0, y, class: 'row'}, shortened),
        draw('text', {x: wide, y, 'text-anchor': 'end'}, text));
}

function drawBars(svg, picture, wide) {
    const rows = picture.bars.filter(one => one.value > 0 || !picture.log), high = rows.length * ROW;
    if (!rows.length) return 0;
    const scale = scaleOf(picture, rows.flatMap(one => one.limit ? [one.value, one.limit] : [one.value]), wide, 1.6);
    bottom(svg, picture, scale, 0, high, wide);
    rows.forEach((one, i) => {
        const y = i * ROW + 19, x = scale.at(one.value);
        rowText(svg, wide, y - 5, one.name, one.text);
        if (picture.log) svg.append(draw('circle', {class: 'mark k0', cx: x, cy: y + BAR / 2, r: 5}));
        else svg.append(draw('rect', {class: 'mark k0', x: 0, y, width: Math.max(x, 1), height: BAR}));
        if (!one.limit) return;
        const at = scale.at(one.limit);
        svg.append(draw('line', {class: 'mark limit', x1: at, x2: at, y1: y - 3, y2: y + BAR + 3}));
    });
    return high;
}

function drawStacks(svg, picture, wide) {
    const rows = picture.stacks, high = rows.length * ROW;
    const sum = one => one.values.reduce((all, value) => all + value, 0);
    const scale = scaleOf(picture, rows.map(sum), wide, 1);
    bottom(svg, picture, scale, 0, high, wide);
    rows.forEach((one, i) => {
        let left = 0;
        rowText(svg, wide, i * ROW + 14, one.name, one.text);
        one.values.forEach((value, part) => {
            const height = (BAR + 4) * PART_HIGH[part], y = i * ROW + 27 - height / 2;
            const width = scale.at(left + value) - scale.at(left);
            const look = {class: `mark ${PART_LOOKS[part]}`, x: scale.at(left), y, width, height};
            if (value > 0) svg.append(draw('rect', look));
            left += value;
        });
    });
    return high;
}

function drawGroups(svg, picture, wide) {
    const lanes = picture.groups.flatMap(group => group.lanes);
    const high = picture.groups.length * GROUP + lanes.length * LANE_HIGH;
    const scale = scaleOf(picture, lanes.flatMap(lane => lane.map(span => span[2])), wide, 1);
    bottom(svg, picture, scale, 0, high, wide);
    let y = 0;
    for (const group of picture.groups) {
        rowText(svg, wide, y + 15, group.name, group.text);
        y += GROUP;
        for (const lane of group.lanes) {
            for (const [part, from, to] of lane) {
                const height = (LANE_HIGH - 1.5) * PART_HIGH[part], width = Math.max(scale.at(to) - scale.at(from), 1);
                svg.append(draw('rect', {
                    class: `mark ${PART_LOOKS[part]}`, x: scale.at(from), y: y + (LANE_HIGH - height) / 2, width, height,
                }));
            }
            y += LANE_HIGH;
        }
    }
    return high;
}

// The lines that have points, each with its look: those of theory are grey.
function linesOf(picture) {
    let measured = 0;
    return picture.lines.map(one => ({...one, points: one.points.filter(([, y]) => y > 0 || !picture.log)}))
        .map(one => one.theory ? {...one, look: 'k7', dash: '4 4'}
            : {...one, look: `k${measured % 4}`, dash: DASHES[measured++ % 4]})
        .filter(one => one.points.length);
}

function drawLines(svg, picture, wide) {
    const lines = linesOf(picture), all = lines.flatMap(one => one.points), top = 20, right = wide - MARGIN - 6;
    if (!all.length) return 0;
    const x = linear(Math.max(...all.map(([x]) => x)) * 1.02, right, APART);
    const y = scaleOf(picture, all.map(([, y]) => y), PLOT - top, 1.3, HIGH_APART);
    const place = ([a, b]) => [MARGIN + x.at(a), PLOT - y.at(b)];
    for (const one of picture.shades) {
        const [from, to] = [one.begin, one.end].map(value => MARGIN + x.at(value));
        svg.append(draw('rect', {class: 'shade', x: from, y: top, width: to - from, height: PLOT - top}));
    }
    bottom(svg, picture, x, MARGIN, PLOT, right, top);
    for (const value of y.ticks) {
        const at = PLOT - y.at(value);
        svg.append(draw('line', {class: 'tick', x1: MARGIN, x2: MARGIN + right, y1: at, y2: at}),
            draw('text', {x: MARGIN - 6, y: at + 4, 'text-anchor': 'end'}, compact(value)));
    }
    for (const {look, dash, points, theory} of lines) {
        const d = 'M' + points.map(point => place(point).map(value => value.toFixed(1)).join(' ')).join('L');
        svg.append(draw('path', {class: `mark line ${look}`, d, 'stroke-dasharray': dash}));
        if (theory && points.length > 1) continue;
        for (const point of points) {
            const [cx, cy] = place(point);
            svg.append(draw('circle', {class: `mark ${look}`, cx, cy, r: points.length > 12 ? 2 : 3.5}));
        }
    }
    const shaded = picture.shades.map(one => `, shaded: ${one.name}`).join('');
    svg.append(draw('text', {x: 0, y: 11}, picture.y + shaded));
    return PLOT;
}

const DRAWN = [['groups', drawGroups], ['stacks', drawStacks], ['lines', drawLines], ['bars', drawBars]];

function legendOf(picture) {
    const parts = new Set([
        ...picture.groups.flatMap(group => group.lanes.flatMap(lane => lane.map(([part]) => part))),
        ...picture.stacks.flatMap(one => one.values.flatMap((value, part) => value > 0 ? [part] : [])),
    ]);
    const swatch = (shape, text) => make('li', {},
        draw('svg', {class: 'swatch', viewBox: '0 0 24 12', 'aria-hidden': 'true'}, shape), text);
    return [
        ...picture.parts.flatMap((text, part) => parts.has(part) ? [swatch(draw('rect', {
            class: PART_LOOKS[part], width: 24, y: 6 - 6 * PART_HIGH[part], height: 12 * PART_HIGH[part],
        }), text)] : []),
        ...linesOf(picture).map(({look, dash, name}) => swatch(
            draw('path', {class: `line ${look}`, d: 'M0 6H24', 'stroke-dasharray': dash}), name)),
    ];
}

// Its rows in words, for who does not see them.
function spoken(picture) {
    const parts = one => one.values.map((value, part) => `${compact(value)} ${picture.parts[part]}`).join(', ');
    return [
        `${picture.title}. ${captionOf(picture)}`,
        ...picture.bars.map(one => `${one.name}: ${one.text}.`),
        ...picture.stacks.map(one => `${one.name}: ${parts(one)}.`),
        ...picture.groups.map(one => `${one.name}: all answered after ${one.text}.`),
        ...picture.shades.map(one => `${one.name}: from ${compact(one.begin)} to ${compact(one.end)}.`),
        ...linesOf(picture).map(one => {
            const [from, to] = [one.points[0], one.points[one.points.length - 1]].map(point => point.map(compact));
            return `${one.name}: ${from[1]} at ${from[0]}, ${to[1]} at ${to[0]}.`;
        }),
    ].join(' ');
}

function captionOf(picture) {
    return picture.caption + (picture.log ? ' The axis is logarithmic: equal distances are equal factors.' : '');
}

function figureOf(picture) {
    const svg = draw('svg', {class: 'plot', role: 'img', 'aria-label': spoken(picture)});
    svg.picture = picture;
    return make('figure', {className: 'picture'}, make('p', {className: 'title'}, picture.title),
        make('ul', {className: 'legend'}, ...legendOf(picture)), svg,
        make('figcaption', {}, captionOf(picture)));
}

// Once they are on the page, and again whenever its width is another.
function drawPictures() {
    for (const svg of document.querySelectorAll('svg.plot')) {
        const times = enlarged(svg.clientWidth), wide = svg.clientWidth / times;
        if (wide < 100) continue; // not laid out now
        svg.replaceChildren();
        const [, drawn] = DRAWN.find(([kind]) => svg.picture[kind].length) ?? [];
        const high = drawn ? drawn(svg, svg.picture, wide) + AXIS : 0;
        svg.setAttribute('viewBox', `0 0 ${wide} ${high}`);
        svg.setAttribute('height', high * times);
    }
    for (const svg of document.querySelectorAll('.trace svg')) drawSpans(svg);
}
