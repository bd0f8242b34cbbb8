/* live.js - asks for /v1/stats and draws it. It writes text and elements, never HTML.
 * SPDX-License-Identifier: BSD-3-Clause */
'use strict';
(() => {
const PAGE = 4096, EVERY_MS = 1000, KEEP_MS = 300000, PATIENCE_MS = 5000;
const history = []; // {at, stats}, the newest last, of one server that has not been restarted
let stats = null, answered = 0;

// -- Elements. --

const $ = id => document.getElementById(id);

function make(name, attributes, ...children) {
  const svg = ['svg', 'g', 'path', 'line', 'circle', 'rect', 'text', 'title'].includes(name);
  const element = svg ? document.createElementNS('http://www.w3.org/2000/svg', name)
                      : document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {}))
    if (key === 'style') Object.assign(element.style, value);
    else element.setAttribute(key, value);
  element.append(...children);
  return element;
}

const color = name => `var(--${name})`;
const swatch = name => make('span', {class: 'swatch', style: {background: color(name)}});

// -- Numbers for people. --

function size(bytes) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let unit = 0;
  while (Math.abs(bytes) >= 1023.5 && unit < units.length - 1) { bytes /= 1024; unit++; }
  return `${unit && bytes < 99.95 ? +bytes.toFixed(1) : bytes.toFixed(0)} ${units[unit]}`;
}

const whole = number => number.toLocaleString('en');

function rate(number) {
  if (number >= 1e6) return `${+(number / 1e6).toFixed(1)} M`;
  if (number >= 1e4) return `${+(number / 1e3).toFixed(1)} k`;
  return number < 10 && number % 1 ? number.toFixed(1) : whole(Math.round(number));
}

function duration(seconds) {
  if (seconds < 1e-6) return `${(seconds * 1e9).toFixed(0)} ns`;
  if (seconds < 1e-3) return `${(seconds * 1e6).toPrecision(3)} µs`;
  if (seconds < 1) return `${(seconds * 1e3).toPrecision(3)} ms`;
  return `${seconds.toPrecision(3)} s`;
}

function span(seconds) {
  if (seconds < 120) return `${+seconds.toFixed(1)} s`;
  if (seconds < 7200) return `${+(seconds / 60).toFixed(1)} min`;
  return seconds < 172800 ? `${+(seconds / 3600).toFixed(1)} h` : `${+(seconds / 86400).toFixed(1)} days`;
}

const share = (part, all) => all > 0 ? `${(100 * part / all).toFixed(1)} %` : '–';

// A text that shows a number of /v1/stats tells which, for tests.
function show(element, text, of) {
  element.textContent = text;
  if (of) element.dataset.of = of;
}

// "1.5 GiB", the unit smaller.
function showBig(element, text, of) {
  const [number, ...unit] = text.split(' ');
  show(element, number, of);
  if (unit.length) element.append(make('small', null, unit.join(' ')));
}

// -- Rates. --

function rates(key) {
  const points = [];
  for (let i = 1; i < history.length; i++) {
    const seconds = (history[i].at - history[i - 1].at) / 1000;
    points.push({at: history[i].at, value: (history[i].stats[key] - history[i - 1].stats[key]) / seconds});
  }
  return points;
}

const values = key => history.map(one => ({at: one.at, value: one.stats[key]}));
const last = points => points.length ? points[points.length - 1].value : 0;

// -- Charts. --

// The least round number that is not below MOST; BINARY ones are sizes.
function roundUp(most, binary) {
  if (!(most > 0)) return binary ? 1024 : 4;
  let unit = binary ? Math.pow(1024, Math.floor(Math.log2(most) / 10)) : 1;
  if (most / unit < 1) unit = 1;
  const ten = Math.pow(10, Math.floor(Math.log10(most / unit)));
  for (const step of [1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10])
    if (step * ten * unit >= most) return Math.max(step * ten * unit, binary ? 0 : 4);
  return 10 * ten * unit;
}

