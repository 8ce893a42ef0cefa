"""The report in a headless Chromium, on a phone, a tablet, a small and a large desk, light and dark:
plots and tables are there, nothing is cut off or too faint, no name lies on data, nothing is
loaded. Exits 77, saying why, without a browser.

report_browser.py [--screenshots DIR] [KIND...]
"""

import argparse
import html
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import context  # noqa: F401
import sample_results
from lib import page, results
from lib.lab import browser as browsers
from lib.page import svg

SECONDS = 120  # for any one page
SIZES = {"phone": (360, 800), "tablet": (768, 1024), "small": (1000, 800), "desk": (1200, 900)}
CONTRAST = 4.5
PLOTS = {"compare": 45, "sweep": 10, "ablate": 10, "tune": 8, "scale": 4, "explain": 16, "index": 0}
TABLES = {"compare": 30, "sweep": 5, "ablate": 30, "tune": 30, "scale": 6, "explain": 18, "index": 0}
SKIP = 77
OPTIONS = [*browsers.OPTIONS, "--hide-scrollbars", "--allow-file-access-from-files", "--enable-logging=stderr"]

CHECK = r"""
(() => {
  const root = document.documentElement;
  const found = {height: root.scrollHeight, problems: [], svgs: 0, marks: 0, tables: 0, rows: 0, texts: 0,
    faintest: 99};
  const bad = (what, where) => found.problems.push(what + ': ' + where);
  document.querySelectorAll('details').forEach(d => d.open = true);
  if (root.scrollWidth > root.clientWidth)
    bad('the page is wider than the screen', root.scrollWidth + ' > ' + root.clientWidth);
  const wide = root.clientWidth;
  document.querySelectorAll('body *').forEach(e => {
    if (e.closest('.scroll, pre, svg')) return;
    const b = e.getBoundingClientRect();
    if (b.width && b.right > wide + 1) bad('sticks out', e.tagName + ' ' + e.className);
  });

  const parse = c => {
    const m = c.match(/rgba?\(([^)]+)\)/);
    if (!m) return null;
    const p = m[1].split(/[ ,\/]+/).map(Number);
    return {rgb: p.slice(0, 3), a: p.length > 3 ? p[3] : 1};
  };
  const luminance = rgb => {
    const [r, g, b] = rgb.map(v => v / 255).map(
      v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const over = (top, a, below) => top.map((v, i) => v * a + below[i] * (1 - a));
  const behind = e => {
    for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c && c.a > 0.99) return c.rgb;
    }
    return [255, 255, 255];
  };
  const contrast = (one, other) => {
    const [x, y] = [luminance(one), luminance(other)].sort((p, q) => q - p);
    return (x + 0.05) / (y + 0.05);
  };
  const seen = (e, colour, back) => {
    const c = parse(colour);
    if (!c) return bad('a colour that cannot be read', colour);
    const ratio = contrast(over(c.rgb, c.a, back), back);
    found.texts++;
    found.faintest = Math.min(found.faintest, ratio);
    if (ratio < MINIMUM)
      bad('too faint, ' + ratio.toFixed(2), e.tagName + ' ' + e.textContent.trim().slice(0, 40));
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let n; n = walker.nextNode();) {
    const e = n.parentElement;
    if (!n.data.trim() || e.closest('svg, script, style')) continue;
    if (!e.getClientRects().length) continue;
    seen(e, getComputedStyle(e).color, behind(e));
  }

  const ids = new Set();
  document.querySelectorAll('[id]').forEach(e => {
    if (ids.has(e.id)) bad('an id twice', e.id);
    ids.add(e.id);
  });
  document.querySelectorAll('a[href^="#"]').forEach(a => {
    if (!ids.has(a.getAttribute('href').slice(1))) bad('a link to nowhere', a.href);
  });

  document.querySelectorAll('svg.plot').forEach(s => {
    if (!s.getClientRects().length) return;  // drawn for another screen
    found.svgs++;
    const name = s.querySelector('title')?.textContent.slice(0, 50) || '?';
    const box = s.getBoundingClientRect();
    if (box.width < 250 || box.height < 50) bad('no room for a plot', name);
    if (box.right > wide + 1) bad('a plot sticks out', name);
    if (s.closest('.desktop') && wide < 500) bad('a plot for desks on a phone', name);
    if (s.getAttribute('role') !== 'img') bad('no role', name);
    const inside = b => b.left >= box.left - 2 && b.right <= box.right + 2 &&
      b.top >= box.top - 2 && b.bottom <= box.bottom + 2;
    const marks = [...s.querySelectorAll('.mark')];
    const drawn = marks.filter(m => {
      const b = m.getBoundingClientRect();
      return (b.width > 0 || b.height > 0) && inside(b);
    });
    found.marks += drawn.length;
    if (!drawn.length) bad('no mark in view', name);
    const texts = [...s.querySelectorAll('text')].filter(t => t.textContent.trim());
    if (texts.length < 2) bad('no axis labels', name);
    const boxes = texts.map(t => t.getBoundingClientRect());
    const strikes = (x, y) => texts.forEach((t, i) => {
      const b = boxes[i], air = b.height / 5;  // above and below the letters
      if (x > b.left + 1 && x < b.right - 1 && y > b.top + air && y < b.bottom - air)
        struck.add(t.textContent);
    });
    const struck = new Set();
    s.querySelectorAll('.mark path').forEach(p => {  // lines, not the areas under the numbers
      if (p.closest('defs') || getComputedStyle(p).fill !== 'none') return;
      const to = p.getScreenCTM(), length = p.getTotalLength();
      for (let at = 0; at <= length; at += 2) {
        const point = p.getPointAtLength(at).matrixTransform(to);
        strikes(point.x, point.y);
      }
    });
    s.querySelectorAll('.mark use').forEach(u => {
      const b = u.getBoundingClientRect();
      for (const x of [b.left, (b.left + b.right) / 2, b.right])
        for (const y of [b.top, (b.top + b.bottom) / 2, b.bottom]) strikes(x, y);
    });
    if (struck.size) bad('names on data', name + ': ' + [...struck].join(', '));
    texts.forEach((t, i) => {
      if (!inside(boxes[i])) bad('text is cut off', name + ': ' + t.textContent);
      const type = parseFloat(getComputedStyle(t).fontSize) * box.width / s.viewBox.baseVal.width;
      if (type < 10.99) bad('text is too small, ' + type, name + ': ' + t.textContent);
      // What lies under a number: the patches before it, on the page's background.
      let back = behind(s);
      for (const p of s.querySelectorAll('.mark path')) {
        if (!(p.compareDocumentPosition(t) & Node.DOCUMENT_POSITION_FOLLOWING)) break;
        const style = getComputedStyle(p), c = parse(style.fill), b = p.getBoundingClientRect();
        const x = (boxes[i].left + boxes[i].right) / 2, y = (boxes[i].top + boxes[i].bottom) / 2;
        if (c && x > b.left && x < b.right && y > b.top && y < b.bottom)
          back = over(c.rgb, c.a * parseFloat(style.opacity) * parseFloat(style.fillOpacity), back);
      }
      seen(t, getComputedStyle(t).fill, back);
      for (let j = 0; j < i; j++) {
        const w = Math.min(boxes[i].right, boxes[j].right) - Math.max(boxes[i].left, boxes[j].left);
        const h = Math.min(boxes[i].bottom, boxes[j].bottom) - Math.max(boxes[i].top, boxes[j].top);
        if (w > 1.5 && h > 3.5)
          bad('texts overlap', name + ': ' + texts[j].textContent + ' / ' + t.textContent);
      }
    });
  });
  document.querySelectorAll('section[id^=cell-]').forEach(s => {
    if (s.querySelector('.verdict') && !s.querySelector('figure svg.plot'))
      bad('an experiment without a picture', s.id);
  });
  document.querySelectorAll('table').forEach(t => {
    found.tables++;
    const heads = t.querySelectorAll('thead th').length;
    const rows = t.querySelectorAll('tbody tr');
    found.rows += rows.length;
    const name = t.getAttribute('aria-label')?.slice(0, 50) || '?';
    if (!rows.length) bad('a table without rows', name);
    rows.forEach(r => { if (r.children.length !== heads) bad('a ragged row', name); });
    const frame = t.closest('.scroll');
    if (!frame) bad('a table outside its container', name);
    else if (frame.scrollWidth > frame.clientWidth + 1)
      bad('a table scrolls', name + ' ' + frame.scrollWidth + ' > ' + frame.clientWidth);
    const b = t.getBoundingClientRect();
    if (b.height < 20 || b.width < 50) bad('a table that is not seen', name);
  });
  return found;
})()
""".replace(
    "MINIMUM", str(CONTRAST)
)
# A frame for each size is a screen of its own: media queries ask for the frame's width.
FRAME = '<iframe src="page.html" width="{}" height="{}" style="border: 0; display: block"></iframe>'
FRAMES = '<!DOCTYPE html><meta charset="utf-8"><body style="margin: 0">'
# What a page asks for beyond this is refused, and said on the console.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'unsafe-eval'"
RUN = """<script>
addEventListener('load', () => {
  const found = [...document.querySelectorAll('iframe')].map(frame => frame.contentWindow.eval(CHECK));
  const text = document.createElement('pre');
  text.textContent = JSON.stringify(found);
  document.body.replaceChildren(text);
});
</script>
"""


