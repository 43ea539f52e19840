"""The style sheet of the page: one column, light and dark, phone and paper."""

from tlcli.report import style

_STYLE = """
:root {
  color-scheme: light dark;
  LIGHT --tint: #f4f6f8; --link: #0b5fa5; --accent: #0072b2;
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  --mono: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
@media (prefers-color-scheme: dark) { :root {
  DARK --tint: #1e2127; --link: #7db8ee; --accent: #56b4e9;
} }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 var(--sans);
  overflow-wrap: anywhere; }
main { max-width: 56rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: .5rem 0 .25rem; }
h2 { font-size: 1.3rem; line-height: 1.25; margin: 3rem 0 .75rem; padding-top: .9rem;
  border-top: 1px solid var(--grid); }
h3 { font-size: 1.05rem; margin: 2.2rem 0 .5rem; }
p { margin: .6rem 0; max-width: 48rem; }
a { color: var(--link); }
.subtitle, .note, figcaption { color: var(--muted); }
.answer { margin: 1.2rem 0; padding: .1rem 0 .1rem 1rem; border-left: 4px solid var(--accent); }
.answer p:first-child { font-size: 1.13rem; font-weight: 600; }
details > summary { cursor: pointer; }
details > summary h2 { display: inline; border: 0; }
.note { font-size: .86rem; }
.warnings { background: var(--tint); border-left: 4px solid #d55e00; padding: .6rem 1rem; margin: 1.2rem 0; }
.warnings ul { margin: .3rem 0; padding-left: 1.2rem; }
nav { font-size: .92rem; margin: 1.5rem 0; }
nav ul { list-style: none; margin: 0; padding: 0; display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; }
figure { margin: 1.6rem 0; }
figure svg { display: block; width: 100%; height: auto; font-family: var(--sans); }
figure svg * { stroke-linejoin: round; stroke-linecap: butt; }
figcaption { max-width: 48rem; }
figcaption, .caption { font-size: .9rem; line-height: 1.45; margin: .4rem 0; }
.narrow { display: none; }
.caption { margin-top: 1.6rem; }
.scroll { overflow-x: auto; margin: .3rem 0; }
.scroll:focus-visible { outline: 2px solid var(--accent); }
table { border-collapse: collapse; font-size: .88rem; line-height: 1.35; font-variant-numeric: tabular-nums;
  overflow-wrap: normal; }
th, td { padding: .28rem .8rem .28rem 0; text-align: left; vertical-align: top; }
th:last-child, td:last-child { padding-right: 0; }
th:first-child, td:first-child { position: sticky; left: 0; background: var(--paper); }
tbody th { font-weight: inherit; }
thead th { vertical-align: bottom; border-bottom: 1.5px solid var(--muted); font-weight: 600; }
tr.group > * { border-top: 1px solid var(--grid); }
.many { font-size: .8rem; }
.many th, .many td { padding-right: .5rem; }
.num { text-align: right; }
tbody .num, tbody .name, tbody .word { white-space: nowrap; }
tbody .wrap { white-space: normal; min-width: 11rem; }
th.num { max-width: 7.5rem; }
tbody .long { min-width: 13rem; }
tbody .digest { font-family: var(--mono); font-size: .74rem; min-width: 17rem; overflow-wrap: anywhere; }
button, select, input[type=search] { font: inherit; color: inherit; background: none;
  border: 1px solid var(--muted); border-radius: .25rem; padding: .05rem .5rem; max-width: 100%; }
th button { border: 0; padding: 0; font-weight: inherit; text-align: inherit; cursor: pointer; }
th[aria-sort=ascending] button::after { content: " \25b2"; }
th[aria-sort=descending] button::after { content: " \25bc"; }
table.sorted tr.group > * { border-top: 0; }
.files { font-size: .82rem; white-space: nowrap; }
.tools { font-size: .82rem; white-space: nowrap; }
.tools > * { margin-right: .4rem; }
#arms { border: 0; margin: 1rem 0 0; padding: 0; font-size: .92rem; }
#arms legend { float: left; margin-right: .8rem; }
#arms label { margin-right: .8rem; white-space: nowrap; }
.off, .out { display: none; }
.tip { position: fixed; top: 0; left: 0; z-index: 1; display: flex; gap: .5rem; align-items: center;
  max-width: 20rem; background: var(--paper); border: 1px solid var(--muted); border-radius: .25rem;
  padding: .25rem .5rem; font-size: .86rem; pointer-events: none; }
.tip[hidden] { display: none; }
canvas { width: 4.5rem; image-rendering: pixelated; display: block; }
.pairs { display: flex; flex-wrap: wrap; gap: .4rem 1rem; margin: .8rem 0 .3rem; font-size: .9rem; }
.tiles { display: flex; flex-wrap: wrap; gap: .6rem; font-size: .78rem; line-height: 1.3; }
.tiles > div { width: 4.5rem; }
pre { overflow-x: auto; background: var(--tint); padding: .8rem 1rem; font: .82rem/1.5 var(--mono);
  margin: .8rem 0; overflow-wrap: normal; }
footer { margin-top: 3rem; color: var(--muted); font-size: .86rem; }
@media (max-width: 640px) {
  .wide { display: none; }
  .narrow { display: block; }
  h1 { font-size: 1.45rem; }
  body { font-size: 15.5px; }
  th.num { min-width: 5rem; }
  th:first-child, td:first-child { min-width: 5.5rem; max-width: 42vw; white-space: normal;
    overflow-wrap: break-word; }
}
@media (min-width: 641px), print {
  tbody .name:not(.wrap) wbr { display: none; }
}
@media print {
  :root { color-scheme: light; LIGHT --ink: #000; --muted: #444; --grid: #ccc; --tint: #f4f4f4;
    --link: #000; --accent: #0072b2; }
  @page { size: A4; margin: 18mm 16mm; @bottom-right { content: counter(page) " / " counter(pages);
    font: 8pt sans-serif; color: #444; } }
  body { font-size: 10pt; }
  main { max-width: none; padding: 0; }
  nav { break-inside: avoid; }
  nav::before { content: "Contents"; font-weight: 600; }
  nav ul { display: block; columns: 2; }
  nav a { text-decoration: none; }
  p, li { orphans: 3; widows: 3; }
  figcaption, .note { break-before: avoid; }
  th:first-child, td:first-child { position: static; }
  details::details-content { content-visibility: visible; display: block; }
  #arms, .tools, .files, .pairs, .tiles, .pairs + .note { display: none; }
  .wide { display: block; }
  .narrow { display: none; }
  figure, figcaption, .caption, tr, .answer, .short { break-inside: avoid; }
  h2, h3, summary, .caption { break-after: avoid; }
  details > summary { list-style: none; }
  footer, .file, #data, nav a[href="#data"] { display: none; }
  h2 { margin-top: 1.6rem; }
  thead { display: table-header-group; }
  .scroll { overflow: visible; }
  table, .many { font-size: 7.4pt; }
  th, td, .many th, .many td { padding-right: .45rem; }
  tbody .digest { font-size: 6.6pt; min-width: 0; }
  tbody .long, tbody .wrap { min-width: 0; }
  pre { white-space: pre-wrap; overflow-wrap: anywhere; font-size: 7.6pt; }
  figure svg { max-height: 21cm; }
  figure svg * { stroke-linejoin: round; stroke-linecap: butt; }
  figure.panels svg { max-width: 14.6cm !important; }
  figure.single svg { max-width: 11.5cm !important; }
}
"""

STYLE = _STYLE.replace("LIGHT", style.css(dark=False)).replace("DARK", style.css(dark=True))
