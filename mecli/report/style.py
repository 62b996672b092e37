"""The looks of a page: light and dark by the reader's choice, and on paper."""

from __future__ import annotations

STYLE = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1c222b;--faint:#667080;--line:#d9dee5;
--panel:#f5f7f9;--accent:#0b6bcb;--accent-soft:#0b6bcb33;--warn:#9a4a00;--warn-soft:#fff3e0;
  --other:#8a94a3}
@media(prefers-color-scheme:dark){:root{--paper:#12161c;--ink:#e5e9ef;--faint:#98a3b3;
  --line:#303844;
--panel:#1a2029;--accent:#58a6ff;--accent-soft:#58a6ff40;--warn:#ffb968;--warn-soft:#33260f;
  --other:#6b7686}}
*{box-sizing:border-box}
body{font:15px/1.5 system-ui,sans-serif;background:var(--paper);color:var(--ink);
max-width:1040px;margin:2rem auto;padding:0 1.2rem}
h1{font-size:1.5rem;margin:0 0 .2rem}
h2{font-size:1.15rem;margin:0;overflow-wrap:anywhere}
h3{font-size:.85rem;margin:0 0 .4rem;color:var(--faint);font-weight:600}
a{color:var(--accent)}
p{margin:.3rem 0}
.faint{color:var(--faint)}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.3rem .9rem .3rem 0;border-bottom:1px solid var(--line);
  vertical-align:top}
th{color:var(--faint);font-weight:600}
article{border:1px solid var(--line);border-radius:10px;padding:1.2rem;margin:1.4rem 0}
.verdict{font-size:1.3rem;font-weight:650}
.tag{font-size:.85rem;border-radius:99px;padding:.1rem .6rem;
background:var(--warn-soft);color:var(--warn);margin-left:.6rem;white-space:nowrap}
.doubts{background:var(--warn-soft);border-radius:8px;padding:.6rem .9rem;margin:.8rem 0}
.doubts ul{margin:.2rem 0 0;padding-left:1.2rem}
.doubts b{color:var(--warn)}
.row{display:flex;flex-wrap:wrap;gap:1.2rem 1.6rem;margin-top:1rem;align-items:flex-start}
figure{margin:0}
figcaption{font-size:.82rem;color:var(--faint);margin-top:.25rem}
img{display:block;max-width:100%;border-radius:6px}
.strip{display:flex;flex-wrap:wrap;gap:.6rem}
.strip img{width:186px}
.flow{display:flex;gap:.8rem;align-items:flex-end}
.legend{width:84px}
svg{display:block;max-width:100%;height:auto}
svg text{font:12px system-ui,sans-serif;fill:var(--ink)}
svg .name,svg .end{text-anchor:end}
svg .value,svg .tick{fill:var(--faint)}
svg .tick,svg .mark{text-anchor:middle}
svg .bar{fill:var(--other)}
svg .strong{fill:var(--accent)}
svg .axis,svg .grid{stroke:var(--line)}
svg .line{fill:none;stroke:var(--accent);stroke-width:2}
svg .span{fill:var(--accent-soft)}
svg .apex{stroke:var(--warn);stroke-dasharray:4 3}
svg .mark{fill:var(--warn)}
svg .face{fill:none;stroke:var(--ink);stroke-width:1.6;stroke-linejoin:round}
svg .roi{stroke:var(--faint);stroke-width:1}
svg .for{fill:var(--accent)}
svg .against{fill:var(--warn);stroke-dasharray:3 3}
svg.template{width:186px;overflow:visible}
details{margin-top:1rem}
summary{cursor:pointer;color:var(--faint)}
.error{color:var(--warn)}
@media print{:root{--paper:#fff;--ink:#000;--faint:#444;--line:#bbb;--accent:#0b4f94;
  --accent-soft:#0b4f9426;
--warn:#7a3b00;--warn-soft:#fff;--other:#999}
body{margin:0;max-width:none;font-size:11pt}
article{break-inside:avoid}
.doubts{border:1px solid var(--line)}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}

"""