function path(points, x, y) {
  let text = '', before = -Infinity;
  for (const point of points) {
    text += `${point.at - before > 4 * EVERY_MS ? 'M' : 'L'}${x(point.at).toFixed(1)} ${y(point.value).toFixed(1)}`;
    before = point.at;
  }
  return text;
}

// The last minutes: as many as there are, up to five.
function minutesShown() {
  const minutes = (history[history.length - 1].at - history[0].at) / 60000;
  return [1, 2, 3, 4].find(n => minutes <= n) || 5;
}

// Lines over the last minutes. SERIES: {name, color, points}; LIMIT: a line across.
function lineChart(host, series, {format, binary, limit, limitName}) {
  const keys = make('ul', {class: 'legend keys'}, ...series.map(one =>
    make('li', null, swatch(one.color), one.name, ' ', make('b', null, format(last(one.points))))));
  const tip = make('div', {class: 'tip'});
  host.replaceChildren(...(series.length > 1 ? [keys] : []), tip);
  // As high as its card leaves room for.
  const height = Math.max(168, host.clientHeight - (series.length > 1 ? keys.offsetHeight + 4 : 0));
  const width = host.clientWidth, left = binary ? 62 : 48, right = 8, top = 8, bottom = 20;
  const minutes = minutesShown(), shown = minutes * 60000;
  const now = history[history.length - 1].at, start = now - shown;
  const most = roundUp(Math.max(limit || 0, ...series.flatMap(one => one.points.map(p => p.value))), binary);
  const x = at => left + (width - left - right) * (at - start) / shown;
  const y = value => height - bottom - (height - top - bottom) * value / most;
  const svg = make('svg', {height, role: 'img',
    'aria-label': series.map(one => `${one.name} ${format(last(one.points))}`).join(', ')});

  for (let i = 0; i <= 2; i++) {
    const at = y(most * i / 2);
    svg.append(make('line', {class: i ? 'grid' : 'axis', x1: left, x2: width - right, y1: at, y2: at}),
      make('text', {x: left - 7, y: at + 4, 'text-anchor': 'end'}, format(most * i / 2)));
  }
  for (let ago = minutes * 60; ago >= 0; ago -= minutes > 2 ? 60 : 30)
    svg.append(make('text', {x: x(now - ago * 1000), y: height - 3,
      'text-anchor': ago === minutes * 60 ? 'start' : ago ? 'middle' : 'end'},
      !ago ? 'now' : ago % 60 ? `${ago} s` : `${ago / 60} min`));
  if (limit)
    svg.append(make('line', {class: 'dash', x1: left, x2: width - right, y1: y(limit), y2: y(limit)}),
      make('text', {x: left + 4, y: y(limit) + 13}, limitName));
  for (const one of series)
    svg.append(make('path', {class: 'curve', d: path(one.points, x, y), style: {stroke: color(one.color)}}));
  for (const one of series)
    if (one.points.length)
      svg.append(make('circle', {class: 'ring', cx: x(one.points[one.points.length - 1].at),
        cy: y(last(one.points)), r: 4, style: {fill: color(one.color)}}));
  const cross = make('line', {class: 'cross', y1: top, y2: height - bottom});
  svg.append(cross);
  tip.before(svg);

  function point(clientX) {
    const at = start + (clientX - svg.getBoundingClientRect().left - left) / (width - left - right) * shown;
    const times = series[0].points.map(p => p.at);
    if (!times.length) return;
    let nearest = 0;
    times.forEach((time, i) => { if (Math.abs(time - at) < Math.abs(times[nearest] - at)) nearest = i; });
    const where = x(times[nearest]);
    cross.setAttribute('x1', where);
    cross.setAttribute('x2', where);
    tip.replaceChildren(make('div', null, `${Math.round((now - times[nearest]) / 1000)} s ago`),
      ...series.map(one => make('div', null, swatch(one.color), one.name,
        make('b', null, format(one.points[nearest].value)))));
    cross.style.visibility = tip.style.visibility = 'visible';
    tip.style.left = `${Math.max(0, where > width / 2 ? where - tip.offsetWidth - 10 : where + 10)}px`;
  }
  svg.onpointermove = event => { host.hover = event.clientX; point(event.clientX); };
  svg.onpointerleave = () => {
    host.hover = null;
    cross.style.visibility = tip.style.visibility = 'hidden';
  };
  if (host.hover != null) point(host.hover);
}

