"""The page's style sheet: two sets of colours, one column that fits a phone."""

LIGHT = {
    "bg": "#ffffff",
    "panel": "#f5f6f7",
    "ink": "#1b1d21",
    "soft": "#555b64",
    "line": "#d8dbe0",
    "link": "#1a56b0",
    "bad": "#b01e3a",
    "good": "#1d7044",
    "warn": "#8a5300",
    "badbg": "#fdeef0",
    "s0": "#1f5fbf",
    "s1": "#b9500b",
    "s2": "#23794a",
    "s3": "#7a43b6",
    "s4": "#b3265e",
    "s5": "#0b7480",
    "s6": "#7a5b1c",
    "s7": "#5f6368",
}
DARK = {
    "bg": "#14161a",
    "panel": "#1d2025",
    "ink": "#e9eaec",
    "soft": "#a6acb6",
    "line": "#383d46",
    "link": "#8ab8ff",
    "bad": "#ff8fa0",
    "good": "#74d39e",
    "warn": "#f0b45e",
    "badbg": "#33191f",
    "s0": "#7db0ff",
    "s1": "#f2a25c",
    "s2": "#6fce98",
    "s3": "#c7a6f7",
    "s4": "#f590b4",
    "s5": "#5fd0dc",
    "s6": "#d7b56d",
    "s7": "#b3b8c0",
}
SERIES = 8  # colours s0 to s7, after that they repeat with another dash


def _variables(colours: dict[str, str]) -> str:
    return " ".join(f"--{name}: {value};" for name, value in colours.items())


def _blocks(table: str) -> str:
    """Rules under which the rows of these tables are blocks of values with their names."""
    return f"""
  {table}, {table} tbody {{ display: block; font-size: .875rem; }}
  {table} thead {{ position: absolute; width: 1px; height: 1px; overflow: hidden;
    clip-path: inset(50%); }}
  {table} tr {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr));
    gap: .3rem 1rem; padding: .6rem 0; border-bottom: 1px solid var(--line); }}
  {table} th, {table} td {{ border: 0; padding: 0; text-align: left; white-space: normal;
    min-width: 0; }}
  {table} tbody th, {table} .wide {{ grid-column: 1 / -1; }}
  {table} td::before {{ content: attr(data-label); display: block; color: var(--soft);
    font-size: .8125rem; }}
"""


