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
max-width:1040px;margin:2rem auto;padding:0 1.2rem;overflow-wrap:anywhere}
h1{font-size:1.5rem;margin:0 0 .2rem}
h2{font-size:1.15rem;margin:0}
h3{font-size:.85rem;margin:0 0 .4rem;color:var(--faint);font-weight:600}
a{color:var(--accent)}
p{margin:.3rem 0}
.faint{color:var(--faint)}
.wide{overflow-x:auto}
a:focus-visible,summary:focus-visible,.wide:focus-visible{
outline:2px solid var(--accent);outline-offset:2px;border-radius:3px}
caption{text-align:left;color:var(--faint);font-size:.86rem;padding:.1rem 0 .4rem}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;overflow-wrap:break-word}
th,td{text-align:left;padding:.3rem .9rem .3rem 0;border-bottom:1px solid var(--line);
  vertical-align:top}
th{color:var(--faint);font-weight:600}
tbody th{color:var(--ink);font-weight:500}
details th{color:var(--faint)}
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
svg .span{fill:var(--accent-soft);stroke:var(--accent);stroke-width:1}
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
--warn:#7a3b00;--warn-soft:#fff;--other:#888}
body{margin:0;max-width:none;font-size:11pt}
article{break-inside:avoid}
.doubts{border:1px solid var(--line)}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}

"""

EVALUATION_STYLE = """
:root{--for:#0072b2;--against:#d55e00;--c1:#0072b2;--c2:#d55e00;--c3:#009e73;--c4:#cc79a7;
--c5:#4d4d4d}
@media(prefers-color-scheme:dark){:root{--for:#4aa8e0;--against:#f08a4b;--c1:#4aa8e0;--c2:#f08a4b;
--c3:#35c79a;--c4:#e29cc4;--c5:#b8c0cc}}
body{max-width:1080px}
header{margin-bottom:1.4rem}
nav ul{list-style:none;display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;padding:0;margin:.6rem 0}
.run{border-top:2px solid var(--line);margin-top:2.6rem;padding-top:1.4rem}
h2{font-size:1.35rem;margin:0 0 .3rem}
h3{font-size:1.02rem;color:var(--ink);margin:2rem 0 .5rem}
h4{font-size:.95rem;margin:0 0 .3rem}
.cards{display:flex;flex-wrap:wrap;gap:.9rem;margin:1rem 0;padding:0;list-style:none}
.cards li{background:var(--panel);border:1px solid var(--line);border-radius:12px;
padding:.8rem 1.2rem;min-width:11.5rem}
.cards b{display:block;font-size:2rem;line-height:1.15;font-weight:680;
font-variant-numeric:tabular-nums}
.cards span{color:var(--faint);font-size:.86rem}
.how{max-width:46rem;padding-left:1.1rem;margin:.4rem 0}
.how li{margin:.2rem 0}
.leak{background:var(--warn-soft);color:var(--warn);border:2px solid var(--warn);
border-radius:10px;padding:.7rem 1rem;font-weight:650}
.side{display:flex;flex-wrap:wrap;gap:1rem 2.6rem;align-items:flex-start}
.side>*{min-width:0}
.side .wide+.wide{margin-top:1.2rem}
thead th{vertical-align:bottom}
tbody th{min-width:7.5rem}
td.n,th.n{text-align:right;padding:.3rem 0 .3rem 1.1rem}
td.n{white-space:nowrap}
tbody tr:hover{background:var(--panel)}
.tall{max-height:27rem;overflow:auto}
.tall thead th{position:sticky;top:0;background:var(--paper)}
th button{all:unset;cursor:pointer;font-weight:600}
th button::after{content:"\\2195";opacity:.75;margin-left:.25em}
th[aria-sort=ascending] button::after{content:"\\2191";opacity:1}
th[aria-sort=descending] button::after{content:"\\2193";opacity:1}
th button:focus-visible{
outline:2px solid var(--accent);outline-offset:2px;border-radius:3px}
svg.plot{width:440px;height:auto}
.broad svg.plot{width:640px}
svg.plot text{font-family:system-ui,sans-serif!important}
.hard{border:1px solid var(--line);border-radius:12px;padding:1rem 1.1rem;margin:.9rem 0;
break-inside:avoid}
.hard p{margin:.1rem 0 .7rem}
.film{display:flex;flex-wrap:wrap;gap:.7rem}
.film img{width:120px;height:auto;margin-bottom:.25rem}
.heard{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
footer{border-top:1px solid var(--line);margin-top:3rem;padding:.8rem 0 2rem;color:var(--faint);
font-size:.86rem}
@media print{:root{--for:#0072b2;--against:#d55e00;--c1:#0072b2;--c2:#d55e00;--c3:#009e73;
--c4:#cc79a7;--c5:#4d4d4d}
nav,th button::after{display:none}
.tall{max-height:none;overflow:visible}
table{font-size:8.5pt}
tbody th{overflow-wrap:anywhere}
td.n,th.n{padding-left:.6rem}
tbody th{min-width:5rem}
thead{display:table-header-group}
tr,svg,.cards li{break-inside:avoid}
h2,h3,h4{break-after:avoid}
.run{break-before:page;border:0;padding-top:0}}
"""