def shown(browser, path, content, dark, *options):
    """What the browser prints of a document whose frames have the page, and what was on its console."""
    with tempfile.TemporaryDirectory(prefix="torc-chromium-", ignore_cleanup_errors=True) as directory:
        file = Path(directory) / "frames.html"
        file.write_text(FRAMES + content)
        policy = f'<head><meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        file.with_name("page.html").write_text(path.read_text().replace("<head>", policy, 1))
        scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
        command = [browser, *OPTIONS, scheme, *options, f"--user-data-dir={directory}/profile", file.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True)
    return done.stdout, re.findall("CONSOLE.*", done.stderr)


def check(browser, path, kind, dark, pictures):
    """The problems of one page in light or dark on all screens, with a line of what is there on each."""
    frames = [FRAME.format(*size) for size in SIZES.values()]
    script = RUN.replace("CHECK", json.dumps(CHECK).replace("</", "<\\/"))
    text, console = shown(browser, path, "".join(frames) + script, dark, "--dump-dom")
    problems = [f"console: {line}" for line in console]
    look = "dark" if dark else "light"
    for size, found in zip(SIZES, json.loads(html.unescape(re.search("<pre>(.*)</pre>", text, re.DOTALL)[1]))):
        mine = found["problems"]
        for what, least in (("svgs", PLOTS[kind]), ("tables", TABLES[kind]), ("texts", 5 if kind == "index" else 100)):
            if found[what] < least:
                mine.append(f"{found[what]} {what}, not {least}")
        print(
            f"{kind}, {size}, {look}: {found['svgs']} plots with {found['marks']} marks, {found['tables']} tables with "
            f"{found['rows']} rows, least contrast {found['faintest']:.1f}, {len(mine)} problems",
            flush=True,
        )
        problems += [f"{size}: {line}" for line in mine]
        if pictures:
            width, height = SIZES[size][0], found["height"]
            frame, picture = FRAME.format(width, height), pictures / f"{kind}-{size}-{look}.png"
            shown(browser, path, frame, dark, f"--window-size={width},{height}", f"--screenshot={picture}")
    return problems


def main():
    """0 when every page is good in every setting."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--screenshots", type=Path)
    parser.add_argument("kinds", nargs="*")
    options = parser.parse_args()
    browser = browsers.find()
    if browser is None:
        print(f"skipped: {browsers.missing()}")
        return SKIP
    if not svg.available():
        print("skipped: python3-matplotlib is not installed, so there are no plots to look at")
        return SKIP
    if options.screenshots:
        options.screenshots.mkdir(parents=True, exist_ok=True)
    failed = False
    with tempfile.TemporaryDirectory(prefix="torc-report-") as name:
        directory = Path(name)
        pages = {}
        for kind, make in sample_results.KINDS.items():
            if not options.kinds or kind in options.kinds:
                run = make()
                results.save(run, directory / f"{kind}.json")
                pages[kind] = page.write(run, directory / f"{kind}.html")
        pages["index"] = page.write_index(directory)
        for kind, file in pages.items():
            for dark in (False, True):
                problems = check(browser, file, kind, dark, options.screenshots)
                for line in problems[:20]:
                    print(f"  {line}")
                failed = failed or bool(problems)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