function spark(host, points, name) {
  const width = host.clientWidth, height = host.clientHeight || 26;
  const shown = points.slice(-60), most = Math.max(1, ...shown.map(p => p.value));
  const end = history[history.length - 1].at;
  const x = at => width - 3 - (width - 6) * (end - at) / 60000;
  const y = value => height - 2 - (height - 5) * value / most;
  host.replaceChildren(make('svg', {height, 'aria-hidden': 'true'},
    make('path', {class: 'curve', d: path(shown, x, y), style: {stroke: color(name)}})));
}

// PARTS: {color, value, title}
function stack(host, parts) {
  host.replaceChildren(...parts.filter(part => part.value > 0).map(part =>
    make('div', {title: part.title, style: {flexGrow: part.value, flexBasis: 0, background: color(part.color)}})));
}

// PARTS: {name, color, value, of}
function stackWithLegend(id, parts) {
  stack($(`${id}-stack`), parts.map(part => ({...part, title: `${part.name}: ${size(part.value)}`})));
  $(`${id}-legend`).replaceChildren(...parts.map(part => {
    const number = make('b');
    show(number, size(part.value), part.of);
    return make('li', null, swatch(part.color), part.name, ' ', number);
  }));
}

function nothing(host, why) {
  host.replaceChildren(make('p', {class: 'none'}, why));
}

function barChart(host, ages, name, unitName) {
  const unit = ages.unit_seconds, pages = ages.pages;
  if (!unit) return nothing(host, 'Pages do not age: there is no idle-age.');
  const width = host.clientWidth, height = 150, left = 48, right = 4, top = 8, bottom = 20;
  const most = roundUp(Math.max(...pages)), step = (width - left - right) / pages.length;
  const y = value => height - bottom - (height - top - bottom) * value / most;
  const svg = make('svg', {height, role: 'img', 'aria-label': unitName});
  for (let i = 0; i <= 2; i++) {
    const at = y(most * i / 2);
    svg.append(make('line', {class: i ? 'grid' : 'axis', x1: left, x2: width - right, y1: at, y2: at}),
      make('text', {x: left - 7, y: at + 4, 'text-anchor': 'end'}, rate(most * i / 2)));
  }
  pages.forEach((count, i) => {
    const x = left + i * step, bar = Math.min(step - 2, 22);
    const says = `${span(i * unit)}${i + 1 < pages.length ? ` to ${span((i + 1) * unit)}` : ' and more'}: ` +
      `${whole(count)} pages`;
    const h = Math.max(count > 0 ? 2 : 0, height - bottom - y(count)), r = Math.min(3, h, bar / 2);
    svg.append(make('g', null, make('title', null, says),
      make('rect', {x, y: top, width: step, height: height - top - bottom, fill: 'transparent'}),
      make('path', {style: {fill: color(name)}, d: h ? `M${x + 1} ${height - bottom}v${r - h}q0 ${-r} ${r} ${-r}` +
        `h${bar - 2 * r}q${r} 0 ${r} ${r}v${h - r}z` : ''})));
  });
  for (const i of width < 420 ? [0, 12, 31] : [0, 8, 16, 24, 31])
    svg.append(make('text', {x: i === 31 ? width - right : left + i * step, y: height - 4,
      'text-anchor': i === 31 ? 'end' : 'start'}, i === 31 ? `${span(31 * unit)} +` : span(i * unit)));
  host.replaceChildren(svg);
}