RULES = (
    """
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body { margin: 0 auto; max-width: 90rem; padding: 1.5rem 1rem 4rem; background: var(--bg);
  color: var(--ink); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans",
  "DejaVu Sans", sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .35rem; letter-spacing: -.01em; }
h2 { font-size: 1.25rem; line-height: 1.25; margin: 3rem 0 .6rem; padding-top: .75rem;
  border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.75rem 0 .4rem; }
p, ul, ol, dl { margin: .5rem 0; max-width: 46rem; }
ul, ol { padding-left: 1.25rem; }
li { margin: .3rem 0; }
a { color: var(--link); text-underline-offset: .15em; }
a:focus-visible, [tabindex]:focus-visible, summary:focus-visible { outline: 2px solid var(--link);
  outline-offset: 2px; }
code, pre { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: .8125rem; }
main > section:first-child > h2 { margin-top: 1.5rem; }
.kind { text-transform: uppercase; letter-spacing: .08em; font-size: .75rem; font-weight: 600;
  color: var(--soft); margin: 0 0 .4rem; }
.meta, .soft, figcaption, .caption { color: var(--soft); font-size: .875rem; }
.meta { margin: 0; }
.answer { margin: 1.5rem 0 0; padding: 0; list-style: none; }
.answer li { padding-left: 1rem; border-left: 3px solid var(--line); margin: .6rem 0; }
.answer li:first-child { font-size: 1.2rem; line-height: 1.4; font-weight: 600;
  border-left-color: var(--s0); }
.alarm { max-width: 46rem; margin: 1.25rem 0; padding: .75rem 1rem; border-left: 4px solid var(--bad);
  background: var(--badbg); }
.option { white-space: nowrap; }
.caution { border-left-color: var(--warn); background: var(--panel); }
.alarm > :first-child { margin-top: 0; } .alarm > :last-child { margin-bottom: 0; }
nav { margin: 1.25rem 0 0; font-size: .875rem; }
nav ul { list-style: none; padding: 0; margin: 0; display: flex; flex-wrap: wrap;
  gap: .1rem 1.1rem; max-width: none; }
nav li { margin: 0; } nav a { display: inline-block; padding: .3rem 0; }
.scroll { overflow-x: auto; margin: 1rem 0; max-width: 100%;
  background:
    linear-gradient(to left, var(--bg) 40%, transparent) right / 3rem 100% no-repeat local,
    linear-gradient(to left, var(--line), transparent) right / .9rem 100% no-repeat scroll; }
table { border-collapse: collapse; font-size: .875rem; line-height: 1.35;
  font-variant-numeric: tabular-nums lining-nums; }
.caption { margin: 1.1rem 0 0; } .caption + .scroll { margin-top: .15rem; }
th, td { padding: .35rem .65rem; text-align: right; vertical-align: top; white-space: nowrap;
  border-bottom: 1px solid var(--line); }
thead th { vertical-align: bottom; font-weight: 600; border-bottom: 1px solid var(--soft); }
th:first-child { text-align: left; padding-left: 0; position: sticky; left: 0;
  background: var(--bg); font-weight: 600; min-width: 8.5rem; white-space: normal; }
.long th:first-child { min-width: 15rem; }
.words { text-align: left; } .wide { white-space: normal; min-width: 17rem; }
.unit { display: block; font-weight: 400; color: var(--soft); font-size: .8125rem; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 28rem), 1fr));
  gap: 1.5rem 2.5rem; margin: 1.25rem 0; align-items: start; }
figure { margin: 0; min-width: 0; max-width: 32rem; }
/* Its type is 9 units at least, of 360 in width: 11 px. A narrower screen has another plot, of 268
   units. */
.plot { display: block; width: 100%; height: auto; overflow: hidden; }
.phone { display: none; }
.plot text { fill: var(--ink); font-family: inherit; font-variant-numeric: tabular-nums; }
.plot .halo text { paint-order: stroke; stroke: var(--bg); stroke-width: 3px; }
.plot * { stroke-linejoin: round; stroke-linecap: butt; }
figure > .name { font-weight: 600; font-size: .9375rem; margin: 0 0 .1rem; color: var(--ink); }
figcaption { margin-top: .25rem; line-height: 1.4; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .1rem 1rem; padding: 0;
  margin: .1rem 0 .3rem; font-size: .8125rem; color: var(--ink); }
.legend li { margin: 0; display: flex; align-items: center; gap: .4rem; min-width: 0; }
.legend i { flex: none; width: 2.5rem; height: 2.5px; print-color-adjust: exact; }
pre { background: var(--panel); padding: .7rem .9rem; overflow-x: auto; margin: .5rem 0;
  line-height: 1.5; border-radius: 4px; }
pre.copy code { user-select: all; -webkit-user-select: all; }
details { margin: .6rem 0; border-bottom: 1px solid var(--line); padding-bottom: .6rem; }
summary { cursor: pointer; padding: .25rem 0; font-weight: 600; }
dl.facts { display: grid; grid-template-columns: minmax(8rem, 14rem) minmax(0, 1fr);
  gap: .2rem 1rem; font-size: .875rem; max-width: none; }
dl.facts dt { color: var(--soft); } dl.facts dd { margin: 0; overflow-wrap: anywhere; }
.threats { list-style: none; padding: 0; }
.threats li { padding: .55rem 0; border-bottom: 1px solid var(--line); }
.threats b { display: block; } .threats .remedy { color: var(--soft); display: block; }
.tag { font-size: .75rem; font-weight: 600; white-space: nowrap; }
.fail, .bad { color: var(--bad); } .limit, .warn { color: var(--warn); }
.good { color: var(--good); }
.note { color: var(--soft); }
.runs { list-style: none; padding: 0; max-width: none; }
.runs li { padding: .9rem 0; border-bottom: 1px solid var(--line); margin: 0; }
.runs .name { font-weight: 600; font-size: 1.0625rem; }
.runs p { margin: .15rem 0; }
footer { margin-top: 3rem; color: var(--soft); font-size: .8125rem; }
@media (max-width: 75rem) {
  table { font-size: .8125rem; } th, td { padding: .35rem .4rem; }
  th:first-child { min-width: 7.5rem; } .long th:first-child { min-width: 10rem; }
  thead th, .words { white-space: normal; } .wide { min-width: 12rem; }
}
@media (max-width: 60rem) {"""
    + _blocks(".many")
    + """}
@media (max-width: 34rem) {"""
    + _blocks("table")
    + """
  .desk { display: none; } .phone { display: block; }
  body { padding-top: 1rem; } h1 { font-size: 1.35rem; }
  .answer li:first-child { font-size: 1.0625rem; }
  dl.facts { grid-template-columns: minmax(0, 1fr); gap: 0; }
  dl.facts dt { margin-top: .45rem; }
}
@media print { pre { white-space: pre-wrap; } h2, figure, tr { break-inside: avoid; } }
"""
)

CSS = (
    ":root { color-scheme: light dark; " + _variables(LIGHT) + " }\n"
    "@media (prefers-color-scheme: dark) { :root { " + _variables(DARK) + " } }" + RULES
)
