// The live river: what the page says already, moved by the stream of events. Without this file the page stands still and
// is refreshed. Figures of the other services are asked of themselves, by the browser; none of them asks another.

const river = document.getElementById("river");
const language = document.documentElement.lang;
const inWords = new Intl.NumberFormat(language === "en" ? "en-GB" : "vi-VN");
const figures = new Map([...document.querySelectorAll("[data-figure]")].map(one => [one.dataset.figure, one]));
const shownFor = 2000;
const latestMost = 20;
document.documentElement.classList.add("js");

// --- figures -----------------------------------------------------------------------------------------------------------

const valueOf = one => Number(one.textContent.replace(/\D/g, ""));

function setFigure(name, value, moves) {
  const one = figures.get(name);
  if (!one) return name === "broken" || !name.includes("/") || value === 0;
  const before = valueOf(one);
  if (before === value) return true;
  one.textContent = inWords.format(value);
  one.classList.toggle("nil", value === 0);
  const row = one.closest("tr[hidden]");
  if (row && value) row.hidden = false;
  if (moves) mark(one, value > before ? "up" : "down");
  return true;
}

function mark(one, name) {
  one.classList.remove("up", "down");
  one.classList.add(name);
  clearTimeout(one.timer);
  one.timer = setTimeout(() => one.classList.remove(name), shownFor);
}

function setFigures(said, whole) {
  let known = true;
  if (whole) for (const name of figures.keys()) if (!(name in said)) setFigure(name, 0, true);
  for (const [name, value] of Object.entries(said)) known = setFigure(name, value, true) && known;
  // A unit or a stage that the page does not have yet: it is asked for anew, once.
  if (!known && !sessionStorage.getItem("asked-anew")) {
    sessionStorage.setItem("asked-anew", "yes");
    location.reload();
  } else if (known) sessionStorage.removeItem("asked-anew");
}

// --- what happened -----------------------------------------------------------------------------------------------------

const latest = document.getElementById("latest");

function addMoved(moved) {
  const known = new Set([...latest.children].map(one => one.dataset.key));
  for (const { key, html } of moved.toReversed()) {
    if (known.has(key)) continue;
    const line = document.createElement("li");
    line.dataset.key = key;
    line.innerHTML = html; // rendered and escaped by the server, as the lines that were there at first
    line.className = "fresh";
    setTimeout(() => line.classList.remove("fresh"), shownFor);
    latest.prepend(line);
  }
  while (latest.children.length > latestMost) latest.lastElementChild.remove();
  document.getElementById("nothing").hidden = latest.children.length > 0;
}

// --- the stream --------------------------------------------------------------------------------------------------------

const live = document.getElementById("live");
let stream = null;
let told = river.dataset.after;

function say(state) {
  if (river.classList.contains(`is-${state}`)) return;
  river.classList.remove("is-live", "is-lost", "is-still");
  river.classList.add(`is-${state}`);
  live.textContent = live.dataset[state];
}

function heard(message, whole) {
  told = message.lastEventId;
  const news = JSON.parse(message.data);
  document.getElementById("at").innerHTML = news.at;
  setFigures(news.figures, whole);
  if (news.moved) addMoved(news.moved);
  if (news.minutes) setMinutes(news.minutes);
  say("live");
}

function open() {
  if (stream && stream.readyState !== EventSource.CLOSED) return;
  stream = new EventSource(`${river.dataset.stream}?after=${told}`);
  stream.addEventListener("all", message => heard(message, true));
  stream.addEventListener("change", message => heard(message, false));
  stream.addEventListener("open", () => say("live"));
  stream.addEventListener("error", () => {
    say("lost");
    // A refusal (the service starts again behind the door) ends an EventSource for good: a new one is opened.
    if (stream.readyState === EventSource.CLOSED) setTimeout(open, 3000);
  });
}

function close() {
  stream?.close();
  stream = null;
  say("still");
}

// A page that nobody sees holds no connection: browsers have six for a whole site.
document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
addEventListener("pagehide", close);
if (!document.hidden) open();

// --- what the other services say of themselves -------------------------------------------------------------------------

const cards = [...document.querySelectorAll("[data-service]")];
const before = new Map();

async function measure(card) {
  const service = card.dataset.service;
  const meter = name => card.querySelector(`[data-meter=${name}]`);
  const show = (name, value, much) => {
    const one = meter(name);
    if (!one) return;
    one.removeAttribute("title");
    one.textContent = value === null ? river.dataset.unknown : inWords.format(value);
    one.classList.toggle("much", value !== null && value >= much);
  };
  try {
    const answer = await fetch(`/${service}/operations/status`, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(answer.status);
    const said = await answer.json();
    const now = performance.now() / 1000;
    const last = before.get(service);
    before.set(service, { heard: said.heard, now });
    show("unsent", said.unsent, 1000);
    show("lag", Object.values(said.lag).reduce((sum, one) => sum + one, 0), 1000);
    if (last && said.heard >= last.heard) show("rate", Math.round((said.heard - last.heard) / (now - last.now)), Infinity);
  } catch {
    for (const name of ["unsent", "lag", "rate"]) show(name, null, 0);
  }
}

async function measureAll() {
  if (!document.hidden) await Promise.all(cards.map(measure));
  setTimeout(measureAll, 3000);
}
measureAll();

// --- charts: loaded when there is something to draw ----------------------------------------------------------------------

const hour = document.getElementById("hour");
const speakers = ["intake", "routing", "notification"];
const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const charts = [];
let hourChart = null;

function loadChart() {
  return new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = river.dataset.uplot;
    script.onload = done;
    script.onerror = failed;
    document.head.append(script);
  });
}