const QUANTILES = ['p50', 'p90', 'p99', 'p999'];
const SOURCES = {same: ['same-filled', 'aqua'], ram: ['in RAM', 'blue'],
  backing: ['on the backing store', 'violet'], in_flight: ['on its way', 'orange']};
const sourceName = source => (SOURCES[source] || [source])[0];
const sourceColor = source => (SOURCES[source] || [0, 'blue'])[1];

function latencyChart(host, latencies) {
  const rows = Object.entries(latencies).filter(([, one]) => one.p50 !== null);
  if (!rows.length) return nothing(host, 'No read was timed yet.');
  const width = host.clientWidth, narrow = width < 420, left = 8, right = 12, row = 40;
  const height = rows.length * row + 20;
  const low = Math.floor(Math.log10(Math.min(...rows.map(([, one]) => one.p50))));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...rows.map(([, one]) => one.p999)))));
  const x = seconds => left + (width - left - right) * (Math.log10(seconds) - low) / (high - low);
  const svg = make('svg', {height, role: 'img', 'aria-label': 'quantiles on a scale of powers of ten'});
  for (let decade = low; decade <= high; decade++) {
    const at = x(Math.pow(10, decade));
    svg.append(make('line', {class: 'grid', x1: at, x2: at, y1: 0, y2: height - 20}));
    if (!narrow || (decade - low) % 2 === 0)
      svg.append(make('text', {x: at, y: height - 4,
        'text-anchor': decade === low ? 'start' : decade === high ? 'end' : 'middle'},
        duration(Math.pow(10, decade) * 1.0000001).replace(/\.0+ /, ' ')));
  }
  rows.forEach(([source, one], i) => {
    const y = i * row + 25, style = {fill: color(sourceColor(source))};
    svg.append(make('text', {class: 'name', x: left + 2, y: y - 11}, sourceName(source)),
      make('line', {x1: x(one.p50), x2: x(one.p999), y1: y, y2: y, 'stroke-width': 3, 'stroke-linecap': 'round',
        style: {stroke: color(sourceColor(source)), opacity: 0.35}}));
    for (const quantile of QUANTILES.slice().reverse())
      svg.append(make('circle', {class: 'ring', cx: x(one[quantile]), cy: y, r: quantile === 'p50' ? 6 : 4.5, style},
        make('title', null, `${sourceName(source)}, ${quantile}: ${duration(one[quantile])}`)));
  });
  host.replaceChildren(svg);
}

// -- The page. --

const TIERS = [
  ['compressed', 'blue', 'compressed in RAM'],
  ['same', 'aqua', 'one word repeated, in the slot'],
  ['huge', 'yellow', 'raw in RAM: incompressible'],
  ['stored', 'violet', 'compressed on the backing store'],
];

function drawTiers() {
  const content = TIERS.reduce((sum, [tier]) => sum + stats.slots[tier], 0);
  stack($('tiers'), content ? TIERS.map(([tier, name]) => ({color: name, value: stats.slots[tier],
    title: `${tier}: ${whole(stats.slots[tier])} pages`})) : [{color: 'empty', value: 1, title: 'empty'}]);
  $('tier-table').tBodies[0].replaceChildren(...[...TIERS, ['empty', 'empty', 'zeroes; nothing is kept']].map(
    ([tier, name, says]) => {
      const pages = stats.slots[tier], number = make('td');
      show(number, whole(pages), `slots.${tier}`);
      return make('tr', null, make('td', null, swatch(name), tier), number, make('td', null, size(pages * PAGE)),
        make('td', null, tier === 'empty' ? '–' : share(pages, content)), make('td', {class: 'says'}, says));
    }));
}

function drawTiles() {
  const inRam = stats.orig_data_size - PAGE * stats.slots.stored;
  const ratio = stats.compr_data_size > 0 ? inRam / stats.compr_data_size : 0;
  showBig($('ratio'), ratio ? `${ratio.toFixed(2)} : 1` : '–');
  show($('ratio-note'), ratio ? `${size(inRam)} of pages in ${size(stats.compr_data_size)} of objects` :
    'no object in RAM');
  showBig($('ram'), size(stats.mem_used_total), 'mem_used_total');
  show($('ram-note'), stats.mem_limit ? `of ${size(stats.mem_limit)}` : 'no memory-limit');
  const part = stats.mem_limit ? stats.mem_used_total / stats.mem_limit : 0;
  $('ram-meter').hidden = !stats.mem_limit;
  // With a backing store that is as it should be.
  $('ram-meter').className = part > 0.95 && stats.backing.state !== 'ok' ? 'meter high' : 'meter';
  $('ram-meter').firstElementChild.style.width = `${Math.min(100, 100 * part)}%`;
  showBig($('content'), size(stats.orig_data_size), 'orig_data_size');
  show($('content-note'), `of ${size(stats.disk_size)}`);
  for (const [id, key, name] of [['reads', 'pages_read', 'blue'], ['writes', 'pages_written', 'orange']]) {
    const points = rates(key);
    showBig($(id), points.length ? rate(last(points)) : '–');
    spark($(`${id}-spark`), points, name);
  }
}

function drawRam() {
  const other = stats.mem_used_total - stats.compr_data_size - stats.pool_free_size;
  const parts = [
    {name: 'objects', color: 'blue', value: stats.compr_data_size, of: 'compr_data_size'},
    {name: 'tables, codecs, buffers', color: 'violet', value: Math.max(0, other)},
    {name: 'free places', color: 'yellow', value: stats.pool_free_size, of: 'pool_free_size'},
  ];
  if (stats.mem_limit)
    parts.push({name: 'up to the limit', color: 'empty', value: Math.max(0, stats.mem_limit - stats.mem_used_total)});
  stackWithLegend('ram', parts);
  lineChart($('ram-chart'), [{name: 'RAM in use', color: 'blue', points: values('mem_used_total')}],
    {format: size, binary: true, limit: stats.mem_limit, limitName: 'memory-limit'});
}

function drawBacking() {
  const {state, kind} = stats.backing, chip = $('backing-state');
  show(chip, state === 'none' ? 'none' : `${kind}: ${state}`, 'backing.state');
  chip.className = `chip ${state === 'ok' ? 'good' : state === 'none' ? '' : 'bad'}`;
  if (state === 'none') {
    for (const id of ['backing-stack', 'backing-legend']) $(id).replaceChildren();
    nothing($('backing-chart'), 'Pages stay in RAM: there is no backing store.');
    return;
  }
  stackWithLegend('backing', [
    {name: 'live objects', color: 'violet', value: stats.bd_live_size, of: 'bd_live_size'},
    {name: 'dead, padding', color: 'yellow', value: Math.max(0, stats.bd_used_size - stats.bd_live_size)},
    {name: 'never filled', color: 'empty', value: Math.max(0, stats.backing.size - stats.bd_used_size)},
  ]);
  const segments = make('b');
  show(segments, `${stats.segments_in_use} of ${stats.segments_in_use + stats.segments_free}`, 'segments_in_use');
  $('backing-legend').append(make('li', null, 'segments under way ', segments));
  lineChart($('backing-chart'), [
    {name: 'fetched', color: 'orange', points: rates('bd_reads')},
    {name: 'written back', color: 'violet', points: rates('bd_writes')},
    {name: 'promoted', color: 'aqua', points: rates('promotions')},
  ], {format: rate});
}

function drawLatencies() {
  latencyChart($('latency-chart'), stats.read_latency);
  $('latency-table').tBodies[0].replaceChildren(...Object.entries(stats.read_latency).map(([source, one]) =>
    make('tr', null, make('td', null, swatch(sourceColor(source)), sourceName(source)),
      ...QUANTILES.map(quantile => {
        const cell = make('td');
        show(cell, one[quantile] === null ? '–' : duration(one[quantile]), `read_latency.${source}.${quantile}`);
        return cell;
      }), make('td', {'data-of': `read_latency.${source}.timed`}, whole(one.timed)))));
}