const axis = more => ({ stroke: colour("--quiet"), font: `14px "Source Sans 3", sans-serif`, grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, ...more });
const twoDigits = value => String(value).padStart(2, "0");
const clockOf = seconds => { const at = new Date(seconds * 1000); return `${twoDigits(at.getHours())}:${twoDigits(at.getMinutes())}`; };
const dayOf = seconds => { const at = new Date(seconds * 1000); return language === "en" ? `${at.getUTCDate()} ${at.toLocaleString("en-GB", { month: "short", timeZone: "UTC" })}` : `${twoDigits(at.getUTCDate())}/${twoDigits(at.getUTCMonth() + 1)}`; };
const count = value => (value === null || value === undefined ? "–" : inWords.format(value));
const whole = (self, splits) => splits.map(one => (Number.isInteger(one) ? inWords.format(one) : ""));

function sizeOf(element, height) {
  return { width: Math.max(200, element.clientWidth), height };
}

function hourData(minutes) {
  const end = Date.parse(minutes.end) / 1000;
  const length = minutes.intake.length;
  // The last minute is not over: it would always look like a fall.
  const times = Array.from({ length: length - 1 }, (_, place) => end - (length - 1 - place) * 60);
  return [times, ...speakers.map(each => minutes[each].slice(0, -1))];
}

function setMinutes(minutes) {
  for (const each of speakers) {
    const one = document.querySelector(`[data-minute=${each}]`);
    one.textContent = inWords.format(minutes[each].at(-2));
  }
  hourChart?.setData(hourData(minutes));
  [...document.getElementById("hour-table").rows].forEach((row, tens) => {
    row.cells[0].textContent = clockOf(Date.parse(minutes.end) / 1000 - (50 - tens * 10) * 60);
    speakers.forEach((each, place) => {
      const sum = minutes[each].slice(1 + tens * 10, 11 + tens * 10).reduce((all, one) => all + one, 0);
      row.cells[place + 1].textContent = inWords.format(sum);
    });
  });
}

function drawHour() {
  const minutes = { end: hour.dataset.end };
  for (const each of speakers) minutes[each] = hour.dataset[each].split(",").map(Number);
  const looks = [["--blue", []], ["--green", [6, 3]], ["--violet", [2, 3]]];
  hourChart = new uPlot({
    ...sizeOf(hour, 150),
    series: [{ value: (self, value) => (value ? clockOf(value) : "–"), label: river.dataset.when }, ...speakers.map((each, place) => ({
      label: hour.dataset[`name${each[0].toUpperCase()}${each.slice(1)}`], stroke: colour(looks[place][0]), dash: looks[place][1], width: 2, value: (self, value) => count(value), points: { show: false },
    }))],
    axes: [axis({ values: (self, splits) => splits.map(clockOf), space: 70 }), axis({ size: 40, values: whole })],
    scales: { y: { range: (self, low, high) => [0, Math.max(4, high * 1.1)] } },
    cursor: { drag: { x: false, y: false } },
  }, hourData(minutes), hour);
  charts.push([hourChart, hour, 150]);
}

function drawDays() {
  const element = document.getElementById("days");
  if (!element) return;
  const byDay = new Map(element.dataset.days.trim().split(/\s+/).map(one => one.split(":")).map(([day, ...counts]) => [day, counts.map(Number)]));
  const first = Date.parse(`${element.dataset.first}T00:00:00Z`) / 1000;
  const times = Array.from({ length: 30 }, (_, place) => first + place * 86400);
  const at = place => times.map(time => byDay.get(new Date(time * 1000).toISOString().slice(0, 10))?.[place] ?? 0);
  const [received, onTime, late] = [at(0), at(1), at(2)];
  const done = onTime.map((count, place) => count + late[place]);
  const beside = align => uPlot.paths.bars({ size: [0.38, 28], align });
  const plot = new uPlot({
    ...sizeOf(element, 240),
    series: [
      { value: (self, value) => (value ? dayOf(value) : "–"), label: river.dataset.day },
      { label: element.dataset.received, width: 0, fill: colour("--edge"), paths: beside(-1), points: { show: false }, value: (self, value) => count(value) },
      { label: element.dataset.onTime, width: 0, fill: colour("--blue"), paths: beside(1), points: { show: false }, value: (self, value, series, place) => (place === null ? "–" : count(onTime[place])) },
      { label: element.dataset.late, width: 0, fill: colour("--red"), paths: beside(1), points: { show: false }, value: (self, value) => count(value) },
    ],
    axes: [axis({ values: (self, splits) => splits.map(dayOf), space: 60 }), axis({ size: 44, values: whole })],
    scales: { x: { time: true, range: () => [times[0] - 43200, times.at(-1) + 43200] }, y: { range: (self, low, high) => [0, Math.max(4, high * 1.1)] } },
    tzDate: seconds => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
    cursor: { drag: { x: false, y: false }, points: { show: false } },
  }, [times, received, done, late], element);
  charts.push([plot, element, 240]);
}

await loadChart();
drawHour();
drawDays();
new ResizeObserver(() => charts.forEach(([plot, element, height]) => plot.setSize(sizeOf(element, height)))).observe(river);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  charts.splice(0).forEach(([plot]) => plot.destroy());
  drawHour();
  drawDays();
});