function drawAll() {
  const rows = [];
  for (const [key, value] of Object.entries(stats)) {
    if (value !== null && typeof value === 'object') continue;
    const cell = make('td');
    show(cell, value === null ? 'none' : typeof value === 'number' ? whole(value) : `${value}`, key);
    rows.push(make('tr', null, make('td', null, key), cell,
      make('td', {class: 'says'}, /_(size|total|limit|max)$/.test(key) && typeof value === 'number' ? size(value) : '')));
  }
  $('all').tBodies[0].replaceChildren(...rows);
}

const NEVER_RIGHT = {
  failed_reads: 'Reads that got an error',
  failed_writes: 'Writes that got an error, mostly for want of RAM',
  corrupt_objects: 'Fetched objects that failed their checksum',
  failed_writebacks: 'Segments that could not be written, whose pages stay in RAM',
};
const BACKING_TROUBLE = {
  full: 'The backing store is full: pages stay in RAM.',
  'over-budget': 'writeback-limit is used up: pages stay in RAM until it refills.',
  away: 'The NBD server of the backing store does not answer: reads of stored pages wait, pages in RAM stay there.',
  failed: 'Writes to the backing store fail again and again.',
};

function drawAlerts() {
  const alerts = Object.entries(NEVER_RIGHT).filter(([key]) => stats[key] > 0)
    .map(([key, says]) => `${says}: ${whole(stats[key])}`);
  if (BACKING_TROUBLE[stats.backing.state]) alerts.unshift(BACKING_TROUBLE[stats.backing.state]);
  const same = [...$('alerts').children].map(one => one.textContent).join() === alerts.join();
  if (!same) $('alerts').replaceChildren(...alerts.map(text => make('p', {class: 'alert'}, text)));
}

function draw() {
  if (!stats) return;
  show($('what'), `${size(stats.disk_size)} · ${stats.compressor} · zslot ${stats.version}`);
  for (const one of [drawAlerts, drawTiles, drawTiers, drawRam, drawBacking, drawLatencies, drawAll]) one();
  lineChart($('request-chart'), [
    {name: 'read', color: 'blue', points: rates('pages_read')},
    {name: 'written', color: 'orange', points: rates('pages_written')},
    {name: 'trimmed', color: 'aqua', points: rates('pages_trimmed')},
  ], {format: rate});
  barChart($('age-chart'), stats.ages, 'blue', 'pages by age');
  barChart($('promotion-chart'), stats.promoted, 'aqua', 'promotions by age');
  document.body.dataset.drawn = (+document.body.dataset.drawn || 0) + 1;
}

// -- Asking. --

function keep(answer) {
  const before = stats;
  // A counter that went back is another server's.
  if (before && (answer.pages_read < before.pages_read || answer.pages_written < before.pages_written))
    history.length = 0;
  stats = answer;
  const at = performance.now();
  history.push({at, stats});
  while (history[0].at < at - KEEP_MS) history.shift();
}

function setState(live, text) {
  $('state').className = live ? 'state live' : 'state away';
  show($('state'), text);
  document.body.className = live ? '' : 'away-page';
}

async function ask() {
  const timer = new AbortController(), late = setTimeout(() => timer.abort(), PATIENCE_MS);
  try {
    const answer = await fetch('/v1/stats', {cache: 'no-store', credentials: 'omit', signal: timer.signal});
    if (!answer.ok) throw new Error(answer.status);
    keep(await answer.json());
    answered = performance.now();
    setState(true, 'live');
    draw();
  } catch (error) {
    setState(false, answered ? `no answer for ${span(Math.round((performance.now() - answered) / 1000))}` : 'no answer');
  }
  clearTimeout(late);
  setTimeout(ask, EVERY_MS);
}

addEventListener('resize', () => history.length && draw());
ask();
})();
